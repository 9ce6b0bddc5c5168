//! Calls that the gateway makes itself on behalf of another: to have a prompt moderated, to find answers of the same
//! meaning, to try another model on real traffic. They take the gateway's own way to providers, have rows of their own
//! and cost what they cost; budgets count them, rate limits do not.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tachograph_record::{Asked, Attribution, KeyId, OrgId, RecordId};
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceExt};

use crate::admit::PROVIDER_KEY_HEADERS;
use crate::call::Call;

/// The property that tells such calls from those of callers, in its value what they are for.
pub(crate) const PROPERTY: &str = "Tachograph-Aside";
/// The most of an answer that is read, in bytes: an embedding or a verdict is smaller, a mirrored answer may not be.
const LARGEST: usize = 16 << 20;

/// The way to providers, without what may itself want to call aside.
pub(crate) type AsideService = BoxCloneService<Request<Full<Bytes>>, Response<AsideBody>, Infallible>;

/// The body of an answer to a call aside.
pub(crate) type AsideBody = UnsyncBoxBody<Bytes, BoxError>;

/// An answer with its body boxed.
pub(crate) fn boxed<B>(response: Response<B>) -> Response<AsideBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}

/// Makes calls on behalf of others.
#[derive(Clone)]
pub(crate) struct Aside(Arc<Mutex<AsideService>>);

/// On whose behalf a call is made, and what for. In a request's extensions it stands for the caller's key.
#[derive(Clone)]
pub(crate) struct Behalf {
    pub(crate) org: OrgId,
    pub(crate) key: Option<KeyId>,
    pub(crate) purpose: &'static str,
    /// The call that it is made for.
    pub(crate) of: RecordId,
    attribution: Attribution,
    trace_id: Option<String>,
}

impl Behalf {
    /// On behalf of the one who made this call.
    pub(crate) fn of(call: &Call, purpose: &'static str) -> Option<Self> {
        let of = call.trip.id();
        call.trip.amend(|asked| {
            let mut attribution = asked.attribution.clone();
            attribution.set_property(PROPERTY, purpose);
            Self { org: asked.org, key: asked.key, purpose, of, attribution, trace_id: asked.trace_id.clone() }
        })
    }

    /// Puts onto a record for whom the call is.
    pub(crate) fn tell(&self, asked: &mut Asked) {
        asked.name = Some(self.purpose.to_owned());
        asked.attribution = self.attribution.clone();
        asked.trace_id.clone_from(&self.trace_id);
    }
}

/// Why nothing came of a call aside.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AsideError {
    #[error("it was answered with status {0}")]
    Status(StatusCode),
    #[error("its answer broke off")]
    Broken,
    #[error("its answer is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("it could not be made")]
    NotMade,
}

impl Aside {
    pub(crate) fn new(service: AsideService) -> Self {
        Self(Arc::new(Mutex::new(service)))
    }

    /// Posts a JSON body to one of the gateway's paths; the body of the answer, where its status is 200. The caller's own
    /// keys go with it: they serve where they are keys of the provider that is asked.
    pub(crate) fn ask(
        &self,
        behalf: Option<Behalf>,
        path: &str,
        keys_of: &HeaderMap,
        body: Bytes,
    ) -> impl Future<Output = Result<Bytes, AsideError>> + Send + use<> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for name in PROVIDER_KEY_HEADERS {
            headers.extend(keys_of.get(&name).map(|key| (name.clone(), key.clone())));
        }
        let answering = self.send(behalf, path, headers, body);
        async move {
            let (status, body) = answering.await?;
            if status == StatusCode::OK { Ok(body) } else { Err(AsideError::Status(status)) }
        }
    }

    /// Posts a body with these headers; the status and the whole body of the answer.
    pub(crate) fn send(
        &self,
        behalf: Option<Behalf>,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl Future<Output = Result<(StatusCode, Bytes), AsideError>> + Send + use<> {
        let service = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = Request::builder().method(Method::POST).uri(path).body(Full::new(body)).map(|mut request| {
            *request.headers_mut() = headers;
            request
        });
        async move {
            let (Some(behalf), Ok(mut request)) = (behalf, request) else { return Err(AsideError::NotMade) };
            request.extensions_mut().insert(behalf);
            let response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status();
            Ok((status, whole(response.into_body()).await?))
        }
    }
}

/// Reads a body to its end, so that its record is complete.
async fn whole<B>(body: B) -> Result<Bytes, AsideError>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = body.as_mut().frame().await {
        let Ok(piece) = frame.map_err(|_| AsideError::Broken)?.into_data() else { continue };
        if read.len() + piece.len() > LARGEST {
            return Err(AsideError::TooLarge);
        }
        read.extend_from_slice(&piece);
    }
    Ok(read.freeze())
}
