//! What goes down with a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use http::{Method, Uri};
use tachograph_record::{
    Asked, Attempt, Body, CacheVerdict, Control, CostState, LimitVerdict, LogRecord, Outcome, Reading, RecordId,
    RecordedError, Timestamp, Timing, Usage,
};

use crate::RecordEdit;

/// One request on its way through the layers below the meter: its id, its clock, and what they tell the record as soon as
/// they know it (what was asked, each attempt, what the gateway decided), so that it is there even if the client leaves before the answer's head.
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
    edit: OnceLock<Arc<dyn RecordEdit>>,
    left: AtomicBool,
}

#[derive(Default)]
struct Journal {
    asked: Option<Asked>,
    attempts: Vec<Attempt>,
    control: Control,
    closed: bool,
}

impl Trip {
    /// Starts the clock.
    #[must_use]
    pub fn begin(id: RecordId, received_at: Timestamp, method: Method, uri: Uri) -> Self {
        let started = Instant::now();
        Self(Arc::new(Inner {
            id,
            received_at,
            started,
            method,
            uri,
            journal: Mutex::default(),
            edit: OnceLock::new(),
            left: AtomicBool::new(false),
        }))
    }

    /// Has every record that is shown of this call edited first ([`Trip::while_open`]); the first word counts.
    pub(crate) fn edit_with(&self, edit: Arc<dyn RecordEdit>) {
        let _ = self.0.edit.set(edit);
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

    /// Looks at what the record knows was asked, and may add to it; `None` where it knows nothing yet.
    pub fn amend<R>(&self, amend: impl FnOnce(&mut Asked) -> R) -> Option<R> {
        self.journal().asked.as_mut().map(amend)
    }

    /// Tells the record that a provider is asked now.
    pub fn attempt(&self, provider: Arc<str>, model: Option<String>) {
        let sent_us = self.elapsed_us();
        self.journal().attempts.push(Attempt { provider, model, sent_us, ..Attempt::default() });
    }

    /// Tells the record which of the provider's keys the last attempt uses, counted from 0.
    pub fn attempt_key(&self, key: u32) {
        if let Some(attempt) = self.journal().attempts.last_mut() {
            attempt.key = Some(key);
        }
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

    /// With which of the provider's keys the last attempt was made, where it was one of ours.
    #[must_use]
    pub fn key_of_attempt(&self) -> Option<u32> {
        self.journal().attempts.last()?.key
    }

    /// Tells the record what was wrong with the last attempt, which is over by that.
    pub fn attempt_failed(&self, error: RecordedError) {
        let end_us = self.elapsed_us();
        if let Some(attempt) = self.journal().attempts.last_mut() {
            attempt.error = Some(error);
            attempt.end_us = Some(end_us);
        }
    }

    /// Tells the record what an attempt used that did not serve in the end.
    pub fn attempt_used(&self, usage: Usage) {
        if let Some(attempt) = self.journal().attempts.last_mut() {
            attempt.usage = Some(usage);
        }
    }

    /// Whether a provider was asked whose answer is not over.
    pub(crate) fn attempt_is_under_way(&self) -> bool {
        self.journal().attempts.last().is_some_and(|attempt| attempt.end_us.is_none())
    }

    pub(crate) fn leave(&self) {
        self.0.left.store(true, Ordering::Relaxed);
    }

    /// Whether the client has left, and what is under way goes on for the record alone: nothing more must be begun.
    #[must_use]
    pub fn client_has_left(&self) -> bool {
        self.0.left.load(Ordering::Relaxed)
    }

    /// How many attempts there were so far.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.journal().attempts.len()
    }

    /// Tells the record what the cache said; the last word counts.
    pub fn cache(&self, verdict: CacheVerdict) {
        self.journal().control.cache = Some(verdict);
    }

    /// Tells the record what a limit or a budget said.
    pub fn limit(&self, verdict: LimitVerdict) {
        self.journal().control.limits.push(verdict);
    }

    /// Tells the record something about how the call was served that a careful reader should know.
    pub fn note(&self, note: impl Into<String>) {
        self.journal().control.notes.push(note.into());
    }

    /// What was asked, each attempt and what was decided, for the record that is closed now.
    pub(crate) fn take(&self) -> (Asked, Vec<Attempt>, Control) {
        let closed = Journal { closed: true, ..Journal::default() };
        let journal = std::mem::replace(&mut *self.journal(), closed);
        (journal.asked.unwrap_or_else(|| self.asked_by_head()), journal.attempts, journal.control)
    }

    /// Whether the record knows by now what was asked.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        self.journal().asked.is_some()
    }

    /// Whether the record has been closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.journal().closed
    }

    /// Shows the record as it would be if the process died now. The record cannot be closed meanwhile, so be quick;
    /// `None` where it is closed already.
    pub fn while_open<R>(&self, look: impl FnOnce(LogRecord) -> R) -> Option<R> {
        let journal = self.journal();
        if journal.closed {
            return None;
        }
        let asked = journal.asked.clone().unwrap_or_else(|| self.asked_by_head());
        let (attempts, control) = (journal.attempts.clone(), journal.control.clone());
        let last = attempts.last();
        let mut record = LogRecord {
            id: self.0.id,
            asked,
            provider: last.map(|attempt| attempt.provider.clone()),
            provider_model: last.and_then(|attempt| attempt.model.clone()),
            status: None,
            outcome: Outcome::Interrupted,
            error: Some(RecordedError {
                kind: "gateway_error".to_owned(),
                code: Some("interrupted".to_owned()),
                message: "The gateway's process ended while the call was under way.".to_owned(),
            }),
            timing: Timing {
                received_at: self.0.received_at,
                upstream_sent_us: attempts.first().map(|attempt| attempt.sent_us),
                first_byte_us: None,
                first_token_us: None,
                end_us: self.elapsed_us(),
            },
            attempts,
            reading: Reading::default(),
            cost: CostState::NoUsage,
            control,
            response: Body::default(),
        };
        if let Some(edit) = self.0.edit.get() {
            edit.edit(&mut record);
        }
        Some(look(record))
    }

    /// What was asked as far as the head alone tells, for a request whose layers told nothing.
    fn asked_by_head(&self) -> Asked {
        Asked {
            method: self.0.method.as_str().to_owned().into(),
            path: self.0.uri.path().to_owned(),
            ..Asked::default()
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
