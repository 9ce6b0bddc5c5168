//! Frames pass as they come: none waits for another, none is lost, and none costs memory once it has passed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_tests::{Gateway, Open, Pace, Reply, Upstream, golden, post};
use tokio::sync::Semaphore;
use tokio::time::timeout;

const STREAMS: usize = 50;
const FRAMES: usize = 2_000;

fn request(model: &str) -> http::Request<Bytes> {
    let messages = json!([{ "role": "user", "content": "count" }]);
    let options = json!({ "include_usage": true });
    post(
        "/openai/v1/chat/completions",
        &json!({ "model": model, "stream": true, "stream_options": options, "messages": messages }),
    )
}

fn chunk(delta: &Value, finish: &Value) -> Bytes {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [choice] });
    Bytes::from(format!("data: {chunk}\n\n"))
}

/// A stream of so many frames: content, then the end.
fn long_stream(frames: usize) -> Reply {
    let content = (0..frames - 2).map(|n| chunk(&json!({ "content": format!("{n} ") }), &Value::Null));
    let end = [chunk(&json!({}), &json!("stop")), Bytes::from_static(b"data: [DONE]\n\n")];
    Reply::chunked(200, &[("content-type", "text/event-stream")], content.chain(end))
}

/// Reads as many bytes as these frames have; they must come without any other frame's leaving.
async fn reads(open: &mut Open, expected: &[u8]) {
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let frame = timeout(Duration::from_secs(20), open.frame()).await;
        let frame = frame.unwrap_or_else(|_| panic!("held back: {:?}", String::from_utf8_lossy(expected)));
        got.extend_from_slice(&frame.expect("the stream ended early").unwrap());
    }
    assert_eq!(got, expected);
}

/// All streams step by step: the upstream sends a stream's next frame only when its client has read the one before.
async fn in_lock_step(bodies: &str) -> (Gateway, [u64; 2]) {
    let gates: Vec<Arc<Semaphore>> = (0..STREAMS).map(|_| Arc::new(Semaphore::new(0))).collect();
    let of_upstream = gates.clone();
    let upstream = Upstream::answering(move |seen| {
        let model = seen.json()["model"].as_str().unwrap().to_owned();
        let Ok(number) = model.trim_start_matches('s').parse::<usize>() else { return long_stream(10) };
        long_stream(FRAMES).paced(Pace::Told(of_upstream[number].clone()))
    })
    .await;
    let gateway = Gateway::before(&upstream).config(&format!("logging: {{ bodies: {bodies} }}")).start().await;
    // What is loaded once (the vocabulary by which a stream without usage is counted) is no part of what streams cost.
    gateway.send(request("warm-up")).await;
    let frames: Vec<Bytes> = {
        let whole = long_stream(FRAMES);
        tachograph_tests::sse::events(&whole.body()).into_iter().map(Bytes::copy_from_slice).collect()
    };
    let mut open = Vec::new();
    for (number, gate) in gates.iter().enumerate() {
        gate.add_permits(1);
        open.push(gateway.open(request(&format!("s{number}"))).await);
    }
    let mut resident = [0; 2];
    for (step, frame) in frames.iter().enumerate() {
        if step > 0 {
            gates.iter().for_each(|gate| gate.add_permits(1));
        }
        for stream in &mut open {
            reads(stream, frame).await;
        }
        if step == FRAMES / 10 {
            resident[0] = gateway.resident();
        }
    }
    resident[1] = gateway.resident();
    for stream in open {
        assert!(stream.collect().await.frames.is_empty(), "more than the upstream sent");
    }
    let rows = gateway.rows().await;
    assert!(rows.iter().all(|row| row["outcome"] == "complete"), "{rows:#?}");
    (gateway, resident)
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_14_in_fifty_streams_no_frame_waits_for_another_and_memory_stays_flat() {
    let (_gateway, [early, late]) = in_lock_step("none").await;
    let grown = late.saturating_sub(early) / 1024;
    assert!(grown < 8 * 1024, "{grown} KiB more after {FRAMES} frames in each of {STREAMS} streams");
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_bodies_cost_about_their_own_size() {
    let (_gateway, [early, late]) = in_lock_step("full").await;
    let bodies = (STREAMS * long_stream(FRAMES).body().len()) as u64;
    let grown = late.saturating_sub(early);
    assert!(grown < 4 * bodies + (16 << 20), "{} KiB more for {} KiB of bodies", grown >> 10, bodies >> 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_06_the_first_token_is_the_first_content_not_the_first_byte() {
    const THINKS: Duration = Duration::from_millis(250);
    for (path, golden, preamble) in [
        ("/openai/v1/chat/completions", golden::OPENAI_CHAT, 1),
        // message_start, content_block_start, ping
        ("/anthropic/v1/messages", golden::ANTHROPIC_MESSAGES, 3),
    ] {
        let told = Arc::new(Semaphore::new(preamble));
        let pace = Pace::Told(told.clone());
        let upstream = Upstream::answering(move |_| golden.events().paced(pace.clone())).await;
        let gateway = Gateway::before(&upstream).start().await;
        let body =
            json!({ "model": "m", "max_tokens": 9, "stream": true, "messages": [{ "role": "user", "content": "x" }] });
        let mut open = gateway.open(post(path, &body)).await;
        let first = open.frame().await.unwrap().unwrap();
        assert!(!first.is_empty(), "the preamble passes at once");
        tokio::time::sleep(THINKS).await;
        told.add_permits(1000);
        let answer = open.collect().await;
        let row = gateway.row(&answer).await;
        let clock = |name: &str| Duration::from_micros(row["timing"][name].as_u64().unwrap());
        assert!(clock("first_byte_us") + THINKS <= clock("first_token_us"), "{path}: {}", row["timing"]);
        assert!(clock("first_token_us") <= clock("end_us"), "{path}: {}", row["timing"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_06_without_content_there_is_no_first_token() {
    let told = Arc::new(Semaphore::new(1));
    let pace = Pace::Told(told.clone());
    let upstream = Upstream::answering(move |_| golden::OPENAI_CHAT.events().paced(pace.clone())).await;
    let gateway = Gateway::before(&upstream).start().await;
    let mut open = gateway.open(request("gpt-4o-mini")).await;
    open.frame().await.unwrap().unwrap();
    let id = open.id().to_owned();
    open.leave();
    let row = gateway.row_of(&id).await;
    assert!(row["timing"]["first_byte_us"].is_u64(), "{}", row["timing"]);
    assert_eq!(row["timing"]["first_token_us"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_15_two_small_writes_arrive_one_by_one_without_nagles_pause() {
    let pace = || Pace::Every(Duration::from_millis(1));
    let upstream = Upstream::answering(move |_| long_stream(40).paced(pace())).await;
    let gateway = Gateway::before(&upstream).start().await;
    let mut gaps = Vec::new();
    for _ in 0..3 {
        let mut open = gateway.open(request("gpt-4o-mini")).await;
        let mut last = None;
        while let Some(frame) = open.frame().await {
            frame.unwrap();
            let now = Instant::now();
            gaps.extend(last.replace(now).map(|last| now - last));
        }
    }
    assert!(gaps.len() > 60, "frames were joined: {} gaps between 117 frames", gaps.len());
    gaps.sort();
    let median = gaps[gaps.len() / 2];
    assert!(median < Duration::from_millis(20), "{median:?} between writes 1 ms apart");
}
