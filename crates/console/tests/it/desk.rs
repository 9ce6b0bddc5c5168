//! A console to test, and what is needed to ask it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body as HttpBody;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tachograph_console::{Closing, ConsoleOptions, KeyCheck, LoginTokens, Settings, router};
use tachograph_record::{
    Asked, Body, Control, CostState, KeyId, LogRecord, OrgId, Outcome, Reading, RecordId, Timestamp, Timing,
};
use tachograph_store::{KeyRow, Store};
use tower::ServiceExt;
use uuid::Uuid;

use crate::memory_store::MemoryStore;

/// The key of the home organisation, and that of another one.
pub(crate) const KEY: &str = "tg-home";
pub(crate) const OTHER_KEY: &str = "tg-other";

pub(crate) fn other_org() -> OrgId {
    OrgId::from(Uuid::from_u128(7))
}

pub(crate) struct TwoKeys {
    pub(crate) home: KeyId,
    other: KeyId,
    pub(crate) revoked: AtomicBool,
}

impl KeyCheck for TwoKeys {
    fn verify(&self, key: &str) -> Option<(OrgId, KeyId)> {
        match key {
            KEY if self.is_active(self.home) => Some((OrgId::HOME, self.home)),
            OTHER_KEY => Some((other_org(), self.other)),
            _ => None,
        }
    }

    fn is_active(&self, key: KeyId) -> bool {
        key == self.other || !self.revoked.load(Ordering::Relaxed)
    }
}

/// A console with its store, keys and login links.
pub(crate) struct Desk {
    pub(crate) router: Router,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) keys: Arc<TwoKeys>,
    pub(crate) login: LoginTokens,
    pub(crate) closing: Closing,
}

pub(crate) fn desk() -> Desk {
    let store = Arc::new(MemoryStore::default());
    Desk { store: store.clone(), ..desk_over(store) }
}

fn settings() -> Settings {
    let new_key = |name: &str| {
        let row = KeyRow {
            id: KeyId::generate(),
            org: OrgId::HOME,
            name: name.to_owned(),
            hash: [7; 32],
            hint: "77ab".to_owned(),
            created_at: Timestamp::from_micros(5),
            revoked_at: None,
        };
        Some(("the new key 77ab".to_owned(), row))
    };
    Settings { shown: Arc::new(|| json!({ "listen": "127.0.0.1:1" })), new_key: Arc::new(new_key) }
}

/// A console over another store; `store` of the desk is then of no use.
pub(crate) fn desk_over(store: Arc<dyn Store>) -> Desk {
    let keys = TwoKeys { home: KeyId::generate(), other: KeyId::generate(), revoked: AtomicBool::new(false) };
    let (keys, login) = (Arc::new(keys), LoginTokens::new().unwrap());
    let closing = Closing::default();
    let health = Arc::new(|| json!({ "queue_depth": 3, "dropped": 0 }));
    let options = ConsoleOptions {
        store,
        keys: keys.clone(),
        login: login.clone(),
        health,
        price_of: None,
        routing: Some(Arc::new(|| {
            let lane = json!({
                "target": "openai/gpt-4o", "state": "closed", "opens_in_ms": 0, "in_flight": 1, "asked": 7, "failed": 2,
                "failing_percent": 3, "first_token_us": 9,
            });
            json!({ "targets": [lane], "keys": [{ "provider": "openai", "keys": 2, "benched": 1 }], "retries_left": 10, "routes": ["fast"] })
        })),
        limits: None,
        settings: Some(settings()),
        closing: closing.clone(),
    };
    Desk { closing, router: router(options), store: Arc::default(), keys, login }
}

impl Desk {
    pub(crate) async fn send(&self, request: Request<HttpBody>) -> Response<HttpBody> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// GET with these headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response<HttpBody> {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        self.send(request.body(HttpBody::empty()).unwrap()).await
    }

    /// GET without a word about who asks.
    pub(crate) async fn get(&self, path: &str) -> Response<HttpBody> {
        self.get_with(path, &[]).await
    }

    /// GET with the home organisation's key, as JSON.
    pub(crate) async fn json(&self, path: &str) -> (StatusCode, Value) {
        self.json_as(KEY, path).await
    }

    pub(crate) async fn json_as(&self, key: &str, path: &str) -> (StatusCode, Value) {
        let response = self.get_with(path, &[("authorization", &format!("Bearer {key}"))]).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        (response.status(), serde_json::from_slice(&read(response).await).unwrap())
    }

    pub(crate) async fn put(&self, records: &[LogRecord]) {
        self.store.append(records).await.unwrap();
    }

    /// POST of a form.
    pub(crate) async fn post(&self, path: &str, form: &str, headers: &[(&str, &str)]) -> Response<HttpBody> {
        let request =
            Request::post(path).header("host", "console").header("content-type", "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(HttpBody::from(form.to_owned())).unwrap()).await
    }
}

pub(crate) async fn read(response: Response<HttpBody>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// The cookie that an answer sets, as a browser sends it back.
pub(crate) fn cookie(headers: &HeaderMap) -> String {
    headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// A finished call of the home organisation, received so many µs after the epoch.
pub(crate) fn call(received_at: i64) -> LogRecord {
    LogRecord {
        id: RecordId::generate(),
        asked: Asked {
            api: Cow::Borrowed("openai.chat"),
            path: "/v1/chat/completions".into(),
            model: Some("gpt-4o-mini".into()),
            ..Asked::default()
        },
        provider: Some("openai".into()),
        provider_model: None,
        attempts: Vec::new(),
        status: Some(200),
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::from_micros(received_at),
            upstream_sent_us: Some(90),
            first_byte_us: Some(250_000),
            first_token_us: None,
            end_us: 300_000,
        },
        reading: Reading::default(),
        cost: CostState::NoUsage,
        control: Control::default(),
        response: Body::default(),
    }
}
