//! A call that is told in two pieces, its span and what was said in it, is one row in whatever order they come.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic; helpers of a test are the test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_logger::{Delivery, Destination, Logger, Progress};
use tachograph_record::{
    Asked, Body, Control, CostState, Leaf, LogRecord, Origin, Outcome, Reading, RecordId, Step, Timestamp, Timing,
    Usage, UsageReading,
};
use tachograph_spool::Options;
use tachograph_telemetry::RecordSink as _;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<LogRecord>>>, Arc<Mutex<Vec<u64>>>);

impl Destination for Kept {
    fn deliver<'a>(&'a self, records: &'a [LogRecord]) -> Delivery<'a> {
        self.0.lock().unwrap().extend(records.iter().cloned());
        Box::pin(async { Ok(()) })
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> Delivery<'a> {
        self.1.lock().unwrap().push(progress.number);
        Box::pin(async { Ok(()) })
    }
}

impl Kept {
    async fn when_there_are(&self, wanted: usize) -> Vec<LogRecord> {
        for _ in 0..500 {
            if self.0.lock().unwrap().len() >= wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.0.lock().unwrap().clone()
    }
}

struct Dir(std::path::PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("tachograph-joining-{}", RecordId::generate())))
    }

    fn start(&self, kept: &Kept) -> Logger {
        Logger::start(Options::new(self.0.join("spool")), Arc::new(kept.clone())).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn body(document: Value) -> Body {
    Body::capture(&Bytes::from(document.to_string()), usize::MAX)
}

/// The span of a call of a model, which says nothing of what was said.
fn span() -> LogRecord {
    let usage = UsageReading::Known(Usage::reported([(Leaf::INPUT, 5)]));
    LogRecord {
        id: RecordId::generate(),
        asked: Asked {
            origin: Origin::Span,
            step: Step::Model,
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
            span_id: Some("b7ad6b7169203331".to_owned()),
            ..Asked::default()
        },
        provider: None,
        provider_model: None,
        attempts: Vec::new(),
        status: None,
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::from_micros(1_000_000),
            upstream_sent_us: None,
            first_byte_us: None,
            first_token_us: None,
            end_us: 1,
        },
        reading: Reading { usage, ..Reading::default() },
        cost: CostState::NoUsage,
        control: Control::default(),
        response: Body::default(),
    }
}

/// What was said in it, one side at a time.
fn parts(of: &LogRecord) -> [LogRecord; 3] {
    let part = |at: i64, request: Value, response: Value| {
        let mut part = span();
        part.asked.api = "openai.chat".into();
        (part.asked.body, part.response) = (body(request), body(response));
        part.timing.received_at = Timestamp::from_micros(at);
        part.reading = Reading::default();
        part.control.part_of = Some(of.id);
        part
    };
    let nobody = || json!({ "messages": [] });
    [
        part(1, json!({ "messages": [{ "role": "system", "content": "Be brief" }] }), json!({ "choices": [] })),
        part(2, json!({ "messages": [{ "role": "user", "content": "hi" }] }), json!({ "choices": [] })),
        part(3, nobody(), json!({ "choices": [{ "message": { "content": "Hello" } }] })),
    ]
}

fn check(whole: &LogRecord, span: &LogRecord) {
    assert_eq!((whole.id, whole.asked.api.as_ref()), (span.id, "openai.chat"));
    let read = |body: &Body| serde_json::from_slice::<Value>(&body.bytes()).unwrap();
    let roles: Vec<Value> =
        read(&whole.asked.body)["messages"].as_array().unwrap().iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["system", "user"]);
    assert_eq!(read(&whole.response)["choices"][0]["message"]["content"], "Hello");
    assert_eq!(whole.reading.usage.known().unwrap().input_total(), 5);
    assert_eq!(whole.control.part_of, None);
}

#[tokio::test]
async fn messages_before_their_span_wait_for_it_in_the_spool_and_over_a_death() {
    let (kept, dir, span) = (Kept::default(), Dir::new(), span());
    let parts = parts(&span);
    {
        let logger = dir.start(&kept);
        // Out of their order, and one twice.
        for at in [2, 0, 1, 0] {
            drop(logger.intake().accept(parts[at].clone()));
        }
        let gauges = logger.intake().gauges().clone();
        while gauges.spool().acknowledged < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(kept.0.lock().unwrap().is_empty(), "they wait");
        // As by `kill -9`: the lock goes with the process, here with the directory's copy.
        std::fs::create_dir_all(dir.0.join("copy")).unwrap();
        for file in std::fs::read_dir(dir.0.join("spool")).unwrap().map(|file| file.unwrap()) {
            if file.file_type().unwrap().is_file() && file.file_name() != "lock" {
                std::fs::copy(file.path(), dir.0.join("copy").join(file.file_name())).unwrap();
            }
        }
    }
    let after = Kept::default();
    let mut logger = Logger::start(Options::new(dir.0.join("copy")), Arc::new(after.clone())).unwrap();
    drop(logger.intake().accept(span.clone()));
    let rows = after.when_there_are(1).await;
    assert_eq!(rows.len(), 1);
    check(&rows[0], &span);
    assert_eq!(logger.finish(Duration::from_secs(10)).await, 0);
    assert_eq!(after.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_span_waits_for_its_messages_and_nothing_before_it_is_called_complete() {
    let (kept, dir, span) = (Kept::default(), Dir::new(), span());
    let mut logger = dir.start(&kept);
    drop(logger.intake().accept(span.clone()));
    while logger.intake().gauges().spool().acknowledged < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(kept.0.lock().unwrap().is_empty());
    assert!(kept.1.lock().unwrap().iter().all(|number| *number == 0), "it is not delivered yet");
    let mut whole = parts(&span)[0].clone();
    whole.response = parts(&span)[2].response.clone();
    whole.asked.body = body(json!({ "messages": [{ "role": "system" }, { "role": "user" }] }));
    drop(logger.intake().accept(whole));
    let rows = kept.when_there_are(1).await;
    check(&rows[0], &span);
    assert_eq!(logger.finish(Duration::from_secs(10)).await, 0);
    assert_eq!(kept.0.lock().unwrap().len(), 1);
    assert_eq!(kept.1.lock().unwrap().last(), Some(&2));
}

#[tokio::test]
async fn what_never_gets_its_other_half_is_a_row_of_its_own_in_the_end() {
    let (kept, dir, span) = (Kept::default(), Dir::new(), span());
    let mut logger = dir.start(&kept);
    let [part, ..] = parts(&span);
    drop(logger.intake().accept(part.clone()));
    let lonely = self::span();
    drop(logger.intake().accept(lonely.clone()));
    // The end of the process is the end of waiting.
    assert_eq!(logger.finish(Duration::from_secs(10)).await, 0);
    let mut ids: Vec<RecordId> = kept.0.lock().unwrap().iter().map(|record| record.id).collect();
    ids.sort();
    let mut wanted = vec![part.id, lonely.id];
    wanted.sort();
    assert_eq!(ids, wanted);
}

#[tokio::test]
async fn what_is_withheld_from_a_span_is_withheld_from_what_was_said_in_it() {
    let (kept, dir, mut span) = (Kept::default(), Dir::new(), span());
    span.control.bodies_withheld = true;
    let mut logger = dir.start(&kept);
    for part in parts(&span) {
        drop(logger.intake().accept(part));
    }
    drop(logger.intake().accept(span.clone()));
    let rows = kept.when_there_are(1).await;
    assert_eq!((rows.len(), rows[0].id, rows[0].asked.body.len(), rows[0].response.len()), (1, span.id, 0, 0));
    logger.finish(Duration::from_secs(10)).await;
}
