//! The key of a request.

use std::fmt;

use crate::canonical::canonical;

/// Whose answers these are. There is no key without one, so no two of them ever share an answer.
#[derive(Clone, Copy)]
pub struct Tenant<'a>(&'a [u8]);

impl<'a> Tenant<'a> {
    /// The tenant of this id.
    #[must_use]
    pub const fn new(id: &'a [u8]) -> Self {
        Self(id)
    }
}

/// What makes a request the request that it is.
pub struct Subject<'a> {
    /// Whose answer it would be.
    pub tenant: Tenant<'a>,
    /// The method, the path with its query, the name of the API: whatever says what is asked for beside the body.
    pub route: &'a [&'a str],
    /// The headers that matter: versions, betas, and the caller's own key for the provider. Their order makes no difference.
    pub headers: Vec<(&'a [u8], &'a [u8])>,
    /// A namespace.
    pub seed: Option<&'a str>,
    /// Fields at the top of the body that make no difference.
    pub ignore: &'a [String],
    /// The body. Where it is JSON, the order of keys and white space make no difference, and every field does.
    pub body: &'a [u8],
}

/// A request's key but for who serves it.
#[derive(Clone)]
pub struct RequestKey(blake3::Hasher);

/// A key: two requests of the same key get the same answer. 256 bits of BLAKE3, so that nobody can make two requests of
/// one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl Subject<'_> {
    /// Its key but for who serves it.
    #[must_use]
    pub fn key(mut self) -> RequestKey {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            // Lengths first: no two lists of parts read alike.
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(b"tachograph cache 1");
        part(self.tenant.0);
        part(&[u8::from(self.seed.is_some())]);
        part(self.seed.unwrap_or_default().as_bytes());
        part(&(self.route.len() as u64).to_le_bytes());
        self.route.iter().for_each(|text| part(text.as_bytes()));
        self.headers.sort_unstable();
        part(&(self.headers.len() as u64).to_le_bytes());
        for (name, value) in &self.headers {
            part(name);
            part(value);
        }
        match canonical(self.body, self.ignore) {
            Some(form) => {
                part(b"json");
                part(&form);
            }
            None => {
                part(b"bytes");
                part(self.body);
            }
        }
        RequestKey(hasher)
    }
}

impl RequestKey {
    /// The key of this request as that one serves it: a provider and its model.
    #[must_use]
    pub fn served_by(&self, target: &str) -> CacheKey {
        let mut hasher = self.0.clone();
        hasher.update(b"target").update(target.as_bytes());
        CacheKey(*hasher.finalize().as_bytes())
    }

    /// What tells two requests apart that claim to be the same.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

impl CacheKey {
    /// The key under which a tenant's `Idempotency-Key` is known.
    #[must_use]
    pub fn idempotent(tenant: Tenant<'_>, key: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tachograph idempotency 1");
        hasher.update(&(tenant.0.len() as u64).to_le_bytes()).update(tenant.0).update(key.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The key of one of several answers to a request, counted from 0.
    #[must_use]
    pub fn slot(mut self, index: u32) -> Self {
        for (byte, other) in self.0.iter_mut().zip(index.to_le_bytes()) {
            *byte ^= other;
        }
        self
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(change: impl FnOnce(&mut Subject<'_>)) -> CacheKey {
        let mut subject = Subject {
            tenant: Tenant::new(b"acme"),
            route: &["POST", "/v1/chat/completions", "openai.chat"],
            headers: vec![(b"anthropic-version", b"1"), (b"authorization", b"k")],
            seed: None,
            ignore: &[],
            body: br#"{"model":"m","messages":[]}"#,
        };
        change(&mut subject);
        subject.key().served_by("openai/m")
    }

    #[test]
    fn every_part_counts() {
        let usual = key(|_| ());
        assert_eq!(usual, key(|subject| subject.headers.reverse()));
        assert_eq!(usual, key(|subject| subject.body = br#"{ "messages":[], "model":"m" }"#));
        let others = [
            key(|subject| subject.tenant = Tenant::new(b"umbrella")),
            key(|subject| subject.route = &["GET", "/v1/chat/completions", "openai.chat"]),
            key(|subject| subject.route = &["POST", "/v1/chat/completionsopenai.chat", ""]),
            key(|subject| subject.seed = Some("")),
            key(|subject| subject.seed = Some("s")),
            key(|subject| subject.headers[1].1 = b"another"),
            key(|subject| _ = subject.headers.pop()),
            key(|subject| subject.body = br#"{"model":"m","messages":[],"user":"u"}"#),
            key(|subject| subject.body = b"{\"model\":\"m\",\"messages\":[]"),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(usual, *other, "{index}");
            assert_eq!(others.iter().filter(|one| *one == other).count(), 1, "{index}");
        }
        assert_ne!(usual.slot(0), usual.slot(1));
        assert_eq!(usual, usual.slot(0));
    }

    #[test]
    fn an_idempotency_key_is_a_tenants_own() {
        let of = |tenant: &'static [u8], key| CacheKey::idempotent(Tenant::new(tenant), key);
        assert_eq!(of(b"a", "k"), of(b"a", "k"));
        assert_ne!(of(b"a", "k"), of(b"b", "k"));
        assert_ne!(of(b"a", "bk"), of(b"ab", "k"));
    }
}
