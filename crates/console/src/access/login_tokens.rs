//! One-time login links.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tachograph_record::OrgId;
use tokio::time::Instant;

use super::secrets::{Fingerprint, NoRandomness, SecretSource, fingerprint};

/// How long a link waits to be used.
const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Links waiting at once; issuing one more lets go of the oldest.
const MOST_WAITING: usize = 64;

/// Issues one-time logins. A clone is a handle to the same links: one goes into [`ConsoleOptions`](crate::ConsoleOptions),
/// the program that prints the link keeps another.
#[derive(Clone)]
pub struct LoginTokens(Arc<Links>);

struct Links {
    source: SecretSource,
    waiting: Mutex<VecDeque<Link>>,
}

struct Link {
    token: Fingerprint,
    org: OrgId,
    expires: Instant,
}

impl LoginTokens {
    /// No links yet.
    ///
    /// # Errors
    /// Where the operating system has no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self(Arc::new(Links { source: SecretSource::new()?, waiting: Mutex::default() })))
    }

    /// A token for `/login?token=…` that opens one session for the home organisation, within ten minutes. It opens
    /// everything that a key opens: show it to nobody but the person at the terminal.
    #[must_use]
    pub fn issue(&self) -> String {
        self.issue_for(OrgId::HOME)
    }

    /// The same for another organisation.
    #[must_use]
    pub fn issue_for(&self, org: OrgId) -> String {
        let token = self.0.source.next();
        let link = Link { token: fingerprint(&token), org, expires: Instant::now() + LIFETIME };
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MOST_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(link);
        token
    }

    /// Uses a token up: whose it was, where it was waiting and is not too old.
    pub(crate) fn redeem(&self, token: &str) -> Option<OrgId> {
        let (now, token) = (Instant::now(), fingerprint(token));
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|link| link.expires > now);
        let at = waiting.iter().position(|link| link.token == token)?;
        waiting.remove(at).map(|link| link.org)
    }

    /// A secret for a session, from the same source.
    pub(crate) fn session_secret(&self) -> String {
        self.0.source.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_opens_once_and_not_after_ten_minutes() {
        let tokens = LoginTokens::new().unwrap();
        let (first, second) = (tokens.issue(), tokens.issue());
        assert_eq!(tokens.redeem(&first), Some(OrgId::HOME));
        assert_eq!(tokens.redeem(&first), None, "single use");
        tokio::time::advance(LIFETIME).await;
        assert_eq!(tokens.redeem(&second), None, "expired");
        assert_eq!(tokens.redeem(""), None);
    }

    #[tokio::test]
    async fn the_oldest_makes_room() {
        let tokens = LoginTokens::new().unwrap();
        let issued: Vec<_> = (0..=MOST_WAITING).map(|_| tokens.issue()).collect();
        assert_eq!(tokens.redeem(&issued[0]), None);
        assert!(issued[1..].iter().all(|token| tokens.redeem(token).is_some()));
    }
}
