//! What goes down with a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{Method, Uri};
use tachograph_record::{Asked, Attempt, Attribution, Body, OrgId, Parameters, RecordId, RecordedError, Timestamp};

/// One request on its way through the layers below the meter: its id, its clock, and the two things they tell the record
/// as soon as they know them, so that they are on it even if the client leaves before the answer's head.
#[derive(Clone)]
pub struct Trip(Arc<Inner>);

struct Inner {
    id: RecordId,
    received_at: Timestamp,
    started: Instant,
    method: Method,
    uri: Uri,
    // One task writes at a time, so the lock is never contended.
    journal: Mutex<Journal>,
}

#[derive(Default)]
struct Journal {
    asked: Option<Asked>,
    attempts: Vec<Attempt>,
}

impl Trip {
    /// Starts the clock.
    #[must_use]
    pub fn begin(id: RecordId, received_at: Timestamp, method: Method, uri: Uri) -> Self {
        let started = Instant::now();
        Self(Arc::new(Inner { id, received_at, started, method, uri, journal: Mutex::default() }))
    }

    /// The id of the call and of its record.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.0.id
    }

    /// When the call was received.
    #[must_use]
    pub fn received_at(&self) -> Timestamp {
        self.0.received_at
    }

    /// µs since the call was received.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Tells the record what was asked.
    pub fn asked(&self, asked: Asked) {
        self.journal().asked = Some(asked);
    }

    pub(crate) fn stream_was_asked(&self) -> bool {
        self.journal().asked.as_ref().is_some_and(|asked| asked.stream)
    }

    /// Tells the record that a provider is asked now.
    pub fn attempt(&self, provider: Arc<str>, model: Option<String>) {
        let sent_us = self.elapsed_us();
        self.journal().attempts.push(Attempt { provider, model, sent_us, head_us: None, status: None, error: None });
    }

    /// Tells the record that the provider asked last has answered with this status.
    pub fn attempt_answered(&self, status: u16) {
        let head_us = self.elapsed_us();
        if let Some(attempt) = self.journal().attempts.last_mut() {
            attempt.head_us = Some(head_us);
            attempt.status = Some(status);
        }
    }

    /// µs that providers took to begin their answers, over all attempts.
    #[must_use]
    pub fn upstream_us(&self) -> u64 {
        let spent = |attempt: &Attempt| attempt.head_us.map_or(0, |head| head.saturating_sub(attempt.sent_us));
        self.journal().attempts.iter().map(spent).sum()
    }

    /// Tells the record what was wrong with the last attempt.
    pub fn attempt_failed(&self, error: RecordedError) {
        if let Some(attempt) = self.journal().attempts.last_mut() {
            attempt.error = Some(error);
        }
    }

    /// What was asked and each attempt, for the record that is closed now.
    pub(crate) fn take(&self) -> (Asked, Vec<Attempt>) {
        let journal = std::mem::take(&mut *self.journal());
        (journal.asked.unwrap_or_else(|| self.asked_by_head()), journal.attempts)
    }

    /// What was asked as far as the head alone tells, for a request whose layers told nothing.
    fn asked_by_head(&self) -> Asked {
        Asked {
            org: OrgId::HOME,
            key: None,
            api: "other".into(),
            method: self.0.method.as_str().to_owned().into(),
            path: self.0.uri.path().to_owned(),
            model: None,
            stream: false,
            parameters: Parameters::default(),
            attribution: Attribution::default(),
            body: Body::default(),
            trace_id: None,
            parent_span_id: None,
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
