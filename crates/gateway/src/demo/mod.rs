//! The `demo` provider: models that answer inside this process, with realistic streaming, usage and errors, so that a
//! newcomer sees a filled console without any account.
//!
//! `demo/echo` answers at once, `demo/slow` takes its time, `demo/flaky` fails about every third call: rate limits, server
//! errors, streams that break off. Which call fails is decided by its id, so a failure can be looked at again. The wire
//! format is OpenAI's; everything above cannot tell it from a provider behind a socket.

mod body;
mod day;
mod model;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use tachograph_providers::{DialectId, dialect};
use tachograph_record::RecordId;
use tachograph_reply::{ApiError, ErrorKind, ErrorShape};

use crate::endpoint::Endpoint;

pub(crate) use body::DemoBody;
pub(crate) use day::Days;
use model::{Answer, Fate, Model};

/// The provider's name.
const NAME: &str = "demo";

/// The provider, set up.
pub(crate) fn endpoint() -> Option<Endpoint> {
    Endpoint::in_process(NAME, DialectId::OpenAiChat, model::names().map(str::to_owned).collect())
}

/// Answers a chat request as OpenAI would.
pub(crate) async fn answer(id: RecordId, body: &[u8]) -> Result<Response<DemoBody>, ApiError> {
    let asked = match dialect(DialectId::OpenAiChat).decode_request(body) {
        Ok(asked) => asked,
        Err(error) => return Ok(refusal(&error)),
    };
    let name = asked.model.as_deref().unwrap_or_default();
    let Some(model) = Model::named(name) else {
        let message =
            format!("There is no model {:?}; there are {}.", name, model::names().collect::<Vec<_>>().join(", "));
        return Ok(refusal(&ApiError::not_found("model_not_found", message).with_param("model")));
    };
    let answer = Answer::to(&asked, id, model);
    match model.fate_of(id) {
        Fate::RateLimited => {
            let error = ApiError::new(
                ErrorKind::RateLimit,
                "rate_limit_exceeded",
                "Rate limit reached for demo/flaky. Try again in 1s.",
            );
            tokio::time::sleep(model.first_token()).await;
            let mut response = refusal(&error);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            Ok(response)
        }
        Fate::ServerError => {
            tokio::time::sleep(model.first_token()).await;
            let error = ApiError::new(
                ErrorKind::Internal,
                "server_error",
                "The server had an error while processing your request.",
            );
            Ok(refusal(&error))
        }
        fate => {
            if asked.stream != Some(true) {
                tokio::time::sleep(answer.duration(model)).await;
                return Ok(ok("application/json", DemoBody::whole(answer.document())));
            }
            let events = answer.events(asked.include_usage == Some(true));
            Ok(ok(
                "text/event-stream",
                DemoBody::paced(events, model.first_token(), model.per_token(), fate == Fate::CutShort),
            ))
        }
    }
}

fn ok(content_type: &'static str, body: DemoBody) -> Response<DemoBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refusal(error: &ApiError) -> Response<DemoBody> {
    let mut response: Response<DemoBody> = Response::new(DemoBody::whole(ErrorShape::OpenAi.body(error)));
    *response.status_mut() =
        if error.status().is_success() { StatusCode::INTERNAL_SERVER_ERROR } else { error.status() };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
