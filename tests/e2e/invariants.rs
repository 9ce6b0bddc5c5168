//! What holds of every row, however its call went, and of the process after all of them.

use std::time::Duration;

use serde_json::json;
use tachograph_tests::{Cut, Gateway, Pace, Upstream, get, golden, post};

use crate::endings::WAYS;
use crate::fields::cost_faults;

/// Calls in every dialect, whole and cut after each of their events, heard to their end and left in the middle, drained and
/// not: what stands in a row as used is what was priced, to the last digit, and what no provider told is marked.
#[tokio::test(flavor = "multi_thread")]
async fn hard_case_03_in_every_row_cost_is_tokens_at_their_price_and_never_of_a_placeholder() {
    for way in WAYS {
        for drain in ["cancel", "drain"] {
            let all = way.golden.events().len();
            let upstream = Upstream::answering(move |seen| {
                let cut: Option<usize> = seen.header("x-cut").and_then(|cut| cut.parse().ok());
                let events = way.golden.events().paced(Pace::Every(Duration::from_millis(1)));
                match cut {
                    Some(cut) => events.cut_after(cut, Cut::Reset),
                    None => way.golden.as_asked(seen.json()["stream"] == true),
                }
            })
            .await;
            let config = format!("streams: {{ on_disconnect: {drain} }}\nretries: {{ max_attempts: 1 }}");
            let gateway = Gateway::before(&upstream).config(&config).start().await;
            gateway.send(way.request(false)).await;
            gateway.send(way.request(true)).await;
            for cut in 1..all {
                let mut request = way.request(true);
                request.headers_mut().insert("x-cut", cut.to_string().parse().unwrap());
                // Cut by the provider, and cut by the provider while the client leaves.
                if cut % 2 == 0 {
                    gateway.send(request).await;
                } else if let Ok(mut open) = gateway.try_open(request).await {
                    open.frame().await;
                    open.leave();
                }
            }
            let rows = gateway.rows_when_there_are(all + 1).await;
            let mut reported = 0;
            for row in &rows {
                let whole = gateway.row_of(row["id"].as_str().unwrap()).await;
                assert_eq!(cost_faults(&whole), Vec::<String>::new(), "{whole:#}");
                let (source, output) = (&whole["usage"]["source"], whole["usage"]["output_tokens"].as_u64());
                if *source == "reported" {
                    reported += 1;
                    assert_eq!(output, Some(300), "a placeholder was priced: {whole:#}");
                } else if whole["cost"]["total"].is_string() {
                    assert_eq!((source, &whole["cost"]["estimated"]), (&json!("estimated"), &json!(true)), "{whole:#}");
                }
            }
            assert!(reported >= 2, "{}: the whole ones have the provider's numbers", way.path);
        }
    }
}

/// 50 bodies of 20 MB each, 4 at a time: memory is a matter of how many are under way, not of how many there were.
#[tokio::test(flavor = "multi_thread")]
async fn hard_case_36_fifty_bodies_of_20_mb_cost_what_is_under_way_and_no_more() {
    const BODY: u64 = 20 << 20;
    const AT_ONCE: u64 = 4;
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let image = "iVBORw0KGgo=".repeat((20 << 20) / 12);
    let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "what is this?" },
        { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{image}") } },
    ] }] });
    let request = post("/openai/v1/chat/completions", &body);
    gateway.send(get("/healthz")).await;
    let (before, mut highest, mut after_ten) = (gateway.resident(), 0, 0);
    for wave in 0..13 {
        let calls = if wave == 12 { 2 } else { AT_ONCE };
        let sending = async {
            let calls = (0..calls).map(|_| gateway.send(request.clone()));
            for answer in futures_util::future::join_all(calls).await {
                assert_eq!(answer.status, 200);
            }
        };
        tokio::pin!(sending);
        loop {
            tokio::select! {
                () = &mut sending => break,
                () = tokio::time::sleep(Duration::from_millis(20)) => highest = gateway.resident().max(highest),
            }
        }
        if wave == 2 {
            after_ten = gateway.resident();
        }
    }
    let rows = gateway.rows_when_there_are(50).await;
    assert!(rows.iter().filter(|row| row["api"] == "openai.chat").all(|row| row["outcome"] == "complete"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (peak, end) = (highest.saturating_sub(before), gateway.resident());
    println!(
        "{} MiB at first, {} MiB at most, {} MiB after 12, {} MiB after 50",
        before >> 20,
        highest >> 20,
        after_ten >> 20,
        end >> 20
    );
    assert!(peak < 4 * AT_ONCE * BODY, "{} MiB for {AT_ONCE} bodies of 20 MiB at once", peak >> 20);
    assert!(end < after_ten.max(before) + 2 * BODY, "it grows with how many there were: {} MiB", end >> 20);
}
