//! The pages and their modules, embedded in the program (in debug builds read from disk, so that a reload shows an edit).
//!
//! Assets live under `/assets/<version>/…`, where the version is a digest of all of them. A module imports its
//! neighbours by relative paths and so always gets those of its own version, and a browser may keep each of them for
//! good: a new build has a new version.

use std::borrow::Cow;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

use crate::api;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// The pages' addresses besides `/`. Each has what it shows of one thing below it: `/requests/{id}`, `/sessions/{id}`.
pub const PAGES: [&str; 13] = [
    "/requests",
    "/sessions",
    "/users",
    "/properties",
    "/prompts",
    // Not `/models`: that is the gateway's list of models.
    "/providers",
    "/cache",
    "/limits",
    "/query",
    "/why",
    "/settings",
    "/health",
    "/compare",
];

/// `/`, the pages and `/assets/…`. The pages hold no data, so they are open to all.
pub(crate) fn routes() -> Router {
    let pages = PAGES.iter().fold(Router::new().route("/", get(shell)), |router, page| {
        router.route(page, get(shell)).route(&format!("{page}/{{*of}}"), get(shell))
    });
    pages.route("/favicon.ico", get(favicon)).route("/assets/{version}/{*path}", get(asset))
}

async fn shell() -> Html<String> {
    Html(page("index.html"))
}

/// A page with the version of its assets filled in.
pub(crate) fn page(name: &str) -> String {
    let page = Assets::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned());
    page.unwrap_or_default().replace("{{modules}}", &preloads()).replace("{{version}}", &version())
}

/// Names all modules in the page, so that a browser fetches them at once and not import by import.
fn preloads() -> String {
    let modules = Assets::iter().filter(|name| name.ends_with(".js") && name != "theme.js");
    modules.map(|name| format!("<link rel=\"modulepreload\" href=\"/assets/{{{{version}}}}/{name}\">\n")).collect()
}

async fn favicon(headers: HeaderMap) -> Response {
    Assets::get("icon.svg")
        .map_or_else(|| StatusCode::NOT_FOUND.into_response(), |file| send(&file, &headers, "no-cache"))
}

async fn asset(Path((asked, path)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(file) = Assets::get(&path) else {
        return api::not_found().await.into_response();
    };
    // An old page asks by its old version and gets what there is now, but is not to keep it under that name.
    let caching = if asked == version() { "public, max-age=31536000, immutable" } else { "no-cache" };
    send(&file, &headers, caching)
}

fn send(file: &EmbeddedFile, headers: &HeaderMap, caching: &'static str) -> Response {
    let tag = format!("\"{}\"", hex::encode(file.metadata.sha256_hash()));
    let held = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged = held.is_some_and(|held| held.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type(file))], file.data.to_vec()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    HeaderValue::from_str(&tag).ok().map(|tag| headers.insert(header::ETAG, tag));
    response
}

fn content_type(file: &EmbeddedFile) -> String {
    match file.metadata.mimetype() {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other.to_owned(),
    }
}

/// A digest of all assets: reckoned once, but at each request where they are read from disk and may change.
fn version() -> Cow<'static, str> {
    #[cfg(not(debug_assertions))]
    {
        static VERSION: std::sync::LazyLock<String> = std::sync::LazyLock::new(digest);
        Cow::Borrowed(VERSION.as_str())
    }
    #[cfg(debug_assertions)]
    Cow::Owned(digest())
}

fn digest() -> String {
    let mut names: Vec<_> = Assets::iter().collect();
    names.sort_unstable();
    let files = names.iter().filter_map(|name| Some((name, Assets::get(name)?)));
    let all = files.fold(Sha256::new(), |all, (name, file)| {
        all.chain_update(name.as_bytes()).chain_update([0]).chain_update(file.metadata.sha256_hash())
    });
    hex::encode(&all.finalize()[..8])
}
