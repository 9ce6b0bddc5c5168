//! What calls to providers are authorised with: keys in headers, Amazon's signatures, Google's tokens.
//!
//! A provider may have several, with weights; they take turns. None of it has `Debug`.

mod aws;
mod google;

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tachograph_providers::{AuthStyle, Provider};
use tachograph_reply::ApiError;
use tachograph_routing::Keys;

use crate::config::{Environment, KeyConfig, ProviderConfig, Secret};
use crate::upstream::Pool;

pub(crate) use aws::{AwsKeys, SIGNATURE_HEADERS, is_signature};
use google::GoogleAccount;

/// One of a provider's credentials.
pub(crate) struct Credential {
    /// Which of them it is, counted from 0.
    pub(crate) index: u32,
    pub(crate) kind: Kind,
}

/// What a credential is.
pub(crate) enum Kind {
    /// A key in a header.
    Header(HeaderName, HeaderValue),
    /// Keys that requests are signed with.
    Aws(AwsKeys),
    /// An account that tokens are made for.
    Google(GoogleAccount),
}

/// A provider's credentials, which take turns.
#[derive(Default)]
pub(crate) struct Credentials {
    all: Vec<Arc<Credential>>,
    turns: Keys,
}

impl Credentials {
    /// Those of the configuration; where there are none, those of the environment.
    pub(crate) fn of(provider: &Provider, config: &ProviderConfig, environment: Environment<'_>) -> Self {
        let mut kinds: Vec<(u32, Kind)> = Vec::new();
        for KeyConfig { key, weight, .. } in &config.api_keys {
            kinds.extend(in_header(&provider.auth, key.expose()).map(|kind| (*weight, kind)));
        }
        match &provider.auth {
            AuthStyle::Aws { .. } => kinds.extend(AwsKeys::configured(config).map(|keys| (1, Kind::Aws(keys)))),
            AuthStyle::Google => {
                let account = config.service_account.as_ref().map(|account| GoogleAccount::new(account.expose()));
                kinds.extend(account.map(|account| (1, Kind::Google(account))));
            }
            AuthStyle::Bearer | AuthStyle::Header(_) | AuthStyle::None => {}
        }
        if kinds.is_empty() {
            let key = provider.env.iter().find_map(|name| environment(name));
            kinds.extend(key.and_then(|key| in_header(&provider.auth, &key)).map(|kind| (1, kind)));
        }
        if kinds.is_empty() {
            kinds.extend(match &provider.auth {
                AuthStyle::Aws { .. } => AwsKeys::of_environment(environment).map(|keys| (1, Kind::Aws(keys))),
                AuthStyle::Google => {
                    let file = environment("GOOGLE_APPLICATION_CREDENTIALS");
                    file.map(|file| (1, Kind::Google(GoogleAccount::new(&file))))
                }
                AuthStyle::Bearer | AuthStyle::Header(_) | AuthStyle::None => None,
            });
        }
        Self::taking_turns(kinds)
    }

    /// Those of keys out of the vault: a key, Amazon's `access key:secret[:session token]`, or the JSON of a service
    /// account of Google's.
    pub(crate) fn of_keys(provider: &Provider, keys: &[Secret]) -> Self {
        let kind = |key: &Secret| match &provider.auth {
            AuthStyle::Aws { .. } if key.expose().contains(':') => {
                let mut parts = key.expose().splitn(3, ':');
                AwsKeys::new(parts.next()?, parts.next()?, parts.next()).map(Kind::Aws)
            }
            AuthStyle::Google if key.expose().starts_with('{') => Some(Kind::Google(GoogleAccount::new(key.expose()))),
            auth => in_header(auth, key.expose()),
        };
        Self::taking_turns(keys.iter().filter_map(kind).map(|kind| (1, kind)).collect())
    }

    fn taking_turns(kinds: Vec<(u32, Kind)>) -> Self {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let weights: Vec<u32> = kinds.iter().map(|(weight, _)| *weight).collect();
        let numbered = kinds.into_iter().enumerate();
        let all = numbered.map(|(at, (_, kind))| Arc::new(Credential { index: number(at), kind })).collect();
        Self { all, turns: Keys::weighted(&weights) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one whose turn it is: each as often as its weight says, but for those that are benched.
    pub(crate) fn next(&self, now: u64) -> Option<&Arc<Credential>> {
        self.all.get(usize::try_from(self.turns.turn(now)?).ok()?)
    }

    /// Whose turn it is, and who is benched.
    pub(crate) fn turns(&self) -> &Keys {
        &self.turns
    }

    /// What the credentials know of the project that they are of.
    pub(crate) fn project(&self) -> Option<String> {
        self.all.iter().find_map(|credential| match &credential.kind {
            Kind::Google(account) => account.project().map(str::to_owned),
            Kind::Header(..) | Kind::Aws(_) => None,
        })
    }
}

/// A key in the header that a provider reads it from.
fn in_header(auth: &AuthStyle, key: &str) -> Option<Kind> {
    let bearer = || (AUTHORIZATION, format!("Bearer {key}"));
    let (name, text) = match auth {
        AuthStyle::Bearer | AuthStyle::Aws { .. } | AuthStyle::None => bearer(),
        AuthStyle::Header(name) => (HeaderName::try_from(name.as_str()).ok()?, key.to_owned()),
        // Access tokens of Google's begin so, and those made for others are long and have dots; keys are neither.
        AuthStyle::Google if key.starts_with("ya29.") || key.split('.').count() == 3 => bearer(),
        AuthStyle::Google => (HeaderName::from_static("x-goog-api-key"), key.to_owned()),
    };
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(Kind::Header(name, value))
}

/// What is still to be done to a request before it is sent, once it is whole.
pub(crate) enum Seal {
    /// To be signed for a service in a region.
    Aws {
        /// With these.
        keys: AwsKeys,
        /// Where.
        region: String,
        /// For what.
        service: String,
    },
    /// To get a token of this account.
    Google(Arc<Credential>),
}

impl Seal {
    /// Authorises a request that nothing else is going to change.
    ///
    /// # Errors
    /// Where it cannot be signed or no token is to be had.
    pub(crate) async fn put(
        &self,
        provider: &str,
        client: &Pool,
        body: &Bytes,
        request: &mut Request<()>,
    ) -> Result<(), ApiError> {
        match self {
            Self::Aws { keys, region, service } => keys.sign(request, body, region, service),
            Self::Google(credential) => {
                let Kind::Google(account) = &credential.kind else { return Ok(()) };
                let token = account.token(provider, client).await?;
                request.headers_mut().insert(AUTHORIZATION, token);
                Ok(())
            }
        }
    }
}

/// Takes the caller's own credentials for Amazon out of the headers: they are signed with and never sent.
pub(crate) fn take_aws(headers: &mut HeaderMap) -> Option<AwsKeys> {
    let mut take = |name: &str| headers.remove(name).and_then(|value| value.to_str().ok().map(str::to_owned));
    let (access, secret, session) = (take("aws-access-key"), take("aws-secret-key"), take("aws-session-token"));
    AwsKeys::new(&access?, &secret?, session.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_turns_by_their_weight() {
        let key = |key: &str, weight| KeyConfig { key: Secret::from(key), weight, name: None };
        let config =
            ProviderConfig { api_keys: vec![key("a", 2), key("b", 1), key("c", 0)], ..ProviderConfig::default() };
        let openai = tachograph_providers::Registry::builtin().get("openai").unwrap();
        let credentials = Credentials::of(openai, &config, &|_| Some("ignored".to_owned()));
        let turns: Vec<u32> = (0..6).map(|_| credentials.next(1).unwrap().index).collect();
        assert_eq!(turns, [0, 1, 0, 0, 1, 0], "a key of no weight has no turn");
    }

    #[test]
    fn googles_keys_and_tokens_go_in_different_headers() {
        for (key, header) in [("AIzaX", "x-goog-api-key"), ("ya29.abc", "authorization"), ("a.b.c", "authorization")] {
            let Some(Kind::Header(name, value)) = in_header(&AuthStyle::Google, key) else { panic!() };
            assert_eq!(name, header);
            assert!(value.is_sensitive());
        }
    }
}
