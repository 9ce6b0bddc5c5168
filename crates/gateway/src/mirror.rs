//! Traffic that is copied to a second model, which answers nobody: to see what it would have said, at what cost.
//!
//! A copy runs in a task of its own and is a call of its own, with a row of its own. The call that it is a copy of waits
//! for nothing and is told nothing. Where too many copies are under way no further one is made, and the row says so.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http::header::CONTENT_LENGTH;
use tachograph_providers::{Api, json};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

use crate::answer::AnswerBody;
use crate::aside::{Aside, Behalf};
use crate::call::Call;
use crate::leaving::{Leaving, Room};

/// Copies under way at a time.
const MOST: usize = 64;

/// Copies calls whose virtual model says so.
#[derive(Clone)]
pub(crate) struct MirrorLayer {
    aside: Aside,
    tasks: Leaving,
    room: Arc<Semaphore>,
}

impl MirrorLayer {
    pub(crate) fn new(aside: Aside, tasks: Leaving) -> Self {
        Self { aside, tasks, room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl<Inner> Layer<Inner> for MirrorLayer {
    type Service = Mirrored<Inner>;

    fn layer(&self, inner: Inner) -> Mirrored<Inner> {
        Mirrored { inner, layer: self.clone() }
    }
}

/// The service of [`MirrorLayer`].
#[derive(Clone)]
pub(crate) struct Mirrored<Inner> {
    inner: Inner,
    layer: MirrorLayer,
}

impl<Inner> Service<Call> for Mirrored<Inner>
where
    Inner: Service<Call, Response = Response<AnswerBody>, Error = Infallible>,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Inner::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        if let Some(model) = &call.mirror {
            match Room::among(&self.layer.room) {
                Some(room) => match self.layer.copy(&call, model) {
                    Some(copying) => self.layer.tasks.go_on(room, copying),
                    None => call
                        .trip
                        .note(format!("not mirrored to {model}: its body is not held, or does not name its model")),
                },
                None => call.trip.note(format!("not mirrored to {model}: {MOST} copies are under way")),
            }
        }
        self.inner.call(call)
    }
}

impl MirrorLayer {
    /// The copy of a call to another model; `None` where its model stands nowhere.
    fn copy(&self, call: &Call, model: &str) -> Option<impl Future<Output = ()> + Send + 'static> {
        if call.upload.is_some() {
            return None;
        }
        let path = call.trip.amend(|asked| asked.path.clone())?;
        let name = serde_json::to_vec(model).ok()?;
        let (path, body) = match (&call.model_span, Api::with_model_in_path(&path)) {
            (_, Some((_, _, before))) => (path.replacen(before, model, 1), call.body.clone()),
            (Some(span), None) => (path, json::splice(&call.body, span.clone(), &name)),
            (None, None) => return None,
        };
        let mut headers = call.headers.clone();
        headers.remove(CONTENT_LENGTH);
        // The copy is another request than the one that it is a copy of.
        headers.remove("idempotency-key");
        let sending = self.aside.send(Behalf::of(call, "mirror"), &path, headers, body);
        Some(async move {
            // What came of it is on its own record.
            let _told = sending.await;
        })
    }
}
