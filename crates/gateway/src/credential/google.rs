//! Google's access tokens: made from a service account's key, or from what `gcloud auth application-default login` left.
//!
//! A token is kept and made anew some minutes before it ends. One call at a time makes it; all others go on with the
//! token that still holds, and only where there is none do they wait for the one that is being made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Limited};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use tachograph_reply::{ApiError, ErrorKind};
use tokio::sync::Mutex;

use crate::config::Secret;
use crate::upload::Sent;
use crate::upstream::Pool;

/// A token that has less than this left is made anew.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// How long making one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer of a token's endpoint, in bytes.
const LARGEST: usize = 64 << 10;
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const USUAL_ENDPOINT: &str = "https://oauth2.googleapis.com/token";

/// An account that tokens are made for.
pub(crate) struct GoogleAccount {
    /// What is wrong with it is told when it is used: other providers work all the same.
    account: Result<Account, String>,
    held: ArcSwapOption<Token>,
    making: Mutex<()>,
}

struct Token {
    value: HeaderValue,
    until: Instant,
}

/// Google's file.
#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    project_id: Option<String>,
    #[serde(default)]
    quota_project_id: Option<String>,
    #[serde(default = "usual_endpoint")]
    token_uri: String,
    #[serde(flatten)]
    kind: AccountKind,
}

fn usual_endpoint() -> String {
    USUAL_ENDPOINT.to_owned()
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum AccountKind {
    ServiceAccount { client_email: String, private_key: Secret, private_key_id: Option<String> },
    AuthorizedUser { client_id: String, client_secret: Secret, refresh_token: Secret },
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl GoogleAccount {
    /// An account by its JSON, or by the path of a file of it.
    pub(crate) fn new(given: &str) -> Self {
        let read = if given.trim_start().starts_with('{') {
            Ok(given.to_owned())
        } else {
            std::fs::read_to_string(given).map_err(|error| format!("{given} cannot be read: {error}"))
        };
        // The parser's words could show a part of the key.
        let account = read.and_then(|text| {
            serde_json::from_str::<Account>(&text).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                format!("it is no service account's JSON (line {line}, column {column})")
            })
        });
        Self { account, held: ArcSwapOption::empty(), making: Mutex::new(()) }
    }

    pub(crate) fn project(&self) -> Option<&str> {
        let account = self.account.as_ref().ok()?;
        account.project_id.as_deref().or(account.quota_project_id.as_deref())
    }

    fn current(&self, left: Duration) -> Option<HeaderValue> {
        let held = self.held.load();
        held.as_ref().filter(|token| token.until > Instant::now() + left).map(|token| token.value.clone())
    }

    /// A token, as the value of `Authorization`.
    ///
    /// # Errors
    /// Where none is to be had.
    pub(super) async fn token(&self, provider: &str, client: &Pool) -> Result<HeaderValue, ApiError> {
        if let Some(fresh) = self.current(EARLY) {
            return Ok(fresh);
        }
        let holds = self.current(Duration::ZERO);
        let _making = match (self.making.try_lock(), &holds) {
            (Ok(making), _) => making,
            // Another call makes one; this one needs not wait.
            (Err(_), Some(token)) => return Ok(token.clone()),
            (Err(_), None) => self.making.lock().await,
        };
        if let Some(fresh) = self.current(EARLY) {
            return Ok(fresh);
        }
        let made = match tokio::time::timeout(PATIENCE, self.make(client)).await {
            Ok(made) => made,
            Err(_) => Err(format!("the token's endpoint did not answer within {} s", PATIENCE.as_secs())),
        };
        match (made, holds) {
            (Ok(token), _) => {
                let value = token.value.clone();
                self.held.store(Some(Arc::new(token)));
                Ok(value)
            }
            (Err(why), Some(token)) => {
                tracing::warn!(provider, why, "Google's token could not be made anew; the one that holds goes on");
                Ok(token)
            }
            (Err(why), None) => {
                tracing::warn!(provider, why, "no token of Google's");
                let message = format!(
                    "There is no access token for {provider}: {why}. Check providers.{provider}.service_account or \
                     GOOGLE_APPLICATION_CREDENTIALS."
                );
                Err(ApiError::new(ErrorKind::Upstream, "provider_token_failed", message)
                    .from_provider(provider, Bytes::new()))
            }
        }
    }

    async fn make(&self, client: &Pool) -> Result<Token, String> {
        let account = self.account.as_ref().map_err(String::clone)?;
        let form = account.grant()?;
        let request = Request::post(&account.token_uri)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Sent::whole(Bytes::from(form)))
            .map_err(|_| "its token_uri is no URL".to_owned())?;
        let sent = client.send(request).await;
        let (response, _link) = sent.map_err(|_| "the token's endpoint cannot be reached".to_owned())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|_| "the token's endpoint broke off its answer".to_owned())?.to_bytes();
        if !status.is_success() {
            let told = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
            let why = ["error_description", "error"].iter().find_map(|name| told.get(name)?.as_str());
            return Err(format!("the token's endpoint answered {}: {}", status.as_u16(), why.unwrap_or("no reason")));
        }
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| "the token's endpoint gave no token".to_owned())?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", answer.access_token.expose()))
            .map_err(|_| "the token's endpoint gave no token".to_owned())?;
        value.set_sensitive(true);
        Ok(Token { value, until: Instant::now() + Duration::from_secs(answer.expires_in.unwrap_or(3600)) })
    }
}

impl Account {
    /// The form that a token is asked for with (RFC 7523, RFC 6749 §6).
    fn grant(&self) -> Result<String, String> {
        let pairs = match &self.kind {
            AccountKind::ServiceAccount { client_email, private_key, private_key_id } => {
                let assertion = assertion(client_email, private_key, private_key_id.as_deref(), &self.token_uri)?;
                vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()), ("assertion", assertion)]
            }
            AccountKind::AuthorizedUser { client_id, client_secret, refresh_token } => vec![
                ("grant_type", "refresh_token".to_owned()),
                ("client_id", client_id.clone()),
                ("client_secret", client_secret.expose().to_owned()),
                ("refresh_token", refresh_token.expose().to_owned()),
            ],
        };
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        Ok(pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&"))
    }
}

/// A statement of who we are, signed with the account's key (RS256).
fn assertion(email: &str, key: &Secret, id: Option<&str>, audience: &str) -> Result<String, String> {
    let unusable = || "its private_key is no RSA key in PKCS#8".to_owned();
    let key = PrivatePkcs8KeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| unusable())?;
    let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| unusable())?;
    let now = tachograph_record::Timestamp::now().micros() / 1_000_000;
    let header = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": id });
    let claims = serde_json::json!({ "iss": email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + 3600 });
    let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let said = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), said.as_bytes(), &mut signature).map_err(|_| unusable())?;
    Ok(format!("{said}.{}", encode(&signature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_account_shows_nothing_of_it() {
        let account = GoogleAccount::new("{\"type\": \"service_account\", \"private_key\": \"canary");
        assert!(!account.account.err().unwrap().contains("canary"));
        let missing = GoogleAccount::new("/nowhere/sa.json").account.err().unwrap();
        assert!(missing.contains("/nowhere/sa.json cannot be read"), "{missing}");
    }

    #[test]
    fn a_users_credentials_are_a_grant_of_their_own() {
        let account: Account = serde_json::from_str(
            r#"{"type":"authorized_user","client_id":"i","client_secret":"s/","refresh_token":"1//x","quota_project_id":"p"}"#,
        )
        .unwrap();
        assert_eq!(account.token_uri, USUAL_ENDPOINT);
        let form = account.grant().unwrap();
        assert_eq!(form, "grant_type=refresh%5Ftoken&client_id=i&client_secret=s%2F&refresh_token=1%2F%2Fx");
    }
}
