//! A call ends in one of several ways, and each gives exactly one record.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic; helpers of a test are the test")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use tachograph_record::{Asked, BodyState, FinishReason, LogRecord, Outcome, Reading, RecordedError, Tap};
use tachograph_telemetry::{Meter, MeterLayer, Receipt, RecordSink, Served, Trip};
use tower::{Layer, Service, ServiceExt, service_fn};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<LogRecord>>>);

impl RecordSink for Memory {
    fn accept(&self, record: LogRecord) -> Receipt {
        self.0.lock().unwrap().push(record);
        Receipt::kept()
    }
}

impl Memory {
    fn only(&self) -> LogRecord {
        let records = self.0.lock().unwrap();
        assert_eq!(records.len(), 1, "exactly one record");
        records[0].clone()
    }
}

/// What a scripted body does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Piece(&'static str),
    Break,
}

#[derive(Debug)]
struct Broken;

struct Scripted {
    steps: VecDeque<Step>,
    knows_its_end: bool,
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(self.steps.pop_front().map(|step| match step {
            Step::Piece(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Step::Break => Err(Broken),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }
}

/// Content begins at the first piece with a `*`, the answer ends with a `.`, and a `!` is an error inside it.
#[derive(Default)]
struct Marks(String);

impl Tap for Marks {
    fn see(&mut self, piece: &Bytes) -> bool {
        self.0.push_str(std::str::from_utf8(piece).unwrap());
        self.0.contains('*')
    }

    fn settled(&self) -> bool {
        self.0.trim_end().ends_with('.')
    }

    fn finish(&mut self) -> Reading {
        let error =
            self.0.contains('!').then(|| RecordedError { kind: "overloaded".into(), code: None, message: "!".into() });
        let ended = self.0.trim_end().ends_with('.');
        Reading { ended, finish_reason: ended.then_some(FinishReason::Stop), error, ..Reading::default() }
    }
}

fn asked(stream: bool) -> Asked {
    Asked { api: "test".into(), path: "/told".into(), model: Some("m".into()), stream, ..Asked::default() }
}

type Answer = Result<Response<Scripted>, Infallible>;

fn answer(steps: &[Step], knows_its_end: bool, served: Served) -> Answer {
    let mut response = Response::new(Scripted { steps: steps.iter().copied().collect(), knows_its_end });
    response.extensions_mut().insert(served.with_tap(Box::<Marks>::default()));
    Ok(response)
}

/// Runs one call whose answer is scripted, reads at most `read` frames of it, then leaves.
async fn run(steps: &[Step], knows_its_end: bool, read: usize, served: Served) -> LogRecord {
    let memory = Memory::default();
    let (steps, layer) = (steps.to_vec(), MeterLayer::new(memory.clone()));
    let service = layer.layer(service_fn(move |request: Request<Empty<Bytes>>| {
        let trip = request.extensions().get::<Trip>().unwrap();
        trip.asked(asked(true));
        trip.attempt("acme".into(), Some("m-1".into()));
        trip.attempt_answered(200);
        std::future::ready(answer(&steps, knows_its_end, served.clone()))
    }));
    let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
    let mut body = Box::pin(response.into_body());
    for _ in 0..read {
        if !matches!(body.as_mut().frame().await, Some(Ok(_))) {
            break;
        }
    }
    drop(body);
    memory.only()
}

const ANSWERED: [Step; 3] = [Step::Piece("role"), Step::Piece("*a"), Step::Piece("b.")];

#[tokio::test]
async fn an_answer_to_its_end_is_complete() {
    for (knows_its_end, read) in [(false, 9), (true, 9), (true, 3)] {
        let record = run(&ANSWERED, knows_its_end, read, Served::default()).await;
        assert_eq!(record.outcome, Outcome::Complete, "{knows_its_end} {read}");
        assert_eq!((record.response.bytes().as_ref(), record.response.state()), (&b"role*ab."[..], BodyState::Whole));
        assert_eq!((record.asked.path.as_str(), record.provider.as_deref()), ("/told", Some("acme")));
        assert_eq!((record.model(), record.status, &record.error), (Some("m-1"), Some(200), &None));
    }
}

#[tokio::test]
async fn the_clocks_tick_in_order_and_role_frames_are_no_content() {
    let timing = run(&ANSWERED, false, 9, Served::default()).await.timing;
    let clocks = [timing.upstream_sent_us, timing.first_byte_us, timing.first_token_us, Some(timing.end_us)];
    assert!(clocks.iter().all(Option::is_some) && clocks.is_sorted(), "{clocks:?}");
    let without_content = run(&[Step::Piece("role"), Step::Piece(".")], false, 9, Served::default()).await;
    assert_eq!((without_content.timing.first_token_us, without_content.outcome), (None, Outcome::Complete));
    assert!(without_content.timing.first_byte_us.is_some());
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_gone_with_what_it_got() {
    for read in 1..=2 {
        let record = run(&ANSWERED, false, read, Served::default()).await;
        assert_eq!(record.outcome, Outcome::ClientGone);
        let got = ["role", "role*a"][read - 1];
        assert_eq!(record.response.bytes(), got);
        assert_eq!(record.timing.first_token_us.is_some(), got.contains('*'));
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_after_the_terminal_event_has_the_whole_answer() {
    let record = run(&ANSWERED, false, 3, Served::default()).await;
    assert_eq!((record.outcome, record.response.bytes().as_ref()), (Outcome::Complete, &b"role*ab."[..]));
}

#[tokio::test]
async fn an_answer_without_its_end_is_cut_short() {
    for steps in [&[Step::Piece("*a")][..], &[Step::Piece("*a"), Step::Break]] {
        let record = run(steps, false, 9, Served::default()).await;
        assert_eq!(record.outcome, Outcome::CutShort);
        assert_eq!(record.error.unwrap().code.as_deref(), Some("cut_short"));
    }
}

#[tokio::test]
async fn an_error_inside_a_good_status_is_a_failure() {
    let record = run(&[Step::Piece("*a"), Step::Piece("!.")], false, 9, Served::default()).await;
    assert_eq!((record.outcome, record.status), (Outcome::UpstreamFailed, Some(200)));
    assert_eq!(record.error.unwrap().kind, "overloaded");
}

#[tokio::test]
async fn a_refusal_is_no_failure_of_the_provider() {
    let refusal = RecordedError { kind: "rate".into(), code: Some("limited".into()), message: "no".into() };
    let record = run(&[Step::Piece("no")], true, 9, Served::refused(refusal.clone())).await;
    assert_eq!((record.outcome, record.error), (Outcome::Refused, Some(refusal)));
}

#[tokio::test]
async fn an_omitted_body_is_counted_and_not_kept() {
    let record = run(&ANSWERED, false, 9, Served { omit_body: true, ..Served::default() }).await;
    assert_eq!((record.response.state(), record.response.len(), record.response.kept()), (BodyState::Omitted, 8, 0));
    assert_eq!(record.outcome, Outcome::Complete, "the tap sees what the record does not keep");
}

fn metered<F, Fut>(memory: &Memory, answer: F) -> Meter<tower::util::ServiceFn<F>, Memory>
where
    F: FnMut(Request<Empty<Bytes>>) -> Fut,
{
    MeterLayer::new(memory.clone()).keep_bodies_up_to(3).layer(service_fn(answer))
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_leaves_a_full_row() {
    let memory = Memory::default();
    let mut service = metered(&memory, |request| {
        request.extensions().get::<Trip>().unwrap().asked(asked(false));
        std::future::pending::<Answer>()
    });
    drop(service.call(Request::new(Empty::new())));
    let record = memory.only();
    assert_eq!((record.outcome, record.status, record.asked.model.as_deref()), (Outcome::ClientGone, None, Some("m")));
}

#[tokio::test]
async fn an_inner_error_stays_itself_and_is_recorded() {
    let memory = Memory::default();
    let service = metered(&memory, |_| std::future::ready(Err::<Response<Scripted>, _>("inner")));
    assert_eq!(service.oneshot(Request::new(Empty::new())).await.err(), Some("inner"));
    assert_eq!(memory.only().outcome, Outcome::Interrupted);
}

#[tokio::test]
async fn an_empty_answer_that_is_never_polled_is_complete() {
    let memory = Memory::default();
    let service = metered(&memory, |_| {
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    drop(service.oneshot(Request::new(Empty::new())).await.unwrap());
    assert_eq!((memory.only().outcome, memory.only().status), (Outcome::Complete, Some(204)));
}

#[tokio::test]
async fn a_bad_status_is_the_providers_failure_and_the_cap_holds() {
    let memory = Memory::default();
    let service = metered(&memory, |_| {
        let mut response = answer(&[Step::Piece("error.")], false, Served::default()).unwrap();
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let body = service.oneshot(Request::new(Empty::new())).await.unwrap().into_body();
    assert_eq!(body.collect().await.map_err(|_| ()).unwrap().to_bytes(), "error.");
    let record = memory.only();
    assert_eq!((record.outcome, record.error.unwrap().code.as_deref()), (Outcome::UpstreamFailed, Some("429")));
    assert_eq!((record.response.bytes().as_ref(), record.response.state()), (&b"err"[..], BodyState::Truncated));
}

#[tokio::test]
async fn a_panic_below_leaves_its_row() {
    let memory = Memory::default();
    let mut service = metered(&memory, |_| async {
        assert!(std::env::args().next().is_none(), "a handler breaks");
        answer(&[], true, Served::default())
    });
    let call = service.call(Request::new(Empty::new()));
    let broken = tokio::task::JoinSet::from_iter([call]).join_next().await.unwrap();
    assert!(broken.is_err_and(|error| error.is_panic()));
    let record = memory.only();
    assert_eq!((record.outcome, record.error.unwrap().code.as_deref()), (Outcome::Interrupted, Some("panic")));
}

/// Keeps a record when it is told to.
#[derive(Clone, Default)]
struct Slow(Memory, Arc<tokio::sync::Notify>);

impl RecordSink for Slow {
    fn accept(&self, record: LogRecord) -> Receipt {
        let kept = self.1.clone();
        drop(self.0.accept(record));
        Receipt::when(async move { kept.notified().await })
    }
}

#[tokio::test]
async fn the_end_waits_until_the_record_is_kept_and_nothing_else_does() {
    let whole = [Step::Piece("a"), Step::Piece("*b"), Step::Piece("c.")];
    let more = [Step::Piece("a"), Step::Piece("*b"), Step::Piece("c."), Step::Piece(" ")];
    for (steps, knows_its_end) in [(&whole[..], false), (&whole[..], true), (&more[..], false), (&more[..3], true)] {
        let slow = Slow::default();
        let steps = steps.to_vec();
        let service = MeterLayer::new(slow.clone()).layer(service_fn(move |request: Request<Empty<Bytes>>| {
            request.extensions().get::<Trip>().unwrap().asked(asked(true));
            let answer = answer(&steps, knows_its_end, Served::default());
            async { answer }
        }));
        let mut body = service.oneshot(Request::new(Empty::new())).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "*b");
        assert!(slow.0.0.lock().unwrap().is_empty());
        let end = tokio::time::timeout(std::time::Duration::from_millis(20), body.frame()).await;
        assert!(end.is_err(), "the terminal event came before its record was kept");
        let record = slow.0.only();
        assert_eq!(record.outcome, Outcome::Complete);
        assert!(record.response.bytes().starts_with(b"a*bc."));
        assert!(!body.is_end_stream());
        slow.1.notify_one();
        let rest = body.collect().await.unwrap().to_bytes();
        assert!(rest.starts_with(b"c."), "{rest:?}");
        assert_eq!(slow.0.only().response.bytes().len(), 3 + rest.len());
    }
}

#[tokio::test]
async fn a_call_under_way_can_be_looked_at_until_it_is_closed() {
    #[derive(Clone, Default)]
    struct Watching(Memory, Arc<Mutex<Vec<Trip>>>);
    impl RecordSink for Watching {
        fn begun(&self, trip: &Trip) {
            self.1.lock().unwrap().push(trip.clone());
        }
        fn accept(&self, record: LogRecord) -> Receipt {
            self.0.accept(record)
        }
    }
    let watching = Watching::default();
    let service = MeterLayer::new(watching.clone()).layer(service_fn(|request: Request<Empty<Bytes>>| {
        request.extensions().get::<Trip>().unwrap().asked(asked(true));
        let answer = answer(&[Step::Piece("*")], false, Served::default());
        async { answer }
    }));
    let answered = service.oneshot(Request::new(Empty::new())).await.unwrap();
    let trip = watching.1.lock().unwrap()[0].clone();
    let so_far = trip.while_open(|record| record).unwrap();
    assert_eq!((so_far.outcome, so_far.asked.path.as_str()), (Outcome::Interrupted, "/told"));
    answered.into_body().collect().await.unwrap();
    assert!(trip.is_closed() && trip.while_open(|_| ()).is_none());
    assert_eq!(watching.0.only().id, so_far.id);
}
