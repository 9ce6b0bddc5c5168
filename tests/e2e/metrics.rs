//! What Prometheus reads.

use serde_json::json;
use tachograph_tests::{Gateway, Upstream, get, golden, post};

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_36_metrics_count_calls_and_no_callers_words_become_series() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let call =
        |model: &str| post("/openai/v1/chat/completions", &json!({ "model": model, "messages": [], "user": model }));
    gateway.send(call("gpt-4o-mini")).await;
    let read = async || {
        let answer = gateway.send_as_is(get("/metrics")).await.unwrap().collect().await;
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    };
    let series = |told: &str| told.lines().filter(|line| !line.starts_with('#')).count();
    let told = read().await;
    assert!(told.contains("tachograph_calls_total{provider=\"openai\",model=\"gpt-4o-mini-2024-07-18\""), "{told}");
    assert!(told.contains("kind=\"input\"} 500") && told.contains("kind=\"output\"} 300"), "{told}");
    assert!(told.contains("tachograph_records_dropped_total 0") && told.ends_with("# EOF\n"), "{told}");
    for junk in 0..50 {
        gateway.send(post("/v1/chat/completions", &json!({ "model": format!("junk-{junk}"), "messages": [] }))).await;
    }
    let after = read().await;
    assert!(after.contains("model=\"other\"") && !after.contains("junk"), "{after}");
    assert!(series(&after) < series(&told) + 60, "{} series from {}", series(&after), series(&told));
}
