//! Who tells.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use tachograph_record::{KeyId, OrgId};

use super::{Caller, header};

/// Knows our keys.
pub trait Callers: Send + Sync {
    /// The tenant and the key, where this text is a valid key.
    fn holder(&self, key: &str) -> Option<(OrgId, KeyId)>;
}

impl<F: Fn(&str) -> Option<(OrgId, KeyId)> + Send + Sync> Callers for F {
    fn holder(&self, key: &str) -> Option<(OrgId, KeyId)> {
        self(key)
    }
}

/// Headers that may hold a key, the more specific first.
const CARRIERS: [&str; 5] = ["helicone-auth", "tachograph-auth", "authorization", "x-api-key", "api-key"];

/// Who tells, by the first valid key: bare, as `Bearer`, or as either half of `Basic` (`public:secret`, as exporters of
/// some observability tools send it).
pub(super) fn identify(headers: &HeaderMap, callers: &dyn Callers) -> Option<Caller> {
    CARRIERS.iter().filter_map(|name| header(headers, name)).find_map(|value| by_value(value, callers))
}

fn by_value(value: &str, callers: &dyn Callers) -> Option<Caller> {
    match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => callers.holder(rest.trim()),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
            let (user, password) = pair.split_once(':')?;
            callers.holder(password).or_else(|| callers.holder(user))
        }
        _ => callers.holder(value),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_key_is_found_in_every_carrier() {
        let key = KeyId::generate();
        let callers = move |text: &str| (text == "sk-ours").then_some((OrgId::HOME, key));
        let asked = |name: &'static str, value: &str| {
            let headers =
                [(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())].into_iter().collect();
            identify(&headers, &callers).is_some()
        };
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (name, value) in [
            ("authorization", "Bearer sk-ours"),
            ("authorization", "bearer  sk-ours"),
            ("authorization", "sk-ours"),
            ("helicone-auth", "Bearer sk-ours"),
            ("x-api-key", "sk-ours"),
            ("authorization", &basic("pk:sk-ours")),
            ("authorization", &basic("sk-ours:")),
        ] {
            assert!(asked(name, value), "{name}: {value}");
        }
        for (name, value) in [("authorization", "Bearer other"), ("authorization", "Basic %%"), ("cookie", "sk-ours")] {
            assert!(!asked(name, value), "{name}: {value}");
        }
    }
}
