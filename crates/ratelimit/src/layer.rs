//! The limiter as a tower layer, for any server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Request, Response, StatusCode};
use tachograph_record::Money;
use tower::{Layer, Service};

use crate::{Ask, Denial, Limiter, Policy, Reservation, Spent, Subject};

const POLICY: HeaderName = HeaderName::from_static("helicone-ratelimit-policy");

/// Who a request is charged to and what limits it brings, as a server's key function says.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The tenant; limits are never shared between two.
    pub org: String,
    /// The API key's id.
    pub key: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Properties.
    pub properties: Vec<(String, String)>,
    /// Policies that hold for this request beside the limiter's rules, comma separated.
    pub policies: String,
    /// What it costs at most, where budgets are to be kept.
    pub worst: Money,
}

impl Caller {
    /// Someone of a tenant.
    #[must_use]
    pub fn of(org: impl Into<String>) -> Self {
        Self { org: org.into(), ..Self::default() }
    }

    /// As this user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// With the policies that the request itself brings in `Helicone-RateLimit-Policy`.
    #[must_use]
    pub fn policies_of<B>(mut self, request: &Request<B>) -> Self {
        let told = request.headers().get(POLICY).and_then(|value| value.to_str().ok());
        told.unwrap_or_default().clone_into(&mut self.policies);
        self
    }
}

/// What was taken for a request, in its extensions: a handler that knows what it cost settles it. Otherwise the request
/// counts as one call that cost nothing, when its answer's head is made.
#[derive(Clone, Debug)]
pub struct Taken(Arc<std::sync::Mutex<Option<Reservation>>>);

impl Taken {
    /// Tells what the request used; the first word counts.
    pub fn settle(&self, spent: Spent) {
        let taken = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(reservation) = taken {
            reservation.settle(spent);
        }
    }
}

/// Limits a service: a request over a limit is answered with 429 and never reaches it.
#[derive(Clone)]
pub struct RateLimitLayer<K> {
    limiter: Limiter,
    caller: K,
}

impl<K> RateLimitLayer<K> {
    /// Limits by this limiter; `caller` says who sends a request, or `None` for those that nothing limits.
    pub const fn new(limiter: Limiter, caller: K) -> Self {
        Self { limiter, caller }
    }
}

impl<K: Clone, Inner> Layer<Inner> for RateLimitLayer<K> {
    type Service = RateLimit<K, Inner>;

    fn layer(&self, inner: Inner) -> RateLimit<K, Inner> {
        RateLimit { inner, limiter: self.limiter.clone(), caller: self.caller.clone() }
    }
}

/// The service of [`RateLimitLayer`].
#[derive(Clone)]
pub struct RateLimit<K, Inner> {
    inner: Inner,
    limiter: Limiter,
    caller: K,
}

impl<B, R, K, Inner> Service<Request<B>> for RateLimit<K, Inner>
where
    B: Send + 'static,
    R: From<Bytes>,
    K: Fn(&Request<B>) -> Option<Caller>,
    Inner: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    Inner::Future: Send,
{
    type Response = Response<R>;
    type Error = Inner::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Inner::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Inner::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let caller = (self.caller)(&request);
        let limiter = self.limiter.clone();
        let next = self.inner.clone();
        // The service that was polled ready serves; its clone is polled ready again before the next request.
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let Some(caller) = caller else { return inner.call(request).await };
            let (policies, _) = Policy::several(&caller.policies);
            let subject = Subject {
                org: &caller.org,
                key: caller.key.as_deref(),
                user: caller.user.as_deref(),
                model: caller.model.as_deref(),
                properties: &caller.properties,
            };
            let ask = Ask { subject, policies: &policies, worst: caller.worst, downgraded: false, budgets_only: false };
            let admitted = match limiter.admit(ask).await {
                Ok(admitted) => admitted,
                Err(denial) => return Ok(refuse(&denial)),
            };
            let taken = Taken(Arc::new(std::sync::Mutex::new(Some(admitted.reservation))));
            request.extensions_mut().insert(taken.clone());
            let mut response = inner.call(request).await?;
            taken.settle(Spent { counts: true, ..Spent::default() });
            if let Some(quota) = admitted.quota {
                quota.write(response.headers_mut());
            }
            Ok(response)
        })
    }
}

/// The answer to a request that is over a limit, as Helicone's clients know it.
fn refuse<R: From<Bytes>>(denial: &Denial) -> Response<R> {
    let message = denial.message();
    let body = serde_json::json!({ "message": message }).to_string();
    let mut response = Response::new(R::from(Bytes::from(body)));
    *response.status_mut() = denial.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    denial.write(headers);
    response
}

impl Denial {
    /// The status to answer with: 429 where waiting helps, 402 where a budget is used up, 503 where nobody knows.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Exceeded { .. } if self.retry_s().is_some() => StatusCode::TOO_MANY_REQUESTS,
            Self::Exceeded { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A stable code for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limited { .. } => "rate_limited",
            Self::Exceeded { .. } => "budget_exceeded",
            Self::Unavailable => "limits_unavailable",
        }
    }

    /// In how many seconds trying again makes sense, where it does soon.
    #[must_use]
    pub fn retry_s(&self) -> Option<u64> {
        match self {
            Self::Limited { quota, .. } => quota.retry_s,
            // Calls under way hold money that most of them give back.
            Self::Exceeded { budget, spent, reserved, .. } => {
                (*reserved > Money::ZERO && *spent < budget.amount).then_some(1)
            }
            Self::Unavailable => Some(1),
        }
    }

    /// What happened and what to do.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Limited { quota, .. } => quota.refusal(),
            Self::Exceeded { budget, scope, spent, reserved, resets_s, .. } => {
                let resets = jiff::Timestamp::from_second(*resets_s).map(|at| at.to_string()).unwrap_or_default();
                format!(
                    "The budget {:?} ({scope}) has not enough left for this request: {spent} of {} USD are spent and {reserved} \
                     reserved for requests under way. It begins anew at {resets}; ask for fewer tokens, or raise it.",
                    budget.name(),
                    budget.amount,
                )
            }
            Self::Unavailable => {
                "The shared rate limits cannot be reached, and this gateway refuses requests then; try again."
                    .to_owned()
            }
        }
    }

    /// What each limit said.
    #[must_use]
    pub fn verdicts(&self) -> &[crate::Verdict] {
        match self {
            Self::Limited { verdicts, .. } | Self::Exceeded { verdicts, .. } => verdicts,
            Self::Unavailable => &[],
        }
    }

    /// Writes its headers.
    pub fn write(&self, headers: &mut http::HeaderMap) {
        match self {
            Self::Limited { quota, .. } => quota.write(headers),
            Self::Exceeded { .. } | Self::Unavailable => {
                if let Some(after) = self.retry_s() {
                    headers.insert(http::header::RETRY_AFTER, HeaderValue::from(after));
                }
            }
        }
    }
}
