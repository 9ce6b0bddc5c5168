//! The layer: before the cache and whoever serves.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::Response;
use http::header::CONTENT_LENGTH;
use serde_json::Value;
use tachograph_ratelimit::{Ask, Budget, Denial, OnExceed, Quota, Verdict};
use tachograph_record::{LimitVerdict, Money};
use tachograph_reply::{ApiError, ErrorKind};
use tachograph_telemetry::{Served, Trip};
use tower::{Layer, Service};

use super::worst::{Unbounded, Worst};
use super::{Limits, Who, shrink};
use crate::admit::recorded;
use crate::answer::AnswerBody;
use crate::call::{Call, Way};
use crate::config::UnknownModel;
use crate::router::Wanted;

/// The property by which Helicone's clients find calls that were limited.
const STATUS: (&str, &str) = ("Helicone-Rate-Limit-Status", "bucket_rate_limited");
/// A longer body than this is counted on a thread of its own, in bytes: it takes milliseconds.
const LONG: usize = 32 << 10;

/// Puts limits before a service of [`Call`]s.
#[derive(Clone)]
pub(crate) struct LimitLayer(pub(crate) Arc<Limits>);

impl<Inner> Layer<Inner> for LimitLayer {
    type Service = Limited<Inner>;

    fn layer(&self, inner: Inner) -> Limited<Inner> {
        Limited { inner, limits: self.0.clone() }
    }
}

/// The service of [`LimitLayer`].
#[derive(Clone)]
pub(crate) struct Limited<Inner> {
    inner: Inner,
    limits: Arc<Limits>,
}

impl<Inner> Service<Call> for Limited<Inner>
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

    fn call(&mut self, mut call: Call) -> Self::Future {
        if call.policies.is_empty() && !self.limits.limiter.has_rules() {
            return Either::Left(self.inner.call(call));
        }
        let limits = self.limits.clone();
        let next = self.inner.clone();
        // The service that was polled ready serves; its clone is polled ready again before the next call.
        let mut inner = std::mem::replace(&mut self.inner, next);
        Either::Right(Box::pin(async move {
            match limits.admit(&mut call).await {
                Ok(quota) => {
                    let mut response = inner.call(call).await?;
                    if let Some(quota) = quota {
                        quota.write(response.headers_mut());
                    }
                    Ok(response)
                }
                Err(refused) => Ok(refused.answer(&call)),
            }
        }))
    }
}

/// Why a call is not sent.
enum Refused {
    Denied(Box<Denial>),
    UnknownModel(String),
}

impl Limits {
    /// Lets a call through, changed where a budget says so; what is reserved for it waits for its record.
    async fn admit(&self, call: &mut Call) -> Result<Option<Quota>, Refused> {
        let Some((org, mut who)) = self.who(call) else { return Ok(None) };
        let budgets = self.limiter.budgets_of(&who.subject());
        let mut worst = self.worst(call, org, &budgets).await?;
        let (mut downgraded, mut shrunk) = (false, false);
        // Twice at most: once to be given another model, once a shorter answer.
        loop {
            let policies = std::mem::take(&mut call.policies);
            let ask = Ask {
                subject: who.subject(),
                policies: &policies,
                worst: worst.amount,
                downgraded,
                budgets_only: call.is_aside,
            };
            let asked = self.limiter.admit(ask).await;
            call.policies = policies;
            let denial = match asked {
                Ok(admitted) => {
                    tell(&call.trip, &admitted.verdicts);
                    self.open.put(org, call.trip.id(), admitted.reservation);
                    return Ok(admitted.quota);
                }
                Err(denial) => denial,
            };
            let Denial::Exceeded { budget, spent, reserved, .. } = &*denial else {
                return Err(Refused::Denied(denial));
            };
            if let (OnExceed::Downgrade(model), false) = (&budget.on_exceed, downgraded)
                && self.retarget(call, model)
            {
                downgraded = true;
                call.trip.note(format!("served by {model}: the budget {:?} is used up", budget.name()));
                if let Some((_, as_other)) = self.who(call) {
                    who = as_other;
                }
                worst = self.worst(call, org, &budgets).await?;
                continue;
            }
            let left =
                [budget.amount.atto(), -spent.atto(), -reserved.atto()].into_iter().fold(0, i128::saturating_add);
            if let (true, false, Some(bounds)) = (budget.shrink_to_fit, shrunk, &worst.bounds)
                && let Some(tokens) = shrink::to_fit(call, bounds, Money::from_atto(left))
            {
                shrunk = true;
                call.trip.note(format!("answers are cut to {tokens} tokens to fit the budget {:?}", budget.name()));
                worst.amount = bounds.cost(tokens).unwrap_or(worst.amount);
                continue;
            }
            return Err(Refused::Denied(denial));
        }
    }

    fn who(&self, call: &Call) -> Option<(tachograph_record::OrgId, Who)> {
        let model = call.candidates.first().and_then(|candidate| candidate.model.as_deref());
        call.trip.amend(|asked| (asked.org, Who::of(asked, model, &self.router.endpoints)))
    }

    /// What a call costs at most, whichever of its candidates serves it. Nothing is counted where no budget asks.
    async fn worst(
        &self,
        call: &mut Call,
        org: tachograph_record::OrgId,
        budgets: &[Arc<Budget>],
    ) -> Result<Most, Refused> {
        if budgets.is_empty() {
            return Ok(Most { amount: Money::ZERO, bounds: None });
        }
        let (catalog, terms) = (self.router.prices.for_org(org), *self.terms.load_full());
        let all = || call.candidates.iter().map(|candidate| Worst::of(call, candidate, catalog.clone())).collect();
        let counted: Vec<Result<Worst, Unbounded>> =
            if call.body.len() > LONG && in_pool() { tokio::task::block_in_place(all) } else { all() };
        let mut most = Most { amount: Money::ZERO, bounds: None };
        for one in counted {
            let (amount, bounds) = match one {
                Ok(worst) => match worst.cost(worst.output) {
                    Some(cost) => (cost, Some(worst)),
                    None => (terms.ceiling, None),
                },
                Err(Unbounded::Free) => (Money::ZERO, None),
                Err(Unbounded::NoTokens) => (terms.ceiling, None),
                Err(Unbounded::UnknownModel(model)) => match terms.unknown_model {
                    UnknownModel::Block => return Err(Refused::UnknownModel(model)),
                    UnknownModel::Reserve => (terms.ceiling, None),
                    UnknownModel::Allow => {
                        call.trip.note(format!("no price is known for {model:?}: its budgets cannot count this call"));
                        (Money::ZERO, None)
                    }
                },
            };
            if amount >= most.amount {
                most = Most { amount, bounds: bounds.or(most.bounds) };
            }
        }
        Ok(most)
    }

    /// Gives a call another model. A proxied call stays with its provider, and so with that one's models.
    fn retarget(&self, call: &mut Call, model: &str) -> bool {
        let attribution = call.trip.amend(|asked| asked.attribution.clone()).unwrap_or_default();
        let wanted = Wanted { model, attribution: &attribution, body: &call.body, id: call.trip.id(), org: call.org };
        let Ok(found) = self.router.resolve(&wanted).map(|resolved| resolved.candidates) else { return false };
        if let (Way::Proxy(_), Some(asked)) = (&call.way, call.candidates.first()) {
            let same = found.iter().any(|other| other.endpoint.name() == asked.endpoint.name());
            if !same || call.model_span.is_none() || asked.instead.is_some() {
                return false;
            }
        }
        call.candidates = found;
        true
    }
}

/// The most that a call costs, and the bounds that this comes from.
struct Most {
    amount: Money,
    bounds: Option<Worst>,
}

/// Whether there are other threads that go on meanwhile.
fn in_pool() -> bool {
    tokio::runtime::Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread)
}

/// Puts what limits said onto the record.
fn tell(trip: &Trip, verdicts: &[Verdict]) {
    for verdict in verdicts {
        trip.limit(LimitVerdict {
            limit: verdict.limit.clone(),
            scope: verdict.scope.clone(),
            verdict: verdict.verdict.to_owned(),
            remaining: verdict.remaining.clone(),
        });
    }
}

impl Refused {
    /// The answer to a call that is not sent: an error in the caller's dialect, with the message at the top besides, where
    /// Helicone's clients look for it.
    fn answer(&self, call: &Call) -> Response<AnswerBody> {
        let error = self.error();
        if let Self::Denied(denial) = self {
            tell(&call.trip, denial.verdicts());
            if matches!(**denial, Denial::Limited { .. }) {
                call.trip.amend(|asked| asked.attribution.set_property(STATUS.0, STATUS.1));
            }
        }
        let mut body: Value = serde_json::from_slice(&call.shape.body(&error)).unwrap_or_default();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("message".to_owned(), error.message().into());
        }
        let mut response = call.shape.response::<AnswerBody>(&error);
        *response.body_mut() = AnswerBody::from(bytes::Bytes::from(body.to_string()));
        response.headers_mut().remove(CONTENT_LENGTH);
        if let Self::Denied(denial) = self {
            denial.write(response.headers_mut());
        }
        response.extensions_mut().insert(Served::refused(recorded(&error)));
        response
    }

    fn error(&self) -> ApiError {
        match self {
            Self::UnknownModel(model) => ApiError::new(
                ErrorKind::Permission,
                "unknown_price",
                format!(
                    "No price is known for {model:?}, and a budget counts this request: add a price to an overlay, or set \
                     pricing.unknown_model."
                ),
            )
            .with_status(http::StatusCode::PAYMENT_REQUIRED)
            .with_param("model"),
            Self::Denied(denial) => {
                let kind = match (&**denial, denial.retry_s()) {
                    (Denial::Unavailable, _) => ErrorKind::Overloaded,
                    (Denial::Exceeded { .. }, None) => ErrorKind::Permission,
                    _ => ErrorKind::RateLimit,
                };
                let error = ApiError::new(kind, denial.code(), denial.message()).with_status(denial.status());
                match denial.retry_s() {
                    Some(after) => error.with_retry_after(Duration::from_secs(after)),
                    None => error,
                }
            }
        }
    }
}
