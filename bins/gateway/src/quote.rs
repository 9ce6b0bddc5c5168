//! `POST /api/quote`: what a request will cost, before it is sent. It stands beside the console's API and is opened by
//! the same keys.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use tachograph_gateway::{Holder, KeyRing, QuoteRequest, quote};
use tachograph_pricing::PriceBook;
use tachograph_record::Timestamp;

/// What quoting looks at.
#[derive(Clone)]
struct Quoting {
    prices: Arc<PriceBook>,
    keys: Arc<KeyRing>,
}

/// The route. `max_body` is the largest request that is taken, in bytes.
pub(crate) fn route(prices: Arc<PriceBook>, keys: Arc<KeyRing>, max_body: usize) -> Router {
    Router::new()
        .route("/api/quote", post(answer))
        .layer(DefaultBodyLimit::max(max_body))
        .with_state(Quoting { prices, keys })
}

async fn answer(State(quoting): State<Quoting>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(holder) = holder(&quoting.keys, &headers) else { return unauthenticated() };
    let asked: QuoteRequest = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let want = "want { \"request\": …, \"dialect\"?: \"openai.chat\", \"provider\"?, \"model\"? }";
            return refused(StatusCode::BAD_REQUEST, "invalid_request", &format!("{error}; {want}"));
        }
    };
    let prices = quoting.prices.for_org(holder.org);
    // Counting a long prompt takes milliseconds that no other call should wait for.
    let quoted = tokio::task::spawn_blocking(move || quote(&prices, &asked, Timestamp::now())).await;
    match quoted {
        Ok(Ok(quote)) => Json(quote).into_response(),
        Ok(Err(error)) => refused(error.status(), error.code(), error.message()),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request could not be quoted"),
    }
}

/// Whose key came with a request.
pub(crate) fn holder(keys: &KeyRing, headers: &HeaderMap) -> Option<Holder> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { keys.check(key.trim()) } else { None }
}

/// The answer to a request without a key of ours.
pub(crate) fn unauthenticated() -> Response {
    let message = "send one of your API keys as `Authorization: Bearer <key>`";
    let mut response = refused(StatusCode::UNAUTHORIZED, "unauthenticated", message);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// A refusal in the shape of the console's API.
pub(crate) fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(serde_json::json!({ "error": { "code": code, "message": message } }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: &Router, key: Option<&str>, body: &str) -> (StatusCode, Value) {
        let mut request = Request::post("/api/quote");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_key_opens_it_and_errors_say_what_to_do() {
        let store = tachograph_store::open("sqlite::memory:", std::path::Path::new("nowhere")).await.unwrap();
        store.migrate().await.unwrap();
        let (key, row) = tachograph_gateway::generate("quoting").unwrap();
        store.insert_key(&row).await.unwrap();
        let keys = Arc::new(KeyRing::default());
        keys.reload(&*store).await.unwrap();
        let router = route(Arc::new(PriceBook::embedded()), keys, 1 << 20);

        let body =
            json!({"request": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello world"}]}});
        let body = body.to_string();
        for key in [None, Some("wrong")] {
            let (status, told) = ask(&router, key, &body).await;
            assert_eq!((status, &told["error"]["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")));
        }
        let (status, told) = ask(&router, Some(key.expose()), &body).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!(told["cost_usd"]["min"], "0.00000195");
        assert_eq!((&told["estimated"], &told["input_tokens"]["expected"]), (&json!(true), &json!(9)));
        for (body, status, code) in [
            ("{}", StatusCode::BAD_REQUEST, "invalid_request"),
            (r#"{"request":{"model":"nobody's","messages":[]}}"#, StatusCode::NOT_FOUND, "unknown_model"),
        ] {
            let (answered, told) = ask(&router, Some(key.expose()), body).await;
            assert_eq!((answered, &told["error"]["code"]), (status, &json!(code)), "{told}");
        }
    }
}
