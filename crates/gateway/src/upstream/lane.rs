//! The kept connections to one origin.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::time::Instant;

use super::driven::Driven;
use crate::upload::Sent;

/// Idle connections kept for each origin. Above this, the operating system's limits come first.
const MOST_IDLE: usize = 1024;
/// An idle connection older than this may have been cut by a middlebox without notice.
const IDLE_FOR: Duration = Duration::from_secs(90);

/// The connections to one origin that wait for a request, and the one that calls share where HTTP/2 is spoken.
#[derive(Default)]
pub(super) struct Lane {
    // Held to push or to pop, never while anything is waited for.
    idle: Mutex<VecDeque<Box<Driven>>>,
    shared: Mutex<Option<http2::SendRequest<Sent>>>,
}

impl Lane {
    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, driven: Box<Driven>) {
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push_back(driven);
        }
    }

    /// The connection that served last and is still open: the warmest.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Option<Box<Driven>> {
        loop {
            let mut driven = self.idle().pop_back()?;
            if driven.idle_since.elapsed() < IDLE_FOR && driven.is_ready(cx) {
                return Some(driven);
            }
        }
    }

    /// Closes what has been idle for too long. Returns whether nothing is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle();
        while idle.front().is_some_and(|oldest| now.duration_since(oldest.idle_since) >= IDLE_FOR) {
            idle.pop_front();
        }
        let none_idle = idle.is_empty();
        drop(idle);
        let mut shared = self.shared_slot();
        if shared.as_ref().is_some_and(http2::SendRequest::is_closed) {
            *shared = None;
        }
        none_idle && shared.is_none()
    }

    /// The connection that calls share, if there is one and it is open.
    pub(super) fn shared(&self) -> Option<http2::SendRequest<Sent>> {
        self.shared_slot().as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    /// From now on calls share this connection.
    pub(super) fn share(&self, sender: http2::SendRequest<Sent>) {
        *self.shared_slot() = Some(sender);
    }

    /// Calls share this connection no longer, if it has closed; one failed stream leaves the others alone.
    pub(super) fn forget(&self, failed: &http2::SendRequest<Sent>) {
        if failed.is_closed() {
            *self.shared_slot() = None;
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<Driven>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared_slot(&self) -> MutexGuard<'_, Option<http2::SendRequest<Sent>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
