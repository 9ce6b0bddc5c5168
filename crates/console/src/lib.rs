//! Where people look: the query API, the live feed and the pages of the console, as one [`axum::Router`].
//!
//! ```
//! use std::sync::Arc;
//! use tachograph_console::{Closing, ConsoleOptions, KeyCheck, LoginTokens, router};
//! use tachograph_record::{KeyId, OrgId};
//! use tachograph_store::Store;
//!
//! struct OneKey(KeyId);
//!
//! impl KeyCheck for OneKey {
//!     fn verify(&self, key: &str) -> Option<(OrgId, KeyId)> {
//!         (key == "the key").then_some((OrgId::HOME, self.0))
//!     }
//!
//!     fn is_active(&self, key: KeyId) -> bool {
//!         key == self.0
//!     }
//! }
//!
//! fn console(store: Arc<dyn Store>) -> Result<axum::Router, tachograph_console::NoRandomness> {
//!     let login = LoginTokens::new()?;
//!     println!("open http://127.0.0.1:8787/login?token={}", login.issue());
//!     let keys = Arc::new(OneKey(KeyId::generate()));
//!     let health = Arc::new(|| serde_json::json!({ "queue_depth": 0, "dropped": 0 }));
//!     let closing = Closing::default();
//!     Ok(router(ConsoleOptions { store, keys, login, health, price_of: None, limits: None, routing: None, settings: None, closing }))
//! }
//! ```
//!
//! The router answers `/`, the [`PAGES`], `/login`, `/logout`, `/assets/…`, `/api/…` and the paths of Helicone's REST
//! API below `/v1` (see [`API_PATHS`]), and refuses every other path
//! with 404, so it can stand behind a gateway's own routes as their fallback. Everything the pages show comes from
//! `/api`, which a key opens as well as a login does: what is on the screen can be had with curl. The API is described
//! by `/api/openapi.json`.
//!
//! To add an endpoint: a handler under `api/`, its route in `api`, its entry in `api/openapi.json`; a test walks them.

mod access;
mod api;
mod assets;
mod bill;
mod closing;
mod export;
mod headers;
mod helicone;
mod live;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use serde_json::Value;
use tachograph_record::OrgId;
use tachograph_store::{KeyRow, Store};

pub use access::{KeyCheck, LoginTokens, NoRandomness};
pub use assets::PAGES;
pub use closing::Closing;
pub use export::{Export, ExportError, ExportFormat};

/// The paths below `/v1` that are Helicone's REST API and not inference: these and all below them.
pub const API_PATHS: [&str; 8] = [
    "/v1/request",
    "/v1/session",
    "/v1/user",
    "/v1/property",
    "/v1/metrics",
    "/v1/helicone-sql",
    "/v1/api-keys",
    "/v1/feedback",
];

/// What the console is given by the program that mounts it.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// Where rows are read.
    pub store: Arc<dyn Store>,
    /// Whose keys open it.
    pub keys: Arc<dyn KeyCheck>,
    /// One-time login links. Keep a clone to issue them.
    pub login: LoginTokens,
    /// Facts for `/api/health` as one JSON object, such as `queue_depth` and `dropped`. They are shown without a login:
    /// numbers and states only, nothing secret.
    pub health: Health,
    /// What a provider's model costs now, as JSON, for the page of models.
    pub price_of: Option<PriceOf>,
    /// How an organisation's limits and budgets stand now, as JSON, for their page; asked at each request.
    pub limits: Option<LimitsOf>,
    /// How the targets of calls, keys and the retry budget stand now, as JSON; asked at each request.
    pub routing: Option<Health>,
    /// What the page of settings shows and does.
    pub settings: Option<Settings>,
    /// Ends live feeds when the program is about to stop. Keep a clone to say so.
    pub closing: Closing,
}

/// Asked for health's facts at each request; should answer from memory.
pub type Health = Arc<dyn Fn() -> Value + Send + Sync>;

/// How an organisation's limits stand; should answer from memory.
pub type LimitsOf = Arc<dyn Fn(OrgId) -> Value + Send + Sync>;

/// The price of a provider's model, where it is known.
pub type PriceOf = Arc<dyn Fn(&str, &str) -> Option<Value> + Send + Sync>;

/// What the page of settings shows and does.
#[derive(Clone)]
pub struct Settings {
    /// The configuration in force as JSON, its secrets hidden.
    pub shown: Health,
    /// Makes a key for this name: the key itself, which is told once, and its row; nothing where randomness is missing.
    pub new_key: NewKey,
}

/// Makes a key.
pub type NewKey = Arc<dyn Fn(&str) -> Option<(String, KeyRow)> + Send + Sync>;

/// The whole console as one tower service.
pub fn router(options: ConsoleOptions) -> Router {
    let access = access::Access::new(options.keys.clone(), options.login.clone());
    let desk = api::Desk::of(&options);
    Router::new()
        .nest("/api", api::routes(&options, desk.clone(), &access))
        .nest("/v1", helicone::routes(desk, &access))
        .merge(access::routes(&access))
        .merge(assets::routes())
        .fallback(api::not_found)
        // Outermost, so that refusals carry these headers too.
        .layer(middleware::from_fn(headers::harden))
}
