//! Words nobody can guess.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The operating system gave no random bytes, so nothing unguessable can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

/// Makes 256-bit secrets: SHA-256 in counter mode over a seed that is read once, so that making one cannot fail.
pub(crate) struct SecretSource {
    seed: [u8; 32],
    made: AtomicU64,
}

impl SecretSource {
    /// A source with a fresh seed from the operating system.
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(NoRandomness)?;
        Ok(Self { seed, made: AtomicU64::new(0) })
    }

    /// The next secret, as 64 hex digits.
    pub(crate) fn next(&self) -> String {
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        hex::encode(Sha256::new().chain_update(self.seed).chain_update(count.to_le_bytes()).finalize())
    }
}

/// What is kept of a secret: enough to know it again, not enough to use it. Looking one up by its digest takes a time
/// that tells nothing about the secret.
pub(crate) type Fingerprint = [u8; 32];

/// The fingerprint of a secret.
pub(crate) fn fingerprint(secret: &str) -> Fingerprint {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (SecretSource::new().unwrap(), SecretSource::new().unwrap());
        let made = [one.next(), one.next(), other.next(), other.next()];
        assert!(made.iter().all(|secret| secret.len() == 64));
        assert_eq!(made.iter().collect::<std::collections::BTreeSet<_>>().len(), made.len());
    }
}
