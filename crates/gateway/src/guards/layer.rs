//! The layer: behind limits, so that nobody is moderated for free, and before the cache, whose answers were given to
//! others.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::{Value, json};
use tachograph_guard::{Ask, AskFuture, Guard, Prompt, Refusal, Undecided, Verdict};
use tachograph_reply::{ApiError, ErrorKind};
use tachograph_telemetry::Served;
use tower::{Layer, Service};

use super::{Guards, Own, last_words};
use crate::admit::recorded;
use crate::answer::AnswerBody;
use crate::aside::{Aside, Behalf};
use crate::call::Call;
use crate::config::OnGuardError;

/// By which Helicone's clients tell a threat.
const STATUS: HeaderName = HeaderName::from_static("helicone-status");
/// The property by which refused prompts are found.
const THREAT: &str = "Helicone-Threat";

/// Puts guards before a service of [`Call`]s.
#[derive(Clone)]
pub(crate) struct GuardLayer {
    pub(crate) guards: Guards,
    pub(crate) aside: Aside,
}

impl<Inner> Layer<Inner> for GuardLayer {
    type Service = Guarded<Inner>;

    fn layer(&self, inner: Inner) -> Guarded<Inner> {
        Guarded { inner, layer: self.clone() }
    }
}

/// The service of [`GuardLayer`].
#[derive(Clone)]
pub(crate) struct Guarded<Inner> {
    inner: Inner,
    layer: GuardLayer,
}

impl<Inner> Service<Call> for Guarded<Inner>
where
    Inner: Service<Call, Response = Response<AnswerBody>, Error = Infallible> + Clone + Send + 'static,
    Inner::Future: Send,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Either<Inner::Future, Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (asked, always) = (call.guarding, self.layer.guards.own.load().always);
        let wanted = asked.moderation || asked.injection || always.moderation || always.injection;
        if !wanted && self.layer.guards.others.is_empty() {
            return Either::Left(self.inner.call(call));
        }
        let own = self.layer.guards.own.load_full();
        let layer = self.layer.clone();
        let next = self.inner.clone();
        // The service that was polled ready serves; its clone is polled ready again before the next call.
        let mut inner = std::mem::replace(&mut self.inner, next);
        Either::Right(Box::pin(async move {
            match layer.refusal(&call, &own).await {
                Some(refused) => Ok(refused.answer(&call)),
                None => inner.call(call).await,
            }
        }))
    }
}

impl GuardLayer {
    /// Why a call is not to be sent. Guards are asked one after the other, the cheapest first.
    async fn refusal(&self, call: &Call, own: &Own) -> Option<Refused> {
        let guards = self.of(call, own);
        for text in last_words(call) {
            let prompt = Prompt { text: &text, model: call.model.as_deref().unwrap_or_default() };
            for guard in &guards {
                let refused = self.asked(*guard, &prompt, call, own).await;
                if refused.is_some() {
                    return refused;
                }
            }
        }
        None
    }

    /// The guards of a call.
    fn of<'a>(&'a self, call: &Call, own: &'a Own) -> Vec<&'a dyn Guard> {
        let (asked, always) = (call.guarding, own.always);
        let looks = asked.injection || always.injection;
        let mut guards: Vec<&dyn Guard> = Vec::new();
        if looks {
            guards.push(&own.injection);
        }
        guards.extend(self.guards.others.iter().map(|guard| &**guard));
        let advanced = looks && (asked.advanced || always.advanced);
        guards.extend(own.classifier.as_ref().filter(|_| advanced).map(|guard| guard as &dyn Guard));
        if asked.moderation || always.moderation {
            guards.push(&own.moderation);
        }
        guards
    }

    async fn asked(&self, guard: &dyn Guard, prompt: &Prompt<'_>, call: &Call, own: &Own) -> Option<Refused> {
        let purpose = if guard.name() == own.moderation.name() { "moderation" } else { "guard" };
        let asking = Asking { aside: &self.aside, behalf: Behalf::of(call, purpose), keys: &call.headers };
        match guard.check(prompt, &asking).await {
            Ok(Verdict::Pass) => None,
            Ok(Verdict::Refuse(refusal)) => Some(Refused::by(guard.name(), refusal)),
            Err(why) => {
                call.trip.note(format!("the guard {:?} could not say anything: {why}", guard.name()));
                (own.on_error == OnGuardError::Deny).then(|| Refused::undecided(guard.name()))
            }
        }
    }
}

/// Asks models the way the gateway does.
struct Asking<'a> {
    aside: &'a Aside,
    behalf: Option<Behalf>,
    keys: &'a HeaderMap,
}

impl Ask for Asking<'_> {
    fn ask<'a>(&'a self, path: &'static str, body: Bytes) -> AskFuture<'a> {
        let asking = self.aside.ask(self.behalf.clone(), path, self.keys, body);
        Box::pin(async move { asking.await.map_err(|error| Undecided(format!("{path}: {error}"))) })
    }
}

/// A call that a guard refused.
struct Refused {
    guard: String,
    error: ApiError,
    details: Value,
    is_threat: bool,
}

impl Refused {
    fn by(guard: &str, refusal: Refusal) -> Self {
        let Refusal { code, message, details } = refusal;
        let error = ApiError::new(ErrorKind::InvalidRequest, code, message);
        Self { guard: guard.to_owned(), error, details, is_threat: true }
    }

    fn undecided(guard: &str) -> Self {
        let message =
            format!("The guard {guard:?} could not judge this prompt, and none is served without. Try again.");
        let error = ApiError::new(ErrorKind::Overloaded, "guard_unavailable", message);
        Self { guard: guard.to_owned(), error, details: Value::Null, is_threat: false }
    }

    /// An error in the caller's dialect, with what Helicone's clients look for beside it.
    fn answer(self, call: &Call) -> Response<AnswerBody> {
        call.trip.note(format!("refused by the guard {:?}: {}", self.guard, self.details));
        if self.is_threat {
            call.trip.amend(|asked| asked.attribution.set_property(THREAT, "true"));
        }
        let mut body: Value = serde_json::from_slice(&call.shape.body(&self.error)).unwrap_or_default();
        body["success"] = false.into();
        if let Some(error) = body["error"].as_object_mut() {
            error.entry("code").or_insert_with(|| json!(self.error.code()));
            error.insert("details".to_owned(), self.details);
        }
        let mut response = call.shape.response::<AnswerBody>(&self.error);
        *response.body_mut() = AnswerBody::from(Bytes::from(body.to_string()));
        response.headers_mut().remove(CONTENT_LENGTH);
        if self.is_threat {
            response.headers_mut().insert(STATUS, HeaderValue::from_static("failed"));
        }
        response.extensions_mut().insert(Served::refused(recorded(&self.error)));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threat_is_a_400_and_an_undecided_guard_a_503() {
        let refused = Refused::by("mine", Refusal::new("my_code", "no"));
        assert_eq!((refused.error.status().as_u16(), refused.error.code()), (400, "my_code"));
        assert_eq!(Refused::undecided("mine").error.status().as_u16(), 503);
    }
}
