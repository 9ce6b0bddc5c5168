//! The architecture, as one function.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tachograph_record::RecordId;
use tachograph_telemetry::{MeterLayer, RecordSink};
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceBuilder};
use tower_http::body::UnsyncBoxBody;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::admit::{AdmitLayer, Door};
use crate::answer::AnswerErrorsLayer;
use crate::aside::{self, Aside};
use crate::cache::CacheLayer;
use crate::codec::CodecLayer;
use crate::fallback::FallbackLayer;
use crate::guards::GuardLayer;
use crate::hold::HoldLayer;
use crate::keep_alive::KeepAliveLayer;
use crate::leaving::{Leaving, LeavingLayer};
use crate::limits::LimitLayer;
use crate::mirror::MirrorLayer;
use crate::panic::answer_panic;
use crate::request_id::RequestIdLayer;
use crate::session::SessionLayer;
use crate::upstream::Upstream;

/// The one boxed body at the edge.
pub type EdgeBody = UnsyncBoxBody<Bytes, BoxError>;

/// The one boxed service at the edge; it is cloned for each connection.
pub type Gateway<B> = BoxCloneService<Request<B>, Response<EdgeBody>, Infallible>;

/// A request's way, outermost first.
pub fn stack<B, S>(
    door: Door,
    upstream: Upstream,
    sink: S,
    keep_body: usize,
    keep_alive: Option<Duration>,
    leaving: Leaving,
) -> Gateway<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S: RecordSink + Clone,
{
    let router = door.router.clone();
    let (limits, guards) = (door.limits.clone(), door.guards.clone());
    let (cache, prices) = (door.cache.clone(), router.prices().clone());
    let door = Arc::new(door);
    // Calls that the gateway makes itself for others: through the meter, Admit, budgets and everything below, so that they
    // are recorded and paid for, and past everything that could want such a call itself.
    let aside = ServiceBuilder::new()
        .boxed_clone()
        .map_response(aside::boxed)
        .layer(MeterLayer::new(sink.clone()).keep_bodies_up_to(keep_body))
        .layer(AdmitLayer(door.clone()))
        .layer(LimitLayer(limits.clone()))
        .layer(AnswerErrorsLayer)
        .layer(FallbackLayer(router.clone()))
        .layer(HoldLayer)
        .layer(CodecLayer);
    let aside = Aside::new(aside.service(upstream.clone()));
    let layers = ServiceBuilder::new()
        .boxed_clone()
        // A panic costs its own call an answer, never the process: outermost, so that it holds for every layer below.
        .layer(CatchPanicLayer::custom(answer_panic))
        // The id is on every answer, refusals and panics included.
        .layer(RequestIdLayer)
        // Spans only at debug level: a filtered span is nearly free, a made one costs more than all of Admit.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|request: &Request<B>| {
                    // No path and no query: keys stand in both.
                    let id = request.extensions().get::<RecordId>().map(tracing::field::display);
                    tracing::debug_span!("request", method = %request.method(), id)
                })
                .on_request(())
                .on_response(())
                .on_body_chunk(())
                .on_eos(())
                .on_failure(()),
        )
        // Outside the meter: its comments are no part of the answer.
        .layer(KeepAliveLayer(keep_alive))
        // A session's frames pass beside the answer; what the record is to know of them is its body, read here to its end.
        .layer(SessionLayer(leaving.clone()))
        // A client that leaves may leave an answer behind that the meter reads on.
        .layer(LeavingLayer(leaving.clone()))
        // Above everything that can say no, so that refusals and cache hits are on the record too.
        .layer(MeterLayer::new(sink).keep_bodies_up_to(keep_body))
        // From here on a call is typed: its caller known, its body read once within a bound, parsed once.
        .layer(AdmitLayer(door))
        // What may not be spent is not sent. It stands above the cache, whose hits give back what was taken for them.
        .layer(LimitLayer(limits))
        // What must not be sent is not sent, and not answered from what was kept for others either.
        .layer(GuardLayer { guards, aside: aside.clone() })
        // A hit needs no live provider, and no typed error. What is kept is judged by its record, when that is closed.
        .layer(CacheLayer { cache, prices, aside: aside.clone() })
        // What is really asked is copied where a virtual model says so. It waits for nothing.
        .layer(MirrorLayer::new(aside, leaving))
        // Errors become answers in one place; what needs them typed (retries, fallbacks) stands below.
        .layer(AnswerErrorsLayer)
        // Who is asked, in which order, and again, each try on the record.
        .layer(FallbackLayer(router))
        // What fails before there is content has failed unseen: it is held back here while someone else could serve.
        .layer(HoldLayer)
        // The provider's dialect below, the caller's above.
        .layer(CodecLayer);
    layers.service(upstream)
}
