//! Admit: who calls, what for, one bounded read, one parse; a [`Call`] comes out, or a refusal in the caller's dialect.

mod caller;
mod content;
mod fallbacks;
mod read;
mod route;
mod wishes;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use tachograph_providers::{Api, DialectId};
use tachograph_ratelimit::Policy;
use tachograph_record::{Asked, Attribution, Body, OrgId, RecordedError};
use tachograph_reply::{ApiError, ErrorShape};
use tachograph_telemetry::attribution::{self, Told};
use tachograph_telemetry::{Served, Trip};
use tower::{Layer, Service};

use crate::answer::AnswerBody;
use crate::aside::Behalf;
use crate::cache::AnswerCache;
use crate::call::{Call, Candidate, Way};
use crate::fit;
use crate::guards::Guards;
use crate::keys::KeyRing;
use crate::limits::Limits;
use crate::router::{self, Resolved, Router, Wanted};
use crate::session::ClientSocket;

pub(crate) use caller::PROVIDER_KEY_HEADERS;
pub(crate) use fallbacks::Codes;

use crate::form::Form;
use crate::target;
use crate::upload::{self, Upload, Uploads};

use content::Content;
use fallbacks::Named;
use route::Route;

/// The rate limits that a call brings itself.
const POLICIES: [HeaderName; 2] =
    [HeaderName::from_static("helicone-ratelimit-policy"), HeaderName::from_static("tachograph-ratelimit-policy")];
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What Admit looks at to let a request in.
pub struct Door {
    /// Our API keys.
    pub keys: Arc<KeyRing>,
    /// The providers, and who of them may serve what.
    pub router: Arc<Router>,
    /// The largest body that is taken, in bytes.
    pub max_body: usize,
    /// How much of a request's body is kept on the record, in bytes; nothing, where bodies are not kept.
    pub keep_body: Option<usize>,
    /// Rate limits and budgets.
    pub limits: Arc<Limits>,
    /// Answers that are kept.
    pub cache: AnswerCache,
    /// What is taken of bodies that pass without being held.
    pub uploads: Uploads,
    /// What looks at prompts before they are sent.
    pub guards: Guards,
}

/// Puts [`Admit`] before a service of [`Call`]s.
#[derive(Clone)]
pub(crate) struct AdmitLayer(pub Arc<Door>);

impl<Inner> Layer<Inner> for AdmitLayer {
    type Service = Admit<Inner>;

    fn layer(&self, inner: Inner) -> Admit<Inner> {
        Admit { inner, door: self.0.clone() }
    }
}

/// Lets requests in as calls.
#[derive(Clone)]
pub(crate) struct Admit<Inner> {
    inner: Inner,
    door: Arc<Door>,
}

impl<B, Inner> Service<Request<B>> for Admit<Inner>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Inner: Service<Call, Response = Response<AnswerBody>, Error = Infallible> + Clone + Send + 'static,
    Inner::Future: Send,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let door = self.door.clone();
        let next = self.inner.clone();
        // The service that was polled ready serves; its clone is polled ready again before the next call.
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let trip = head.extensions.remove::<Trip>().unwrap_or_else(|| begin_unmetered(&head));
            let shape = route::shape_of(&head);
            let admitted = door.admit(&mut head, body, &trip, shape).await;
            let admit_us = trip.elapsed_us();
            let mut response = match admitted {
                Ok(Admitted::Call(call)) => inner.call(*call).await?,
                Ok(Admitted::Answer(answer)) => *answer,
                Err(error) => refuse(shape, &error),
            };
            tell_time(response.headers_mut(), &trip, admit_us);
            Ok(response)
        })
    }
}

/// Says in `Server-Timing` where the time until the answer's head went, in ms: letting the request in (its body read,
/// its key checked), waiting for providers, and the rest, which is choosing and translating.
fn tell_time(headers: &mut HeaderMap, trip: &Trip, admit_us: u64) {
    let upstream_us = trip.upstream_us();
    let translate_us = trip.elapsed_us().saturating_sub(admit_us + upstream_us);
    let ms = |us: u64| (us / 1_000, us % 1_000);
    let ((auth, auth_us), (upstream, upstream_us), (translate, translate_us)) =
        (ms(admit_us), ms(upstream_us), ms(translate_us));
    let text = format!(
        "auth;dur={auth}.{auth_us:03}, upstream;dur={upstream}.{upstream_us:03}, translate;dur={translate}.{translate_us:03}"
    );
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append(SERVER_TIMING, value);
    }
}

/// Without a meter above there is no record, but the call is served all the same.
fn begin_unmetered(head: &Parts) -> Trip {
    let (id, now) = (tachograph_record::RecordId::generate(), tachograph_record::Timestamp::now());
    Trip::begin(id, now, head.method.clone(), head.uri.clone())
}

/// The gateway's own no.
pub(crate) fn refuse(shape: ErrorShape, error: &ApiError) -> Response<AnswerBody> {
    let mut response = shape.response::<AnswerBody>(error);
    response.extensions_mut().insert(Served::refused(recorded(error)));
    response
}

/// An error as the record keeps it.
pub(crate) fn recorded(error: &ApiError) -> RecordedError {
    let kind = error.native_kind().unwrap_or_else(|| error.kind().code()).to_owned();
    RecordedError { kind, code: Some(error.code().to_owned()), message: error.message().to_owned() }
}

/// What becomes of a request that was let in.
enum Admitted {
    /// It goes on.
    Call(Box<Call>),
    /// The gateway knows the answer itself.
    Answer(Box<Response<AnswerBody>>),
}

impl Door {
    /// Lets a request in. Whatever becomes of it, the record knows by then all that could be known.
    async fn admit<B>(&self, head: &mut Parts, body: B, trip: &Trip, shape: ErrorShape) -> Result<Admitted, ApiError>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let behalf = head.extensions.remove::<Behalf>();
        let caller = match &behalf {
            // A call of the gateway's own has no key of a caller in it, only his name.
            Some(behalf) => Ok((behalf.org, behalf.key)),
            None => caller::identify(head, &self.keys).map(|holder| (holder.org, Some(holder.key))),
        };
        let socket = head.extensions.remove::<ClientSocket>();
        let named = route::named_provider(&head.headers);
        let retries = wishes::retries(&head.headers);
        let handling = wishes::handling(&head.headers);
        let policies = policies(&head.headers, trip);
        let fallbacks = fallbacks::named(&head.headers, &self.keys);
        let target = target::named(&head.headers);
        let wish = self.cache.wish(&head.headers);
        let told = attribution::take(&mut head.headers);
        let mut asked = asked_by_head(head, told);
        if let Some(behalf) = &behalf {
            behalf.tell(&mut asked.record);
            trip.note(format!("{} of the call {}", behalf.purpose, behalf.of));
        }
        let omit_request = asked.omit_request || self.keep_body.is_none();
        let omit_response = asked.omit_response;
        let endpoints = &self.router.endpoints;
        let listing = route::models(head, endpoints).filter(|_| target.is_none() && matches!(fallbacks, Ok(None)));
        let (route, fallbacks) = match (fallbacks, &target) {
            (Err(error), _) => (Err(error), Vec::new()),
            (Ok(Some(fallbacks)), _) => (route::to_target(head, &fallbacks[0].target, endpoints), fallbacks),
            (Ok(None), Some(target)) => (route::to_target(head, target, endpoints), Vec::new()),
            (Ok(None), None) => (route::route(head, endpoints, named.as_deref(), socket.is_some()), Vec::new()),
        };
        if let Ok(route) = &route {
            asked.record.api = route.api().into();
        }
        if listing.is_some() {
            asked.record.api = "models".into();
        }
        let (org, key) = match caller {
            Ok(caller) => caller,
            Err(error) => {
                trip.asked(asked.record);
                return Err(error);
            }
        };
        (asked.record.org, asked.record.key) = (org, key);
        if let Some(one) = listing {
            trip.asked(asked.record);
            return router::list(&self.router, org, one.as_deref(), shape)
                .map(|answer| Admitted::Answer(Box::new(answer)));
        }
        let kept = if omit_request { None } else { self.keep_body };
        let reading =
            read::beginning(body, &head.headers, self.max_body, &self.uploads, trip, kept.unwrap_or_default());
        let (read, upload) = match reading.await {
            Ok(read) => read,
            Err(error) => {
                trip.asked(asked.record);
                return Err(error);
            }
        };
        let mut form = Form::of(&head.headers);
        let mut content = content::look(&read, &head.headers, form.as_mut(), route.as_ref().ok());
        if let Some((model, stream)) = route.as_ref().ok().and_then(|route| route.in_path.clone()) {
            content.model = Some(model);
            content.stream = stream.unwrap_or(content.stream);
        }
        if content.model.is_none() {
            content.model = route.as_ref().ok().and_then(|route| route.deployment.clone());
        }
        if content.model.is_none() && content.is_object {
            // Where only one thing can be meant, nobody need say it.
            content.model = self.router.only_model();
        }
        content.stream |= socket.is_some();
        let late = match (upload, form.filter(|_| content.model.is_none())) {
            (Some(upload), Some(form)) => self.late_model(upload, form, route.as_ref().ok(), read.len()).await,
            (upload, _) => Ok((upload, None)),
        };
        let (upload, late) = match late {
            Ok((upload, late)) => (upload, late),
            Err(error) => {
                keep(&mut asked.record, &content, &read, kept);
                trip.asked(asked.record);
                return Err(error);
            }
        };
        let model_in_upload = late.and_then(|(model, at)| {
            content.model = Some(model);
            at
        });
        keep(&mut asked.record, &content, &read, kept);
        let resolved = route.and_then(|route| {
            content.check(&route, &read)?;
            let resolved = if fallbacks.is_empty() {
                self.resolve(&route, &content, &asked.record.attribution, &read, trip, org)?
            } else {
                self.in_order(&fallbacks, &route, &read)?
            };
            Ok((route, resolved, wish?))
        });
        trip.asked(asked.record);
        let (route, resolved, wish) = resolved?;
        resolved.notes.into_iter().for_each(|note| trip.note(note));
        let mut call = Box::new(Call {
            trip: trip.clone(),
            org,
            api: route.api,
            shape,
            way: route.way,
            method: head.method.clone(),
            headers: std::mem::take(&mut head.headers),
            body: read,
            upload: upload.map(Arc::new),
            model_in_upload,
            model: content.model,
            model_span: content.model_span,
            stream: content.stream,
            omit_response: omit_response || self.keep_body.is_none(),
            candidates: resolved.candidates,
            retries,
            wish: (!wish.is_empty()).then(|| Box::new((wish, org))),
            policies,
            is_aside: behalf.is_some(),
            guarding: handling.guarding,
            mirror: resolved.mirror,
            socket,
        });
        if let Some(what) = handling.too_long {
            fit::apply(&mut call, what, &self.router, &self.router.prices().for_org(org));
        }
        Ok(Admitted::Call(call))
    }

    /// The model of a form that names it behind its file. The AI gateway has to know it before anybody can be asked; on a
    /// provider's proxy the record learns it as it passes.
    async fn late_model(
        &self,
        mut upload: Upload,
        form: Form,
        route: Option<&Route>,
        read: usize,
    ) -> Result<(Option<Upload>, Option<upload::Named>), ApiError> {
        let mut model = None;
        match route.map(|route| &route.way) {
            Some(Way::Gateway(..)) => model = upload.model(form, read, &self.uploads.folder).await?,
            Some(Way::Proxy(_)) => upload.watch(form),
            None => {}
        }
        Ok((Some(upload), model))
    }

    fn resolve(
        &self,
        route: &Route,
        content: &Content,
        attribution: &Attribution,
        body: &[u8],
        trip: &Trip,
        org: OrgId,
    ) -> Result<Resolved, ApiError> {
        let model = content.model.as_deref();
        if let (Way::Proxy(_), Some(endpoint)) = (&route.way, &route.endpoint) {
            return Ok(Resolved { candidates: vec![self.router.proxied(endpoint, model)], ..Resolved::default() });
        }
        let model = model.unwrap_or_default();
        self.router.resolve(&Wanted { model, attribution, body, id: trip.id(), org })
    }

    /// The targets that the caller named, in its order.
    fn in_order(&self, fallbacks: &[Named], route: &Route, body: &Bytes) -> Result<Resolved, ApiError> {
        let dialect = route.api.map_or(DialectId::OpenAiChat, Api::family);
        let candidate = |named: &Named| {
            let endpoint = self.router.endpoints.target(&named.target, dialect)?;
            let instead = named.instead_of(body)?;
            let model = instead.model.clone();
            let reached = self.router.proxied(&endpoint, model.as_deref());
            Ok(Candidate { model, instead: Some(Arc::new(instead)), ..reached })
        };
        let candidates = fallbacks.iter().map(candidate).collect::<Result<_, ApiError>>()?;
        Ok(Resolved { candidates, ..Resolved::default() })
    }
}

/// The policies in a call's header. One that cannot be read limits nothing, as Helicone has it, and its record says why.
fn policies(headers: &HeaderMap, trip: &Trip) -> Vec<Policy> {
    let Some(value) = POLICIES.iter().find_map(|name| headers.get(name)) else { return Vec::new() };
    let (policies, faults) = Policy::several(value.to_str().unwrap_or("?"));
    for fault in faults {
        trip.note(format!("the rate limit policy {:?} is not in force: {}", fault.value, fault.message));
    }
    policies
}

struct AskedByHead {
    record: Asked,
    omit_request: bool,
    omit_response: bool,
}

fn asked_by_head(head: &Parts, told: Told) -> AskedByHead {
    let (trace_id, parent_span_id) = attribution::traceparent(&head.headers).unzip();
    let record = Asked {
        method: head.method.as_str().to_owned().into(),
        path: head.uri.path().to_owned(),
        attribution: told.attribution,
        trace_id,
        parent_span_id,
        ..Asked::default()
    };
    AskedByHead { record, omit_request: told.omit_request, omit_response: told.omit_response }
}

/// Puts what the body says onto the record. A header that named the user counts more than the body.
fn keep(asked: &mut Asked, content: &Content, read: &Bytes, keep: Option<usize>) {
    asked.model.clone_from(&content.model);
    asked.stream = content.stream;
    asked.parameters = content.parameters.clone();
    let Attribution { user, .. } = &mut asked.attribution;
    if user.is_none() {
        user.clone_from(&content.user);
    }
    asked.body = Body::capture(read, keep.unwrap_or(0));
    if keep.is_none() {
        asked.body.omit();
    }
}
