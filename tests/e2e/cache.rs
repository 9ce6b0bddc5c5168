//! Answers that are kept, calls that are shared, keys that make a call one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tachograph_tests::{Cut, Gateway, Pace, Reply, Upstream, post};

const CHAT: &str = "/v1/chat/completions";
const ON: (&str, &str) = ("helicone-cache-enabled", "true");

fn chat(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({ "model": "openai/gpt-4o-mini", "temperature": 0.5, "max_tokens": 20, "user": "u",
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }],
        "tool_choice": "auto", "stop": ["x"], "seed": 1, "messages": [{ "role": "user", "content": "count" }] });
    change(&mut body);
    body
}

/// Answers that tell one from another by a number.
fn answer(number: usize) -> Reply {
    Reply::json(
        200,
        &json!({ "id": format!("c{number}"), "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": format!("answer {number}") }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 } }),
    )
}

fn stream(words: usize) -> Reply {
    let chunk = |delta: Value, finish: Value, usage: Value| {
        let choices =
            if usage.is_null() { json!([{ "index": 0, "delta": delta, "finish_reason": finish }]) } else { json!([]) };
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini", "choices": choices, "usage": usage });
        format!("data: {chunk}\n\n")
    };
    let mut frames = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null, Value::Null)];
    frames.extend((0..words).map(|word| chunk(json!({ "content": format!("w{word} ") }), Value::Null, Value::Null)));
    frames.push(chunk(json!({}), json!("stop"), Value::Null));
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500 });
    frames.push(chunk(Value::Null, Value::Null, usage));
    frames.push("data: [DONE]\n\n".to_owned());
    Reply::chunked(200, &[("content-type", "text/event-stream")], frames.into_iter().map(Bytes::from))
}

async fn counting() -> Upstream {
    let calls = Arc::new(AtomicUsize::new(0));
    Upstream::answering(move |_| answer(calls.fetch_add(1, Ordering::SeqCst))).await
}

fn with(body: &Value, headers: &[(&'static str, &str)]) -> Request<Bytes> {
    let mut request = post(CHAT, body);
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn header<'a>(answer: &'a tachograph_tests::Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// Hard case 38: every field counts, errors are not kept, order and white space make no difference.
#[tokio::test]
async fn hard_case_38_every_field_of_a_request_counts_and_its_order_does_not() {
    let upstream = counting().await;
    let gateway = Gateway::before(&upstream).start().await;
    let first = gateway.send(with(&chat(|_| ()), &[ON])).await;
    assert_eq!(header(&first, "helicone-cache"), "MISS");
    let mut turned: Vec<_> = chat(|_| ()).as_object().unwrap().clone().into_iter().collect();
    turned.reverse();
    let turned = serde_json::to_string_pretty(&turned.into_iter().collect::<serde_json::Map<_, _>>()).unwrap();
    let mut request = with(&Value::Null, &[ON]);
    *request.body_mut() = turned.into();
    let hit = gateway.send(request).await;
    assert_eq!((header(&hit, "helicone-cache"), header(&hit, "helicone-cache-bucket-idx")), ("HIT", "0"));
    assert_eq!(hit.text(), first.text(), "byte by byte");
    assert_eq!(header(&hit, "content-type"), header(&first, "content-type"));
    assert_ne!(hit.id(), first.id());

    let fields: Vec<String> = chat(|_| ()).as_object().unwrap().keys().cloned().collect();
    let mut before = upstream.seen().len();
    assert_eq!(before, 1);
    for field in fields.iter().filter(|field| *field != "model") {
        for change in
            [&(|body: &mut Value| drop(body.as_object_mut().unwrap().remove(field))) as &dyn Fn(&mut Value), &|body| {
                body[field] = json!("another")
            }]
        {
            let other = gateway.send(with(&chat(change), &[ON])).await;
            assert_eq!(header(&other, "helicone-cache"), "MISS", "{field}");
            before += 1;
        }
    }
    let other = gateway.send(with(&chat(|body| body["new_field"] = json!(0)), &[ON])).await;
    assert_eq!(header(&other, "helicone-cache"), "MISS");
    assert_eq!(upstream.seen().len(), before + 1);

    let row = gateway.row(&hit).await;
    let control = &row["control"]["cache"];
    assert_eq!((control["status"].as_str(), control["source"].as_str()), (Some("hit"), Some(first.id())), "{row}");
    // 1000 x 0.15 + 500 x 0.60 for a million.
    assert_eq!(control["saved"], "0.00045", "{row}");
    assert_eq!((row["outcome"].as_str(), row["provider"].as_str()), (Some("complete"), Some("openai")), "{row}");
    assert!(row["attempts"].as_array().is_none_or(Vec::is_empty), "{row}");
    let told = gateway.api("/api/cache").await;
    assert!(told["by_status"].as_array().unwrap().iter().any(|row| row["key"] == "hit"), "{told}");
}

#[tokio::test]
async fn only_who_asks_is_served_from_the_cache_and_seeds_and_ignored_fields_count() {
    let upstream = counting().await;
    let gateway = Gateway::before(&upstream).start().await;
    let body = chat(|_| ());
    for (headers, verdict) in [
        (&[][..], ""),
        (&[("helicone-cache-save", "true")], ""),
        (&[("helicone-cache-read", "true")], "HIT"),
        (&[("tachograph-cache-enabled", "TRUE")], "HIT"),
        (&[ON, ("helicone-cache-seed", "a")], "MISS"),
        (&[ON, ("helicone-cache-seed", "a")], "HIT"),
        (&[ON, ("cache-control", "no-cache")], ""),
        (&[ON, ("cache-control", "no-store")], ""),
    ] {
        let answer = gateway.send(with(&body, headers)).await;
        assert_eq!(header(&answer, "helicone-cache"), verdict, "{headers:?}");
    }
    let ignoring = [ON, ("helicone-cache-ignore-keys", "\"user\",\"seed\"")];
    let of = |user: &str| chat(|body| body["user"] = json!(user));
    assert_eq!(header(&gateway.send(with(&of("a"), &ignoring)).await, "helicone-cache"), "MISS");
    let bare = [ON, ("helicone-cache-ignore-keys", "seed, user")];
    assert_eq!(header(&gateway.send(with(&of("b"), &bare)).await, "helicone-cache"), "HIT");
    let refused = gateway.send(with(&body, &[ON, ("helicone-cache-bucket-max-size", "21")])).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("Cache bucket size cannot be greater than 20"), "{}", refused.text());
}

#[tokio::test]
async fn a_bucket_serves_once_it_is_full_and_an_answer_goes_out_of_date() {
    let upstream = counting().await;
    let gateway = Gateway::before(&upstream).config("cache: { enabled: true, ttl: 1h }").start().await;
    let three = [("helicone-cache-bucket-max-size", "3")];
    for _ in 0..3 {
        assert_eq!(header(&gateway.send(with(&chat(|_| ()), &three)).await, "helicone-cache"), "MISS");
    }
    for _ in 0..8 {
        let hit = gateway.send(with(&chat(|_| ()), &three)).await;
        assert_eq!(header(&hit, "helicone-cache"), "HIT");
        assert!(
            hit.text().contains(&format!("answer {}", header(&hit, "helicone-cache-bucket-idx"))),
            "{}",
            hit.text()
        );
    }
    let short = [("cache-control", "max-age=1"), ("helicone-cache-seed", "short")];
    let verdict = async || header(&gateway.send(with(&chat(|_| ()), &short)).await, "helicone-cache").to_owned();
    assert_eq!(verdict().await, "MISS");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(verdict().await, "MISS");
}

#[tokio::test]
async fn a_stream_is_replayed_byte_by_byte_and_what_was_cut_never_is() {
    let cut = Arc::new(AtomicUsize::new(0));
    let cuts = cut.clone();
    let upstream = Upstream::answering(move |_| {
        let whole = stream(4);
        if cuts.fetch_add(1, Ordering::SeqCst) == 0 { whole.cut_after(3, Cut::Reset) } else { whole }
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let body = chat(|body| body["stream"] = json!(true));
    let _cut = gateway.send(with(&body, &[ON])).await;
    let first = gateway.send(with(&body, &[ON])).await;
    assert_eq!(header(&first, "helicone-cache"), "MISS", "what was cut is not kept");
    for headers in [&[ON][..], &[ON, ("tachograph-cache-replay", "recorded")]] {
        let hit = gateway.send(with(&body, headers)).await;
        assert_eq!(header(&hit, "helicone-cache"), "HIT");
        assert_eq!(hit.text(), first.text());
        let row = gateway.row(&hit).await;
        assert_eq!(row["outcome"], "complete", "{row}");
        assert!(row["timing"]["first_token_us"].is_u64() || row["first_token_us"].is_u64(), "{row}");
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn identical_requests_in_flight_share_one_call_and_outlive_the_one_who_began_it() {
    let upstream = Upstream::answering(|_| stream(8).paced(Pace::Every(Duration::from_millis(60)))).await;
    let gateway = Gateway::before(&upstream).start().await;
    let body = chat(|body| body["stream"] = json!(true));
    let mut leader = gateway.open(with(&body, &[ON])).await;
    leader.frame().await.unwrap().unwrap();
    let followers = [gateway.open(with(&body, &[ON])).await, gateway.open(with(&body, &[ON])).await];
    let began = leader.id().to_owned();
    leader.leave();
    let mut answers = Vec::new();
    for follower in followers {
        answers.push(follower.collect().await);
    }
    for answer in &answers {
        assert_eq!(header(answer, "tachograph-cache"), "joined");
        assert_eq!(answer.text().as_bytes(), answers[0].body());
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    }
    assert_eq!(upstream.seen().len(), 1);
    let mut rows = vec![gateway.row_of(&began).await];
    for answer in &answers {
        rows.push(gateway.row(answer).await);
    }
    let priced = rows.iter().filter(|row| row["cost"].to_string().contains("0.00045")).count();
    assert_eq!(priced, 1, "one of them pays: {rows:#?}");
    let statuses: Vec<_> = rows.iter().map(|row| row["control"]["cache"]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == "joined").count(), 2, "{rows:#?}");
    let hit = gateway.send(with(&body, &[ON])).await;
    assert_eq!((header(&hit, "helicone-cache"), hit.text()), ("HIT", answers[0].text()));
}

/// Hard case 35: an idempotency key makes one call of many, whatever the cache is set to.
#[tokio::test]
async fn hard_case_35_a_duplicate_idempotency_key_is_one_upstream_call() {
    let calls = AtomicUsize::new(0);
    let upstream =
        Upstream::answering(move |_| answer(calls.fetch_add(1, Ordering::SeqCst)).after(Duration::from_millis(150)))
            .await;
    let gateway = Gateway::before(&upstream).start().await;
    let key = [("idempotency-key", "order-1")];
    let send = || gateway.send(with(&chat(|_| ()), &key));
    let (one, two) = tokio::join!(send(), send());
    let later = send().await;
    assert_eq!((one.text(), two.text()), (two.text(), later.text()));
    assert_eq!(upstream.seen().len(), 1);
    let other = gateway.send(with(&chat(|body| body["seed"] = json!(2)), &key)).await;
    assert_eq!((other.status.as_u16(), other.json()["error"]["code"].as_str()), (422, Some("idempotency_key_reused")));
    let mut costs = 0;
    for answer in [&one, &two, &later] {
        costs += usize::from(gateway.row(answer).await["cost"].to_string().contains("0.00045"));
    }
    assert_eq!(costs, 1, "nobody pays twice");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn errors_are_not_kept() {
    let calls = AtomicUsize::new(0);
    let upstream = Upstream::answering(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json(400, &json!({ "error": { "message": "no", "type": "invalid_request_error", "code": null } })),
        number => answer(number),
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let refused = gateway.send(with(&chat(|_| ()), &[ON])).await;
    assert_eq!(refused.status, 400);
    let first = gateway.send(with(&chat(|_| ()), &[ON])).await;
    assert_eq!((header(&first, "helicone-cache"), first.status.as_u16()), ("MISS", 200));
}

/// Who sends a call under a key may leave and come back: it is made once, and paid once.
#[tokio::test(flavor = "multi_thread")]
async fn hard_case_35_an_idempotent_call_whose_only_client_leaves_is_asked_once() {
    for is_stream in [false, true] {
        let permits = Arc::new(tokio::sync::Semaphore::new(if is_stream { 2 } else { 0 }));
        let pace = Pace::Told(permits.clone());
        let upstream = Upstream::answering(move |_| {
            let reply = if is_stream { stream(5) } else { answer(1) };
            reply.paced(pace.clone())
        })
        .await;
        let gateway = Gateway::before(&upstream).start().await;
        let key = ("idempotency-key", "payment-17");
        let body = chat(|body| body["stream"] = is_stream.into());
        let open = gateway.open(with(&body, &[key])).await;
        open.leave();
        permits.add_permits(100);
        for _ in 0..2 {
            let again = gateway.send(with(&body, &[key])).await;
            assert_eq!(again.status, 200, "{}", again.text());
            assert!(again.text().contains(if is_stream { "w4" } else { "answer 1" }), "{}", again.text());
        }
        assert_eq!(upstream.seen().len(), 1, "stream: {is_stream}");
        let rows = gateway.rows_when_there_are(3).await;
        let paid = rows.iter().filter(|row| row["cost"]["total"].as_str().is_some_and(|cost| cost != "0")).count();
        assert_eq!(paid, 1, "{rows:#?}");
    }
}

/// What a fallback said is not what the first choice would have said.
#[tokio::test(flavor = "multi_thread")]
async fn hard_case_38_a_fallbacks_answer_is_not_served_for_the_first_choice() {
    let fails = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (calls, failing) = (Arc::new(AtomicUsize::new(0)), fails.clone());
    let upstream = Upstream::answering(move |seen| {
        if seen.target.starts_with("/at-openai") && failing.load(Ordering::SeqCst) {
            return Reply::json(500, &json!({ "error": { "message": "no" } }));
        }
        answer(calls.fetch_add(1, Ordering::SeqCst))
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    let body = chat(|body| body["model"] = "openai/gpt-4o-mini, groq/llama-3.1-8b-instant".into());
    let first = gateway.send(with(&body, &[ON])).await;
    assert_eq!((first.status.as_u16(), header(&first, "helicone-fallback-index")), (200, "1"));
    fails.store(false, Ordering::SeqCst);
    let second = gateway.send(with(&body, &[ON])).await;
    assert_eq!((header(&second, "helicone-cache"), header(&second, "helicone-fallback-index")), ("MISS", "0"));
    assert!(second.text().contains("answer 1"), "{}", second.text());
    let third = gateway.send(with(&body, &[ON])).await;
    assert_eq!(header(&third, "helicone-cache"), "HIT");
    assert!(third.text().contains("answer 1"));
    // Whoever asks the other one first gets what it said.
    let other = chat(|body| body["model"] = "groq/llama-3.1-8b-instant".into());
    assert_eq!(
        header(&gateway.send(with(&other, &[ON])).await, "helicone-cache"),
        "MISS",
        "another request all the same"
    );
}

const SEMANTIC: &str = "cache: { semantic: { model: openai/text-embedding-3-small, threshold: 0.9 } }";

/// Embeddings by the first letter of what is asked, and answers that tell one from another.
async fn embedding() -> Upstream {
    let calls = Arc::new(AtomicUsize::new(0));
    Upstream::answering(move |seen| {
        if !seen.target.ends_with("/embeddings") {
            return answer(calls.fetch_add(1, Ordering::SeqCst));
        }
        let asked = seen.json()["input"].as_str().unwrap().to_owned();
        let embedding = match asked.as_bytes()[0] {
            b'W' => json!([1.0, 0.02 * asked.len() as f64 / 100.0, 0.0]),
            b'H' => json!([0.0, 1.0, 0.1]),
            _ => return Reply::json(400, &json!({ "error": { "message": "no" } })),
        };
        Reply::json(200, &json!({ "object": "list", "model": "text-embedding-3-small",
            "data": [{ "object": "embedding", "index": 0, "embedding": embedding }], "usage": { "prompt_tokens": 8, "total_tokens": 8 } }))
    })
    .await
}

fn asking(text: &str, change: impl FnOnce(&mut Value)) -> Value {
    chat(|body| {
        body["messages"] = json!([{ "role": "system", "content": "s" }, { "role": "user", "content": text }]);
        change(body);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_the_same_meaning_is_answered_from_what_is_kept() {
    const ALIKE: (&str, &str) = ("tachograph-cache-semantic", "true");
    let upstream = embedding().await;
    let gateway = Gateway::before(&upstream).config(SEMANTIC).start().await;
    let send = async |body: &Value| gateway.send(with(body, &[ON, ALIKE])).await;
    let first = send(&asking("What is a tachograph?", |_| ())).await;
    assert_eq!(header(&first, "tachograph-cache"), "miss");
    let alike = send(&asking("What's a tachograph, please?", |_| ())).await;
    assert_eq!((header(&alike, "tachograph-cache"), header(&alike, "helicone-cache")), ("semantic", "HIT"));
    assert_eq!(alike.text(), first.text(), "byte by byte");
    let row = gateway.row(&alike).await;
    assert_eq!((&row["control"]["cache"]["status"], &row["outcome"]), (&json!("semantic"), &json!("complete")));
    assert_eq!(row["control"]["cache"]["source"], first.id(), "{row:#}");
    assert_eq!(row["control"]["cache"]["saved"], "0.00045");
    assert!(row["cost"]["total"].is_null() || row["cost"]["total"] == "0", "{}", row["cost"]);
    assert!(row["control"]["notes"].to_string().contains("cosine"));
    // The same words again are a plain hit, without an embedding.
    assert_eq!(header(&send(&asking("What is a tachograph?", |_| ())).await, "tachograph-cache"), "hit");
    // Everything else must be the same.
    let changes: [fn(&mut Value); 4] = [
        |body| body["temperature"] = json!(0.7),
        |body| body["messages"][0]["content"] = json!("t"),
        |body| body["model"] = json!("openai/gpt-4o"),
        |body| drop(body.as_object_mut().unwrap().remove("tools")),
    ];
    for change in changes {
        assert_eq!(header(&send(&asking("What is it?", change)).await, "tachograph-cache"), "miss");
    }
    assert_eq!(header(&send(&asking("How do I drive?", |_| ())).await, "tachograph-cache"), "miss", "it is not near");
    // Who does not ask is not answered with another's answer, and where no embedding is to be had the call is served.
    let plain = gateway.send(with(&asking("What is this?", |_| ()), &[ON])).await;
    assert_eq!(header(&plain, "tachograph-cache"), "miss");
    let without = send(&asking("?", |_| ())).await;
    assert_eq!(without.status, 200);
    assert!(gateway.row(&without).await["control"]["notes"].to_string().contains("no answer of the same meaning"));
    // Each embedding is on record with its cost.
    let rows = gateway.rows_when_there_are(18).await;
    let asides: Vec<&Value> = rows.iter().filter(|row| row["properties"]["Tachograph-Aside"] == "embedding").collect();
    assert_eq!(asides.len(), 8);
    let priced = asides.iter().filter(|row| row["cost"]["total"] == "0.00000016").count();
    assert_eq!(priced, 7, "8 tokens at 0.02 per million: {asides:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_never_share_answers_of_the_same_meaning_and_it_is_off_unless_configured() {
    let upstream = embedding().await;
    let gateway = Gateway::before(&upstream).start().await;
    let headers = [ON, ("tachograph-cache-semantic", "true")];
    for text in ["What is it?", "What is that?"] {
        let answer = gateway.send(with(&asking(text, |_| ()), &headers)).await;
        assert_eq!(header(&answer, "tachograph-cache"), "miss");
    }
    assert!(upstream.seen().iter().all(|seen| !seen.target.ends_with("/embeddings")));
    // A caller's own key for the provider is a space of its own.
    let gateway = Gateway::before(&upstream).config(SEMANTIC).start().await;
    for (key, text) in [("sk-one", "What is it?"), ("sk-two", "What is that?")] {
        let bearer = format!("Bearer {key}");
        let mine = [
            ON,
            ("tachograph-cache-semantic", "true"),
            ("authorization", bearer.as_str()),
            ("helicone-auth", tachograph_tests::KEY),
        ];
        let answer = gateway.send(with(&asking(text, |_| ()), &mine)).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "tachograph-cache")), (200, "miss"), "{}", answer.text());
    }
}
