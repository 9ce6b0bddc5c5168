//! A call that is told in two pieces, put together: its span, and what was said in it as events among logs.
//!
//! Exporters send spans and logs by batches of their own, so either may come first, and the other seconds later. What came
//! waits here for the rest of it: a span that says nothing of what was said for [`SPAN`], a part for [`PART`]. What waits
//! stays in the spool, so it survives the process. What waited too long, or would be too much, goes on as it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tachograph_record::{Body, BodyState, LogRecord, Origin, RecordId, Step, UsageReading};
use tachograph_spool::Position;

/// A span waits so long for what was said in it. Exporters send every 1 to 5 s.
const SPAN: Duration = Duration::from_secs(10);
/// What was said waits so long for its span, which comes once the call is over.
const PART: Duration = Duration::from_secs(120);
/// So many records wait at most, and so many bytes of bodies.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;

/// A record that waits, with its place in the spool.
struct Held {
    record: LogRecord,
    sequence: u64,
    position: Position,
}

struct Call {
    span: Option<Held>,
    parts: Vec<Held>,
    until: Instant,
}

/// Calls of which a piece is still to come.
#[derive(Default)]
pub(crate) struct Joining {
    calls: HashMap<RecordId, Call>,
    records: usize,
    bytes: usize,
}

impl Joining {
    /// Takes a record of which the rest may come yet, or gives it on: whole, or as it is.
    pub(crate) fn take(&mut self, record: LogRecord, sequence: u64, position: Position) -> Option<LogRecord> {
        if let Some(whole) = record.control.part_of {
            let call = self.call(whole, PART);
            if call.parts.iter().any(|held| held.record.id == record.id) {
                return None; // It was sent twice.
            }
            call.parts.push(Held { record, sequence, position });
            let span = call.span.take();
            self.count();
            let held = span?;
            return self.calls.remove(&whole).map(|call| self.whole(held.record, call.parts));
        }
        if !may_have_parts(&record) {
            return Some(record);
        }
        if let Some(call) = self.calls.remove(&record.id) {
            if call.parts.is_empty() {
                // The same span again.
                self.calls.insert(record.id, call);
                return None;
            }
            return Some(self.whole(record, call.parts));
        }
        if says_something(&record) {
            return Some(record);
        }
        let id = record.id;
        self.call(id, SPAN).span = Some(Held { record, sequence, position });
        self.count();
        None
    }

    /// What has waited long enough, or is too much; all of it at the end of the process.
    pub(crate) fn due(&mut self, all: bool) -> Vec<LogRecord> {
        let now = Instant::now();
        let full = self.records > MOST || self.bytes > MOST_BYTES;
        let ids: Vec<RecordId> =
            self.calls.iter().filter(|(_, call)| all || full || call.until <= now).map(|(&id, _)| id).collect();
        let due: Vec<Call> = ids.iter().filter_map(|id| self.calls.remove(id)).collect();
        self.count();
        due.into_iter().flat_map(|call| call.span.into_iter().chain(call.parts)).map(|held| held.record).collect()
    }

    /// How long until something is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        let first = self.calls.values().map(|call| call.until).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// Where in the spool that stands which waits.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> {
        self.held().map(|held| held.position)
    }

    /// The lowest number of an entry that waits.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.held().map(|held| held.sequence).min()
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.calls.values().flat_map(|call| call.span.iter().chain(&call.parts))
    }

    fn call(&mut self, id: RecordId, wait: Duration) -> &mut Call {
        let until = Instant::now() + wait;
        self.calls.entry(id).or_insert_with(|| Call { span: None, parts: Vec::new(), until })
    }

    fn count(&mut self) {
        let kept = |held: &Held| held.record.asked.body.kept() + held.record.response.kept();
        (self.records, self.bytes) =
            self.held().fold((0, 0), |(records, bytes), held| (records + 1, bytes + kept(held)));
    }

    /// A span's record with what was said in it.
    fn whole(&mut self, mut record: LogRecord, parts: Vec<Held>) -> LogRecord {
        self.count();
        let mut parts: Vec<LogRecord> = parts.into_iter().map(|held| held.record).collect();
        parts.sort_by_key(|part| (part.timing.received_at, part.id));
        let bodies = !record.control.bodies_withheld;
        if bodies && record.asked.body.is_empty() {
            record.asked.body = one_of(parts.iter().map(|part| &part.asked.body), "messages");
            if let Some(api) = parts.iter().map(|part| &part.asked.api).find(|api| *api != "other") {
                record.asked.api = api.clone();
            }
        }
        if bodies && record.response.is_empty() {
            record.response = one_of(parts.iter().map(|part| &part.response), "choices");
        }
        for part in parts {
            // What the span itself tells counts more.
            if record.reading.usage == UsageReading::Absent && part.reading.usage != UsageReading::Absent {
                record.reading.usage = part.reading.usage;
                record.cost = part.cost;
            }
            record.reading.finish_reason = record.reading.finish_reason.or(part.reading.finish_reason);
            record.reading.native_finish_reason =
                record.reading.native_finish_reason.or(part.reading.native_finish_reason);
            for (rule, count) in part.control.redacted {
                match record.control.redacted.iter_mut().find(|(known, _)| *known == rule) {
                    Some((_, found)) => *found += count,
                    None => record.control.redacted.push((rule, count)),
                }
            }
        }
        record
    }
}

fn may_have_parts(record: &LogRecord) -> bool {
    record.asked.origin == Origin::Span && record.asked.step == Step::Model && record.asked.trace_id.is_some()
}

fn says_something(record: &LogRecord) -> bool {
    !record.asked.body.is_empty() || !record.response.is_empty() || record.control.bodies_withheld
}

/// Bodies of several parts as one: of each the elements of the list of this name, in their order. Where one is no such
/// document, the first that says something is all.
fn one_of<'a>(bodies: impl Iterator<Item = &'a Body>, list: &str) -> Body {
    let bodies: Vec<&Body> = bodies.filter(|body| !body.is_empty() && holds(body, list)).collect();
    match &bodies[..] {
        [] => Body::default(),
        [one] => (*one).clone(),
        [first, ..] => {
            let read = |body: &&Body| serde_json::from_slice::<Value>(&body.bytes()).ok();
            let Some(mut documents) = bodies.iter().map(read).collect::<Option<Vec<_>>>() else {
                return (*first).clone();
            };
            let items: Vec<Value> = documents
                .iter_mut()
                .filter_map(|document| document.get_mut(list)?.as_array_mut().map(std::mem::take))
                .flatten()
                .collect();
            documents[0][list] = Value::Array(items);
            Body::capture(&Bytes::from(documents[0].to_string()), usize::MAX)
        }
    }
}

/// Whether something stands in a document's list; a body that was cut off may hold anything.
fn holds(body: &Body, list: &str) -> bool {
    let read = || serde_json::from_slice::<Value>(&body.bytes()).ok();
    body.state() != BodyState::Whole
        || read()
            .is_none_or(|document| document.get(list).and_then(Value::as_array).is_none_or(|items| !items.is_empty()))
}
