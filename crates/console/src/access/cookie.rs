//! The session's cookie.

use axum::http::{HeaderMap, Uri, header};

use super::sessions::LIFETIME;

const NAME: &str = "tachograph_session";

/// The session's secret, where the request brings one.
pub(crate) fn read(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, secret)| secret)
}

/// The `Set-Cookie` that carries a session's secret.
pub(crate) fn set(secret: &str, secure: bool) -> String {
    let (age, secure) = (LIFETIME.as_secs(), if secure { "; Secure" } else { "" });
    format!("{NAME}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

/// The `Set-Cookie` that takes it away.
pub(crate) fn clear() -> String {
    format!("{NAME}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// Whether the browser speaks TLS, to us or to a proxy before us. A cookie marked `Secure` on plain HTTP would be
/// dropped, and the login with it.
pub(crate) fn came_by_tls(uri: &Uri, headers: &HeaderMap) -> bool {
    let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    // A chain of proxies appends; the first is what the browser used.
    let scheme = forwarded.and_then(|value| value.split(',').next()).map(str::trim).or(uri.scheme_str());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}
