//! Logging in and out.

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use tachograph_record::OrgId;

use super::{Access, Caller, cookie};
use crate::assets;

/// The query of `/login`.
#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    token: Option<String>,
    next: Option<String>,
}

/// What the login page sends.
#[derive(Deserialize)]
pub(crate) struct LoginForm {
    key: String,
    next: Option<String>,
}

/// `GET /login`: with a token, opens a session and goes on; without, asks for a key.
pub(crate) async fn page(
    State(access): State<Access>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
) -> Response {
    let next = own_path(query.next.as_deref());
    // A HEAD, as link previews send it, must not use the token up.
    let token = query.token.filter(|_| method == Method::GET);
    let Some(token) = token else {
        return form(StatusCode::OK, "", next);
    };
    match access.tokens.redeem(&token) {
        Some(org) => welcome(&access, Caller { org, key: None }, &uri, &headers, next),
        // The link of a terminal, opened twice by somebody who is in already.
        None if access.caller(&headers).is_some() => Redirect::to(next).into_response(),
        None => form(StatusCode::UNAUTHORIZED, "That link was used already, or is older than ten minutes.", next),
    }
}

/// `POST /login`: opens a session for a key.
pub(crate) async fn with_key(
    State(access): State<Access>,
    uri: Uri,
    headers: HeaderMap,
    Form(form_sent): Form<LoginForm>,
) -> Response {
    let next = own_path(form_sent.next.as_deref());
    match access.keys.verify(form_sent.key.trim()) {
        Some((org, key)) => welcome(&access, Caller { org, key: Some(key) }, &uri, &headers, next),
        None => form(StatusCode::UNAUTHORIZED, "That is not one of this gateway’s keys, or it was revoked.", next),
    }
}

/// `POST /logout`: ends the session.
pub(crate) async fn logout(State(access): State<Access>, headers: HeaderMap) -> Response {
    if let Some(secret) = cookie::read(&headers) {
        access.sessions.close(secret);
    }
    ([(header::SET_COOKIE, cookie::clear())], Redirect::to("/login")).into_response()
}

fn welcome(access: &Access, caller: Caller, uri: &Uri, headers: &HeaderMap, next: &str) -> Response {
    // A new secret at each login, and the old session gone: nobody can have planted it.
    if let Some(old) = cookie::read(headers) {
        access.sessions.close(old);
    }
    let secret = access.tokens.session_secret();
    access.sessions.open(&secret, caller);
    tracing::info!(home = caller.org == OrgId::HOME, by_key = caller.key.is_some(), "console: somebody logged in");
    let cookie = cookie::set(&secret, cookie::came_by_tls(uri, headers));
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

fn form(status: StatusCode, message: &str, next: &str) -> Response {
    let page = assets::page("login.html").replace("{{message}}", message).replace("{{next}}", &escape(next));
    (status, Html(page)).into_response()
}

/// A path of this console to go on to; everything that could lead elsewhere becomes `/`.
fn own_path(next: Option<&str>) -> &str {
    let own = |path: &&str| {
        let second = path.as_bytes().get(1);
        path.starts_with('/')
            && !matches!(second, Some(b'/' | b'\\'))
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(own).unwrap_or("/")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_within_the_console_only() {
        for (next, path) in [
            (None, "/"),
            (Some("/requests/1?model=a%20b&status=200"), "/requests/1?model=a%20b&status=200"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/a\r\nSet-Cookie: x=1"), "/"),
            (Some("/\t/evil.example"), "/"),
            (Some(""), "/"),
        ] {
            assert_eq!(own_path(next), path, "{next:?}");
        }
    }
}
