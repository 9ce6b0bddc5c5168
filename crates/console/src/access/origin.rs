//! No other site may make a visitor's browser change anything here.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::Refusal;

/// Refuses what is not a read and says that it comes from another origin. Every browser of today says so on each such
/// request; programs that are no browsers say nothing, and carry no cookie that they could be tricked into sending.
pub(crate) async fn refuse_foreign_writes(request: Request, next: Next) -> Response {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if reads || is_own(request.headers()) {
        return next.run(request).await;
    }
    let message = "this request comes from a page of another site; open the console itself and try again there";
    Refusal::new(StatusCode::FORBIDDEN, "foreign_origin", message).into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some("same-origin" | "none"), _) => true,
        (Some(_), _) => false,
        (None, None) => true,
        (None, Some(origin)) => {
            let origin: Option<Uri> = origin.parse().ok();
            let host = origin.as_ref().and_then(Uri::authority).map(|authority| authority.as_str());
            host.is_some() && host == text(header::HOST.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_own_pages_from_others() {
        for (fetch_site, origin, own) in [
            (None, None, true),
            (Some("same-origin"), Some("http://console:8787"), true),
            (Some("none"), None, true),
            (Some("same-site"), None, false),
            (Some("cross-site"), Some("http://console:8787"), false),
            (None, Some("http://console:8787"), true),
            (None, Some("http://console"), false),
            (None, Some("http://evil.example"), false),
            (None, Some("null"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "console:8787".parse().unwrap());
            fetch_site.map(|site| headers.insert("sec-fetch-site", site.parse().unwrap()));
            origin.map(|origin| headers.insert(header::ORIGIN, origin.parse().unwrap()));
            assert_eq!(is_own(&headers), own, "{fetch_site:?} {origin:?}");
        }
    }
}
