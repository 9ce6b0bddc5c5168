//! A record that is not closed yet.

use bytes::Bytes;
use http::StatusCode;
use tachograph_record::{Body, CostState, LogRecord, Outcome, Reading, RecordedError, Timing};

use crate::{Receipt, RecordSink, Served, Trip};

/// How the meter saw a call end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer's last frame was handed over.
    End,
    /// The answer's body broke off with an error.
    Broken,
    /// The layers below gave an error instead of an answer.
    NoAnswer,
    /// The client left, or the task that served it panicked.
    Dropped,
}

/// Everything a record will be made of. Closing it makes the record; dropping it unclosed closes it too.
pub(crate) struct OpenRecord<S: RecordSink> {
    parts: Option<Parts<S>>,
}

struct Parts<S> {
    trip: Trip,
    sink: S,
    keep: usize,
    status: Option<StatusCode>,
    served: Served,
    response: Body,
    streams: bool,
    first_byte_us: Option<u64>,
    first_token_us: Option<u64>,
    // The client has left, and the answer is read on for the record alone.
    left: bool,
}

impl<S: RecordSink> OpenRecord<S> {
    pub(crate) fn new(trip: Trip, sink: S, keep: usize) -> Self {
        sink.begun(&trip);
        Self {
            parts: Some(Parts {
                trip,
                sink,
                keep,
                status: None,
                served: Served::default(),
                response: Body::default(),
                streams: false,
                first_byte_us: None,
                first_token_us: None,
                left: false,
            }),
        }
    }

    /// The answer's head has come.
    pub(crate) fn answered(mut self, status: StatusCode, served: Option<Served>) -> Self {
        if let Some(parts) = &mut self.parts {
            parts.status = Some(status);
            parts.streams = parts.trip.stream_was_asked();
            parts.served = served.unwrap_or_default();
            if parts.served.omit_body {
                parts.response = Body::omitted();
            }
        }
        self
    }

    /// The client has left, and the answer is read on without it. What comes from now on is on the record, but is no
    /// first byte or token of the client's. Returns whether there is anything to read on for: an answer that began, or an
    /// attempt that is under way.
    pub(crate) fn leave(&mut self) -> bool {
        let Some(parts) = &mut self.parts else { return false };
        if parts.served.refusal.is_some() || !parts.trip.attempt_is_under_way() {
            return false;
        }
        parts.left = true;
        parts.trip.leave();
        let ms = parts.trip.elapsed_us() / 1_000;
        parts.trip.note(format!("the client left after {ms} ms; the rest of the answer was read for what it used"));
        true
    }

    pub(crate) fn note(&self, note: String) {
        if let Some(parts) = &self.parts {
            parts.trip.note(note);
        }
    }

    /// A piece of the answer is about to be handed to the client. Returns whether the answer's terminal event has passed.
    pub(crate) fn see(&mut self, piece: &Bytes) -> bool {
        let Some(parts) = &mut self.parts else { return false };
        if parts.first_byte_us.is_none() && !piece.is_empty() && !parts.left {
            parts.first_byte_us = Some(parts.trip.elapsed_us());
        }
        let mut settled = false;
        if let Some(tap) = &parts.served.tap {
            let seen = tap.see(piece);
            settled = seen.settled;
            if seen.content && parts.streams && parts.first_token_us.is_none() && !parts.left {
                parts.first_token_us = Some(parts.trip.elapsed_us());
            }
        }
        parts.response.push(piece, parts.keep);
        settled
    }

    pub(crate) fn close(mut self, ending: Ending) -> Receipt {
        self.close_once(ending)
    }

    fn close_once(&mut self, ending: Ending) -> Receipt {
        let Some(parts) = self.parts.take() else { return Receipt::kept() };
        let (sink, record) = parts.into_record(ending);
        sink.accept(record)
    }
}

impl<S: RecordSink> Drop for OpenRecord<S> {
    fn drop(&mut self) {
        let _nobody_waits = self.close_once(Ending::Dropped);
    }
}

impl<S: RecordSink> Parts<S> {
    fn into_record(self, ending: Ending) -> (S, LogRecord) {
        let end_us = self.trip.elapsed_us();
        let reading = match &self.served.tap {
            Some(tap) => tap.finish(),
            // Nobody reads this answer, so its last frame is its end.
            None => Reading { ended: ending == Ending::End, ..Reading::default() },
        };
        let (outcome, error) = match judge(ending, self.status, &self.served, &reading) {
            // However the answer went on, nobody was there for it.
            (outcome, error) if self.left && outcome != Outcome::Refused => {
                (Outcome::ClientGone, error.filter(|_| outcome == Outcome::UpstreamFailed))
            }
            judged => judged,
        };
        let (asked, mut attempts, control) = self.trip.take();
        if let Some(last) = attempts.last_mut()
            && last.end_us.is_none()
        {
            (last.first_token_us, last.end_us) = (self.first_token_us, Some(end_us));
        }
        let timing = Timing {
            received_at: self.trip.received_at(),
            upstream_sent_us: attempts.first().map(|attempt| attempt.sent_us),
            first_byte_us: self.first_byte_us,
            first_token_us: self.first_token_us,
            end_us,
        };
        let last = attempts.last();
        let record = LogRecord {
            id: self.trip.id(),
            asked,
            provider: self.served.provider.or_else(|| last.map(|attempt| attempt.provider.clone())),
            provider_model: self.served.provider_model.or_else(|| last.and_then(|attempt| attempt.model.clone())),
            attempts,
            status: self.status.map(|status| status.as_u16()),
            outcome,
            error,
            timing,
            reading,
            cost: CostState::NoUsage,
            control,
            response: self.response,
        };
        if let Some(on_end) = self.served.on_end {
            on_end.ended(&record);
        }
        (self.sink, record)
    }
}

/// How the call ended, and what went wrong if anything did.
fn judge(
    ending: Ending,
    status: Option<StatusCode>,
    served: &Served,
    reading: &Reading,
) -> (Outcome, Option<RecordedError>) {
    if let Some(refusal) = &served.refusal {
        return (Outcome::Refused, Some(refusal.clone()));
    }
    let failed = served.failure.as_ref().or(reading.error.as_ref());
    match ending {
        Ending::Dropped if std::thread::panicking() => {
            (Outcome::Interrupted, Some(ours("panic", "The gateway failed.")))
        }
        // Many clients hang up once they have read the terminal event, and wait for no end of the body behind it.
        Ending::Dropped if reading.ended && reading.finish_reason.is_some() && failed.is_none() => {
            (Outcome::Complete, None)
        }
        // It was told of the error, and waits for nothing more.
        Ending::Dropped if reading.error.is_some() => (Outcome::UpstreamFailed, failed.cloned()),
        Ending::Dropped => (Outcome::ClientGone, failed.cloned()),
        Ending::NoAnswer => (Outcome::Interrupted, Some(ours("no_answer", "The gateway gave no answer."))),
        Ending::End | Ending::Broken if failed.is_some() => (Outcome::UpstreamFailed, failed.cloned()),
        Ending::End | Ending::Broken if status.is_some_and(|status| status.as_u16() >= 400) => {
            let code = status.map(|status| status.as_u16().to_string());
            let message = "The provider answered with an error.".to_owned();
            (Outcome::UpstreamFailed, Some(RecordedError { kind: "upstream_error".to_owned(), code, message }))
        }
        Ending::End if reading.ended => (Outcome::Complete, None),
        Ending::End | Ending::Broken => {
            (Outcome::CutShort, Some(ours("cut_short", "The answer stopped before its end.")))
        }
    }
}

fn ours(code: &str, message: &str) -> RecordedError {
    RecordedError { kind: "gateway_error".to_owned(), code: Some(code.to_owned()), message: message.to_owned() }
}
