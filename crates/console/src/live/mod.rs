//! The live feed: new rows as Server-Sent Events.
//!
//! While somebody of an organisation listens, one poller asks the store for its new rows and hands each to all who
//! listen; nobody listens, nobody asks. A listener that does not keep up is told to `reload` instead of being buffered
//! for, and cannot hold up the others.
//!
//! Events: `ready` once the feed is on (rows stored from now on will come), `row` with a row as in `/api/requests`,
//! `reload` where rows were missed, `trouble` when the store stops answering and `recovered` when it is back.

mod feed;
mod poller;
mod window;

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::select;
use futures_util::{Stream, StreamExt, stream};
use tachograph_store::{Condition, Filter, Seen};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

pub(crate) use feed::Live;
use feed::{News, Subscription};

use crate::access::Caller;
use crate::api::{Question, Refusal};

/// Between two comments on a silent feed, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A feed ends after so long and the browser connects again, which asks anew whether it may.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// `GET /api/live`.
pub(crate) async fn listen(
    State(live): State<Live>,
    Extension(caller): Extension<Caller>,
    question: Question,
) -> Result<Response, Refusal> {
    let filter = question.filter_only()?;
    if filter.only.conditions().into_iter().any(Condition::is_about_bodies) {
        let message = "the live feed cannot search what was said; leave the free text out and ask /api/requests for it";
        return Err(Refusal::bad_request(message));
    }
    let Some(Subscription { news, mut ready }) = live.subscribe(caller.org) else {
        let message = "too many live feeds are open; close some, or ask /api/requests from time to time";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", message));
    };
    let ready = stream::once(async move {
        // Its error is that the poller is gone; then the news end too.
        drop(ready.wait_for(|ready| *ready).await);
        Event::default().event("ready").data("{}")
    });
    let events = ready.chain(events(news, filter)).map(Ok::<_, Infallible>);
    let over = select(Box::pin(tokio::time::sleep(LONGEST)), Box::pin(live.closed()));
    let events = events.take_until(over);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn events(news: Receiver<News>, filter: Filter) -> impl Stream<Item = Event> + Send {
    stream::unfold((news, filter), |(mut news, filter)| async move {
        loop {
            let event = match news.recv().await {
                Ok(News::Row(stored)) if filter.picks(Seen { row: &stored.row, marks: &stored.marks }) => {
                    Event::default().event("row").id(stored.cursor.to_string()).data(&stored.json)
                }
                Ok(News::Row(_)) => continue,
                Ok(News::Missed) | Err(RecvError::Lagged(_)) => Event::default().event("reload").data("{}"),
                Ok(News::Trouble) => Event::default().event("trouble").data("{}"),
                Ok(News::Recovered) => Event::default().event("recovered").data("{}"),
                Err(RecvError::Closed) => return None,
            };
            return Some((event, (news, filter)));
        }
    })
}
