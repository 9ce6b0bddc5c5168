//! A provider's stream, event by event in the client's dialect.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tachograph_providers::chat::StreamEvent;
use tachograph_providers::{Answering, DialectId, StreamReader, StreamWriter, dialect};
use tachograph_record::{Reading, Tap};

use super::relay::broken_off;
use crate::upstream::{UpstreamBody, UpstreamBroken};

pin_project! {
    /// Reads the provider's events and writes the client's. Each frame that comes gives at most one frame, at once.
    pub struct Translate {
        #[pin]
        upstream: UpstreamBody,
        translator: Arc<Mutex<Translator>>,
        done: bool,
    }
}

/// From which dialect into which, and for whom.
pub(super) struct Crossing {
    pub(super) from: DialectId,
    pub(super) to: DialectId,
    pub(super) to_caller: Answering,
    /// Whether the client wants usage at the end of a stream.
    pub(super) include_usage: bool,
    /// Whether it asked for a stream.
    pub(super) stream: bool,
}

/// Translates a stream that is there as a whole.
pub(super) fn at_once(native: &Bytes, crossing: &Crossing) -> (Bytes, Box<dyn Tap>) {
    let mut translator = Translator::new(crossing);
    let mut out = BytesMut::from(&translator.push(native)[..]);
    out.extend_from_slice(&translator.finish());
    (out.freeze(), Box::new(TranslatorTap(Arc::new(Mutex::new(translator)))))
}

impl Translate {
    /// The stream, and the tap that tells the meter what was read from it: translating has parsed every event already.
    pub(super) fn new(upstream: UpstreamBody, crossing: &Crossing) -> (Self, Box<dyn Tap>) {
        let translator = Arc::new(Mutex::new(Translator::new(crossing)));
        let tap = TranslatorTap(translator.clone());
        (Self { upstream, translator, done: false }, Box::new(tap))
    }
}

impl Body for Translate {
    type Data = Bytes;
    type Error = UpstreamBroken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamBroken>>> {
        let mut this = self.project();
        loop {
            if *this.done {
                return Poll::Ready(None);
            }
            let frame = ready!(this.upstream.as_mut().poll_frame(cx));
            // One task reads and is read by the meter in turn, so the lock is never contended.
            let mut translator = this.translator.lock().unwrap_or_else(PoisonError::into_inner);
            let translated = match frame {
                Some(Ok(frame)) => match frame.data_ref() {
                    Some(piece) => translator.push(piece),
                    None => continue,
                },
                None => {
                    *this.done = true;
                    translator.finish()
                }
                Some(Err(broken)) => {
                    *this.done = true;
                    translator.break_off(broken)
                }
            };
            if !translated.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(translated))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }
}

struct Translator {
    reader: Box<dyn StreamReader>,
    writer: Box<dyn StreamWriter>,
    events: Vec<StreamEvent>,
    content: bool,
    ended: bool,
    read: Option<Reading>,
}

impl Translator {
    fn new(crossing: &Crossing) -> Self {
        Self {
            reader: dialect(crossing.from).reader(),
            writer: dialect(crossing.to).writer(&crossing.to_caller, crossing.include_usage),
            events: Vec::new(),
            content: false,
            ended: false,
            read: None,
        }
    }

    fn push(&mut self, piece: &Bytes) -> Bytes {
        self.reader.push(piece, &mut self.events);
        self.write()
    }

    /// The provider has nothing more to say. A stream without its terminal event was cut short, and the client is told.
    fn finish(&mut self) -> Bytes {
        self.reader.finish(&mut self.events);
        let reading = self.reader.reading();
        let mut out = BytesMut::from(&self.write()[..]);
        if !reading.ended && reading.error.is_none() {
            self.writer.fail(&broken_off(UpstreamBroken::Connection), &mut out);
        }
        self.read = Some(reading);
        out.freeze()
    }

    fn break_off(&mut self, broken: UpstreamBroken) -> Bytes {
        let mut out = BytesMut::new();
        self.writer.fail(&broken_off(broken), &mut out);
        out.freeze()
    }

    fn write(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        for event in self.events.drain(..) {
            self.content |= is_content(&event);
            self.ended |= matches!(event, StreamEvent::End);
            self.writer.write(&event, &mut out);
        }
        out.freeze()
    }
}

/// Whether an event carries what a reader waits for: text, reasoning, a tool call.
const fn is_content(event: &StreamEvent) -> bool {
    use StreamEvent as Event;
    match event {
        Event::Text { .. }
        | Event::Thinking { .. }
        | Event::Redacted { .. }
        | Event::Refusal { .. }
        | Event::CallStart { .. }
        | Event::Arguments { .. } => true,
        Event::Start { .. }
        | Event::Signature { .. }
        | Event::Opaque { .. }
        | Event::BlockEnd { .. }
        | Event::Finish { .. }
        | Event::Usage(_)
        | Event::End
        | Event::Error(_) => false,
    }
}

/// Tells the meter what the translator has read.
struct TranslatorTap(Arc<Mutex<Translator>>);

impl Tap for TranslatorTap {
    fn see(&mut self, _piece: &Bytes) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).content
    }

    fn settled(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    fn finish(&mut self) -> Reading {
        let mut translator = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        translator.read.take().unwrap_or_else(|| translator.reader.reading())
    }
}
