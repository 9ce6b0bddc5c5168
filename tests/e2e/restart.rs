//! A graceful stop loses nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tachograph_tests::{Ending, Gateway, Pace, Upstream, golden, post};
use tokio::sync::Semaphore;

#[tokio::test(flavor = "multi_thread")]
async fn streams_under_way_at_a_graceful_stop_end_well_and_their_rows_are_there_afterwards() {
    const STREAMS: usize = 5;
    let told = Arc::new(Semaphore::new(0));
    let pace = Pace::Told(told.clone());
    let upstream = Upstream::answering(move |seen| {
        let stream = seen.json()["stream"] == true;
        if stream { golden::OPENAI_CHAT.events().paced(pace.clone()) } else { golden::OPENAI_CHAT.reply() }
    })
    .await;
    let mut gateway = Gateway::before(&upstream).start().await;
    let ask = |stream: bool| {
        let messages = json!([{ "role": "user", "content": "hi" }]);
        post("/openai/v1/chat/completions", &json!({ "model": "gpt-4o-mini", "stream": stream, "messages": messages }))
    };
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..20 {
        ids.push(gateway.send(ask(false)).await.id().to_owned());
    }
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        told.add_permits(2);
        open.push(gateway.open(ask(true)).await);
    }
    gateway.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    told.add_permits(1000);
    for stream in open {
        let answer = stream.collect().await;
        assert_eq!(answer.ending, Ending::Whole);
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
        ids.push(answer.id().to_owned());
    }
    let status = gateway.ended().await;
    assert!(status.success(), "{status}: {}", gateway.log());

    let again = gateway.again().start().await;
    let rows = again.rows_when_there_are(ids.len()).await;
    for id in &ids {
        let row = rows.iter().find(|row| row["id"] == id.as_str()).unwrap_or_else(|| panic!("{id} is lost"));
        assert_eq!((&row["outcome"], &row["cost"]["total"]), (&json!("complete"), &json!("0.000255")), "{row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_at_the_first_start_is_not_shown_again_and_still_counts() {
    let mut first = Gateway::configured("listen: 127.0.0.1:0\n").start().await;
    let key = first.wait_for("first API key, shown this once: ");
    first.signal("INT");
    assert!(first.ended().await.success());
    let mut again = first.again().start().await;
    again.wait_for("base_url=");
    let mut request = post(
        "/v1/chat/completions",
        &json!({ "model": "demo/echo", "messages": [{ "role": "user", "content": "hi" }] }),
    );
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    assert_eq!(again.send(request).await.status, 200);
    again.signal("TERM");
    assert!(again.ended().await.success());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| again.wait_for("first API key"))).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_console_does_not_hold_up_a_stop() {
    let key = tachograph_tests::KEY;
    let mut gateway = Gateway::configured(&format!("listen: 127.0.0.1:0\napi_key: {key}\n")).start().await;
    let feed = gateway.open(tachograph_tests::get("/api/live")).await;
    assert_eq!(feed.status, 200);
    let asked = std::time::Instant::now();
    gateway.signal("TERM");
    assert!(gateway.ended().await.success());
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    feed.leave();
}
