//! The layer.

use tachograph_record::Timestamp;
use tower::Layer;

use crate::Meter;

/// A request's extension that sets the wall clock for its record: for traffic that happened earlier. Only code inside
/// the process can set it.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAt(pub Timestamp);

/// Meters every request that passes: see the [crate's page](crate).
#[derive(Clone, Debug)]
pub struct MeterLayer<S> {
    sink: S,
    keep: usize,
}

impl<S> MeterLayer<S> {
    /// Sends every record to this sink, with up to 4 MiB of each answer's body.
    #[must_use]
    pub const fn new(sink: S) -> Self {
        Self { sink, keep: 4 * 1024 * 1024 }
    }

    /// Keeps at most so many bytes of each answer's body.
    #[must_use]
    pub const fn keep_bodies_up_to(mut self, bytes: usize) -> Self {
        self.keep = bytes;
        self
    }
}

impl<S: Clone, Inner> Layer<Inner> for MeterLayer<S> {
    type Service = Meter<Inner, S>;

    fn layer(&self, inner: Inner) -> Self::Service {
        Meter::new(inner, self.sink.clone(), self.keep)
    }
}
