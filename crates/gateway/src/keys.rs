//! Our own API keys: made, hashed, checked.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tachograph_record::{KeyId, OrgId, Timestamp};
use tachograph_store::{KeyRow, Store, StoreError};

use crate::config::Secret;

/// What our generated keys begin with; so a key in a URL's path can be told from a part of the path.
pub const KEY_PREFIX: &str = "sk-tachograph-";

/// Who a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The tenant.
    pub org: OrgId,
    /// The key.
    pub key: KeyId,
}

/// All valid keys, by hash, in memory: checking one touches no store.
///
/// A key is 192 random bits, so a plain SHA-256 of it can neither be guessed nor looked up, and gateways that share a
/// store agree on it without sharing a secret of their own.
#[derive(Default)]
pub struct KeyRing {
    holders: ArcSwap<HashMap<[u8; 32], Holder>>,
}

impl KeyRing {
    /// Reads the valid keys anew from the store.
    ///
    /// # Errors
    /// Where the store cannot be read; the keys stay as they were.
    pub async fn reload(&self, store: &dyn Store) -> Result<(), StoreError> {
        let valid = store.keys().await?.into_iter().filter(|row| row.revoked_at.is_none());
        let holders = valid.map(|row| (row.hash, Holder { org: row.org, key: row.id })).collect();
        self.holders.store(Arc::new(holders));
        Ok(())
    }

    /// Who holds this key, if it is one of ours. The key is compared by digest, in constant time.
    #[must_use]
    pub fn check(&self, presented: &str) -> Option<Holder> {
        let hash = hash(presented);
        let holders = self.holders.load();
        let (known, holder) = holders.get_key_value(&hash)?;
        bool::from(known.ct_eq(&hash)).then_some(*holder)
    }

    /// Whether a key that was checked once is still valid.
    #[must_use]
    pub fn is_active(&self, key: KeyId) -> bool {
        self.holders.load().values().any(|holder| holder.key == key)
    }

    /// The organisations that have a key.
    #[must_use]
    pub fn orgs(&self) -> Vec<OrgId> {
        let mut orgs: Vec<OrgId> = self.holders.load().values().map(|holder| holder.org).collect();
        orgs.sort_unstable();
        orgs.dedup();
        orgs
    }

    /// Whether there is any key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holders.load().is_empty()
    }
}

/// A new key: the text, to be shown once, and the row to store.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn generate(name: &str) -> Result<(Secret, KeyRow), getrandom::Error> {
    let mut random = [0_u8; 24];
    getrandom::fill(&mut random)?;
    let text = format!("{KEY_PREFIX}{}", hex::encode(random));
    Ok((Secret::from(text.as_str()), row_of(&text, name)))
}

/// The row of a key that was given from outside.
#[must_use]
pub fn row_of(text: &str, name: &str) -> KeyRow {
    let characters: Vec<char> = text.chars().collect();
    // Four characters tell keys apart; a key too short for that shows none.
    let hint = if characters.len() >= 16 { characters[characters.len() - 4..].iter().collect() } else { String::new() };
    KeyRow {
        id: KeyId::generate(),
        org: OrgId::HOME,
        name: name.to_owned(),
        hash: hash(text),
        hint,
        created_at: Timestamp::now(),
        revoked_at: None,
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_known_by_its_hash_alone() {
        let (secret, row) = generate("first").unwrap();
        let ring = KeyRing::default();
        assert!(ring.is_empty() && ring.check(secret.expose()).is_none());
        ring.holders.store(Arc::new([(row.hash, Holder { org: row.org, key: row.id })].into()));
        assert_eq!(ring.check(secret.expose()).unwrap().key, row.id);
        assert!(ring.check("sk-tachograph-other").is_none() && ring.check("").is_none());
        assert!(secret.expose().ends_with(&row.hint) && row.hint.len() == 4);
    }
}
