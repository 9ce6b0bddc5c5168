//! The live feed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use serde_json::Value;
use tachograph_record::{LogRecord, Timestamp};

use crate::desk::{Desk, KEY, OTHER_KEY, call, desk};

/// One listener, reading event by event.
pub(crate) struct Listener {
    body: HttpBody,
    held: String,
}

impl Listener {
    pub(crate) async fn open(desk: &Desk, key: &str, path: &str) -> Self {
        let response = desk.get_with(path, &[("authorization", &format!("Bearer {key}"))]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut listener = Self { body: response.into_body(), held: String::new() };
        assert_eq!(listener.next().await.0, "ready");
        listener
    }

    /// The next event's name and data; comments are passed over.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.held.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let found = field("event:")
                    .map(|name| (name.to_owned(), serde_json::from_str(field("data:").unwrap()).unwrap()));
                self.held = rest.to_owned();
                match found {
                    Some(event) => return event,
                    None => continue,
                }
            }
            let frame =
                tokio::time::timeout(Duration::from_secs(60), self.body.frame()).await.expect("an event in time");
            self.held.push_str(std::str::from_utf8(frame.unwrap().unwrap().data_ref().unwrap()).unwrap());
        }
    }

    /// The id of the next row.
    pub(crate) async fn row(&mut self) -> String {
        let (name, data) = self.next().await;
        assert_eq!(name, "row", "{data}");
        data["id"].as_str().unwrap().to_owned()
    }
}

fn just_now(seconds_ago: i64) -> LogRecord {
    call(Timestamp::now().micros() - seconds_ago * 1_000_000)
}

#[tokio::test(start_paused = true)]
async fn rows_come_as_they_are_stored_each_once_and_late_ones_too() {
    let desk = desk();
    desk.put(&[just_now(5)]).await;
    let mut listener = Listener::open(&desk, KEY, "/api/live").await;
    let (newest, late) = (just_now(0), just_now(120));
    desk.put(std::slice::from_ref(&newest)).await;
    assert_eq!(listener.row().await, newest.id.to_string());
    // Received before the others, over only now.
    desk.put(std::slice::from_ref(&late)).await;
    assert_eq!(listener.row().await, late.id.to_string());
    let last = just_now(0);
    desk.put(std::slice::from_ref(&last)).await;
    assert_eq!(listener.row().await, last.id.to_string(), "and nothing twice in between");
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_its_own_organisation_and_filter_alone() {
    let desk = desk();
    let mut filtered = Listener::open(&desk, KEY, "/api/live?user=ada&status=200").await;
    let mut foreign = Listener::open(&desk, OTHER_KEY, "/api/live").await;
    let (mut hers, mut theirs) = (just_now(0), just_now(0));
    hers.asked.attribution.user = Some("ada".into());
    theirs.asked.org = crate::desk::other_org();
    desk.put(&[just_now(1), hers.clone(), theirs.clone()]).await;
    assert_eq!(filtered.row().await, hers.id.to_string());
    assert_eq!(foreign.row().await, theirs.id.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_is_told_to_reload_and_holds_nobody_up() {
    let desk = desk();
    let mut slow = Listener::open(&desk, KEY, "/api/live").await;
    let mut quick = Listener::open(&desk, KEY, "/api/live").await;
    // More than is buffered for anybody, but in portions that one who reads keeps up with.
    for _ in 0..5 {
        let batch: Vec<_> = (0..100).map(|_| just_now(0)).collect();
        desk.put(&batch).await;
        for _ in &batch {
            quick.row().await;
        }
    }
    assert_eq!(slow.next().await.0, "reload");
    slow.row().await;
}

#[tokio::test(start_paused = true)]
async fn one_poller_serves_all_and_ends_with_the_last_listener() {
    let desk = desk();
    let searches = || desk.store.searches.load(Ordering::Relaxed);
    let listeners = [Listener::open(&desk, KEY, "/api/live").await, Listener::open(&desk, KEY, "/api/live").await];
    let before = searches();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = searches() - before;
    assert!((18..=22).contains(&asked), "twice a second, whoever listens: {asked}");
    drop(listeners);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = searches();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(searches(), after, "nobody listens, nobody asks");
    // And it comes back.
    let mut listener = Listener::open(&desk, KEY, "/api/live").await;
    let record = just_now(0);
    desk.put(std::slice::from_ref(&record)).await;
    assert_eq!(listener.row().await, record.id.to_string());
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_store_is_told_and_nothing_is_missed() {
    let desk = desk();
    let mut listener = Listener::open(&desk, KEY, "/api/live").await;
    desk.store.unreachable.store(true, Ordering::Relaxed);
    assert_eq!(listener.next().await.0, "trouble");
    let record = just_now(0);
    desk.put(std::slice::from_ref(&record)).await;
    desk.store.unreachable.store(false, Ordering::Relaxed);
    let events = [listener.next().await, listener.next().await];
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["row", "recovered"]);
    assert_eq!(events[0].1["id"], record.id.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_silent_feed_is_kept_alive_and_ends_after_ten_minutes() {
    let desk = desk();
    let mut listener = Listener::open(&desk, KEY, "/api/live").await;
    let mut comments = 0;
    while let Some(frame) = listener.body.frame().await {
        comments += usize::from(frame.unwrap().data_ref().unwrap().starts_with(b":"));
    }
    assert!(comments >= 30, "{comments}");
}

#[tokio::test(start_paused = true)]
async fn feeds_end_when_the_program_is_about_to_stop() {
    let desk = desk();
    let mut listener = Listener::open(&desk, KEY, "/api/live").await;
    desk.closing.close();
    assert!(listener.body.frame().await.is_none(), "the feed is over");
    let late = desk.get_with("/api/live", &[("authorization", &format!("Bearer {KEY}"))]).await;
    let ended = tokio::time::timeout(Duration::from_secs(1), late.into_body().collect()).await;
    assert!(ended.is_ok(), "one that is opened later ends at once");
}
