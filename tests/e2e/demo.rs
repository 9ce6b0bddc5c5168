//! The provider inside the process, and a day of its traffic.

use serde_json::{Value, json};
use tachograph_tests::{Atto, Gateway, Setup, post, run};

use crate::fields::cost_faults;

fn setup() -> Setup {
    Gateway::configured(&format!("listen: 127.0.0.1:0\napi_key: {}\n", tachograph_tests::KEY))
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_demo_fills_the_store_with_a_believable_day() {
    let setup = setup();
    setup.write();
    let directory = setup.directory();
    let finished = run(directory.path(), &["demo", "--requests", "60", "--days", "1", "--seed", "1"], &[], "");
    let verified = run(directory.path(), &["verify-rollups"], &[], "");
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let compared: serde_json::Value = serde_json::from_str(verified.out.lines().last().unwrap()).unwrap();
    assert!(compared["cells"].as_u64() > Some(60) && compared["differences"] == 0, "{compared}");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.out.contains("60 calls"), "{}", finished.out);
    let gateway = setup.start().await;
    let rows = gateway.rows_when_there_are(60).await;
    let distinct = |name: &str| {
        let mut values: Vec<String> = rows.iter().map(|row| row[name].to_string()).collect();
        values.sort();
        values.dedup();
        values.len()
    };
    assert!(distinct("user") >= 4, "{} users", distinct("user"));
    assert!(distinct("model") >= 2, "{} models", distinct("model"));
    assert!(rows.iter().any(|row| row["stream"] == true) && rows.iter().any(|row| row["stream"] == false));
    assert!(rows.iter().all(|row| row["session"]["id"].is_string() && row["prompt"]["id"].is_string()));
    assert!(rows.iter().all(|row| row["provider"] == "demo"));
    let received = |row: &Value| row["timing"]["received_at"].as_i64().unwrap();
    let (first, last) = (received(&rows[59]), received(&rows[0]));
    assert!((4 * 3_600_000_000..=24 * 3_600_000_000).contains(&(last - first)), "spread over {} µs", last - first);
    let priced: Vec<&Value> = rows.iter().filter(|row| row["cost"]["status"] == "priced").collect();
    assert!(priced.len() > 40, "{} priced", priced.len());
    let sum: Atto = priced.iter().map(|row| row["cost"]["total"].as_str().unwrap().parse::<Atto>().unwrap()).sum();
    assert_eq!(gateway.api("/api/totals").await["cost"], sum.to_string());
    // Nobody left: what failed, failed upstream.
    assert!(rows.iter().all(|row| row["outcome"] != "client_gone"), "{rows:#?}");
    let whole = rows.iter().filter(|row| row["outcome"] == "complete");
    assert!(whole.clone().count() > 40 && whole.clone().count() <= 60);
    for row in whole {
        assert_eq!(cost_faults(&gateway.row_of(row["id"].as_str().unwrap()).await), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_models_answer_through_a_running_gateway() {
    let gateway = setup().start().await;
    let ask = |path: &str, model: &str, stream: bool| {
        let messages = json!([{ "role": "user", "content": "good morning" }]);
        post(path, &json!({ "model": model, "stream": stream, "max_tokens": 50, "messages": messages }))
    };
    for stream in [false, true] {
        for (path, model) in [
            ("/v1/chat/completions", "demo/echo"),
            ("/v1/messages", "demo/echo"),
            ("/demo/v1/chat/completions", "demo/echo"),
        ] {
            let answer = gateway.send(ask(path, model, stream)).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert!(answer.text().contains("morning"), "it says back what was said: {}", answer.text());
            let row = gateway.row(&answer).await;
            assert_eq!((&row["outcome"], &row["provider"]), (&json!("complete"), &json!("demo")), "{path}: {row:#}");
            assert_eq!(row["cost"]["status"], "priced", "{path}: {row:#}");
        }
    }
    for _ in 0..12 {
        let answer = gateway.send(ask("/v1/chat/completions", "demo/flaky", true)).await;
        let row = gateway.row(&answer).await;
        assert!(["complete", "upstream_failed", "cut_short"].contains(&row["outcome"].as_str().unwrap()), "{row:#}");
        assert_eq!(row["outcome"] == "complete", answer.text().contains("[DONE]"), "{}", answer.text());
    }
    let answer = gateway.send(ask("/v1/chat/completions", "demo/absent", false)).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    gateway.rows().await;
}
