//! What comes up with the answer.

use std::sync::Arc;

use tachograph_record::{LogRecord, RecordedError, Tap};

use crate::SharedTap;

/// Is told how a call ended that it took part in: a breaker learns so of streams that break off.
pub trait OnEnd: Send + Sync {
    /// The call's record, before it is priced. It must not block.
    fn ended(&self, record: &LogRecord);
}

/// What the layers below the meter know about an answer, in the response's extensions.
#[derive(Clone, Default)]
pub struct Served {
    /// The provider that served, or was asked last.
    pub provider: Option<Arc<str>>,
    /// The model as that provider was asked for it.
    pub provider_model: Option<String>,
    /// Why the gateway itself said no.
    pub refusal: Option<RecordedError>,
    /// What went wrong upstream.
    pub failure: Option<RecordedError>,
    /// Whether the answer's body is to be left out of the record.
    pub omit_body: bool,
    /// What reads the answer as it passes.
    pub tap: Option<SharedTap>,
    /// Who is told how it ended.
    pub on_end: Option<Arc<dyn OnEnd>>,
}

impl Served {
    /// Reads the answer with this tap as it passes.
    #[must_use]
    pub fn with_tap(mut self, tap: Box<dyn Tap>) -> Self {
        self.tap = Some(SharedTap::fed_by_the_meter(tap));
        self
    }

    /// Reads the answer with a tap that another layer feeds, because what it reads is not what the client gets.
    #[must_use]
    pub fn with_shared_tap(mut self, tap: SharedTap) -> Self {
        self.tap = Some(tap);
        self
    }

    /// The answer is the gateway's own refusal.
    #[must_use]
    pub fn refused(error: RecordedError) -> Self {
        Self { refusal: Some(error), ..Self::default() }
    }
}
