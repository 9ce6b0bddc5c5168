//! The same calls give the same rows whichever store they are kept in.

use std::io::Write;
use std::sync::Once;

use serde_json::{Value, json};
use tachograph_tests::{Gateway, Setup, Upstream, golden, post};

/// A Postgres database of this test's own, made through the server's own tools.
fn postgres() -> Option<String> {
    const VARIABLE: &str = "TACHOGRAPH_TEST_POSTGRES";
    let Ok(server) = std::env::var(VARIABLE) else {
        static ONCE: Once = Once::new();
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{VARIABLE} must name a Postgres server under CI=true");
        let line = format!("skipped Postgres: {VARIABLE} does not name a server on which databases may be made\n");
        ONCE.call_once(|| std::io::stderr().write_all(line.as_bytes()).unwrap());
        return None;
    };
    let name = format!("e2e_{}_{}", std::process::id(), std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let made = std::process::Command::new("psql").args([&server, "-qc", &format!("CREATE DATABASE {name}")]).status();
    assert!(made.expect("psql is needed to make a database").success());
    let (before, query) = server.split_once('?').map_or((&*server, String::new()), |(b, q)| (b, format!("?{q}")));
    let authority = before.split_once("://").unwrap().1.split('/').next().unwrap();
    Some(format!("postgres://{authority}/{name}{query}"))
}

/// Some calls of each kind; their rows without what differs from run to run, and the totals.
async fn rows_in(setup: Setup) -> (Vec<Value>, Value) {
    let gateway = setup.start().await;
    let ask = |path: &str, model: &str, stream: bool| {
        let messages = json!([{ "role": "user", "content": "grüße \u{0} 🚚" }]);
        let mut request =
            post(path, &json!({ "model": model, "max_tokens": 9, "stream": stream, "messages": messages }));
        request.headers_mut().insert("helicone-user-id", "ada".parse().unwrap());
        request.headers_mut().insert("helicone-property-team", "blue".parse().unwrap());
        request
    };
    let mut ids = Vec::new();
    for (path, model, stream) in [
        ("/openai/v1/chat/completions", "gpt-4o-mini", false),
        ("/openai/v1/chat/completions", "gpt-4o-mini", true),
        ("/v1/messages", "openai/gpt-4o-mini", true),
        ("/v1/chat/completions", "no-such-model-17", false),
        ("/nowhere", "x", false),
    ] {
        ids.push(gateway.send(ask(path, model, stream)).await.id().to_owned());
    }
    let mut rows = Vec::new();
    for id in &ids {
        rows.push(gateway.row_of(id).await);
    }
    gateway.rows_when_there_are(ids.len()).await;
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        for changing in ["id", "cursor", "timing", "attempts", "key", "response"] {
            row.remove(changing);
        }
    }
    for (filter, count) in
        [("user=ada", 5), ("property=team:blue", 5), ("outcome=refused", 2), ("provider=openai", 3), ("status=404", 2)]
    {
        let found = gateway.api(&format!("/api/requests?{filter}")).await;
        assert_eq!(found["rows"].as_array().unwrap().len(), count, "{filter}");
    }
    let mut totals = gateway.api("/api/totals").await;
    let clocks = ["latency_us", "first_token_us", "generating_us", "saved_us", "first_at", "last_at"];
    for changing in clocks.iter().chain(&["mean_latency_us", "mean_ttft_us", "tokens_per_second"]) {
        totals.as_object_mut().unwrap().remove(*changing);
    }
    (rows, totals)
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_and_postgres_keep_the_same_rows_of_the_same_calls() {
    let upstream = Upstream::answering(|seen| golden::OPENAI_CHAT.as_asked(seen.json()["stream"] == true)).await;
    let sqlite = rows_in(Gateway::before(&upstream)).await;
    assert_eq!(sqlite.1["cost"], "0.000765");
    let Some(url) = postgres() else { return };
    let named = rows_in(Gateway::before(&upstream).config(&format!("store: {{ url: '{url}' }}"))).await;
    assert_eq!(sqlite, named);
    let Some(url) = postgres() else { return };
    let by_environment = rows_in(Gateway::before(&upstream).environment("DATABASE_URL", &url)).await;
    assert_eq!(sqlite, by_environment);
}
