//! Sessions: in memory, bounded, and over when they were not used for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Caller;
use super::secrets::{Fingerprint, fingerprint};

/// A session ends when it was not used for so long.
const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// A session ends after so long in any case.
pub(crate) const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Sessions at once; one more ends the one that was not used for longest.
const MOST: usize = 1024;

/// All open sessions, by the fingerprint of their secret.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Fingerprint, Session>>);

struct Session {
    caller: Caller,
    opened: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) >= IDLE || now.duration_since(self.opened) >= LIFETIME
    }
}

impl Sessions {
    /// Opens a session under a secret.
    pub(crate) fn open(&self, secret: &str, caller: Caller) {
        let now = Instant::now();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST {
            held.retain(|_, session| !session.is_over(now));
        }
        if held.len() >= MOST {
            let idlest = held.iter().min_by_key(|(_, session)| session.used).map(|(&secret, _)| secret);
            idlest.and_then(|secret| held.remove(&secret));
        }
        held.insert(fingerprint(secret), Session { caller, opened: now, used: now });
    }

    /// Whose session it is, where it is open.
    pub(crate) fn find(&self, secret: &str) -> Option<Caller> {
        let (now, secret) = (Instant::now(), fingerprint(secret));
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = held.get_mut(&secret)?;
        if session.is_over(now) {
            held.remove(&secret);
            return None;
        }
        session.used = now;
        Some(session.caller)
    }

    /// Ends a session.
    pub(crate) fn close(&self, secret: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&fingerprint(secret));
    }
}

#[cfg(test)]
mod tests {
    use tachograph_record::OrgId;

    use super::*;

    const CALLER: Caller = Caller { org: OrgId::HOME, key: None };

    #[tokio::test(start_paused = true)]
    async fn ends_when_idle_when_old_and_when_closed() {
        let sessions = Sessions::default();
        sessions.open("idle", CALLER);
        sessions.open("busy", CALLER);
        for _ in 0..13 {
            tokio::time::advance(IDLE - Duration::from_secs(1)).await;
            assert_eq!(sessions.find("busy"), Some(CALLER));
        }
        assert_eq!(sessions.find("idle"), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(sessions.find("busy"), Some(CALLER));
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        assert_eq!(sessions.find("busy"), None, "a week is the end of it");
        sessions.open("closed", CALLER);
        sessions.close("closed");
        assert_eq!(sessions.find("closed"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_ends_the_least_used() {
        let sessions = Sessions::default();
        sessions.open("first", CALLER);
        tokio::time::advance(Duration::from_secs(1)).await;
        for n in 0..MOST {
            sessions.open(&n.to_string(), CALLER);
        }
        assert_eq!(sessions.find("first"), None);
        assert_eq!(sessions.find("0"), Some(CALLER));
        assert_eq!(sessions.0.lock().unwrap().len(), MOST);
    }
}
