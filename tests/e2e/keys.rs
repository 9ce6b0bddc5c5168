//! Keys are made, listed and revoked while the gateway runs.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;
use tachograph_tests::{Finished, Gateway, KEY, Upstream, golden, post, run};

async fn status_with(gateway: &Gateway, key: &str) -> StatusCode {
    let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "hi" }] });
    let mut request = post("/v1/chat/completions", &body);
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    gateway.send_as_is(request).await.unwrap().collect().await.status
}

async fn becomes(gateway: &Gateway, key: &str, status: u16) {
    let until = Instant::now() + Duration::from_secs(10);
    while status_with(gateway, key).await != status {
        assert!(Instant::now() < until, "the key does not come to give {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_from_its_making_to_its_revocation() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let keys = |arguments: &[&str]| -> Finished { run(gateway.directory(), &[&["keys"], arguments].concat(), &[], "") };

    let made = keys(&["create", "--name", "for the test"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let key = made.out.trim().to_owned();
    assert_eq!(key.lines().count(), 1, "the key and nothing else, to be put into a variable: {key}");
    becomes(&gateway, &key, 200).await;

    let listed = keys(&["list"]).out;
    let line = listed.lines().find(|line| line.contains("for the test")).expect(&listed);
    assert!(!listed.contains(&key) && line.contains(&key[key.len() - 4..]), "only the end of a key is known: {listed}");
    let id = line.split_whitespace().next().unwrap();
    assert_eq!(keys(&["revoke", id]).code, Some(0));
    becomes(&gateway, &key, 401).await;
    assert!(keys(&["list"]).out.lines().any(|line| line.contains(id) && line.contains("revoked")));
    assert_eq!(keys(&["revoke", id]).code, Some(64), "it is revoked already");
    assert_eq!(keys(&["revoke", "nonsense"]).code, Some(64));

    let stored: Vec<u8> = std::fs::read_dir(gateway.directory().join("tachograph-data"))
        .unwrap()
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default())
        .collect();
    assert!(!stored.windows(key.len()).any(|window| window == key.as_bytes()), "the key stands in the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_key_is_kept_encrypted_and_serves_from_its_keeping_to_its_revocation() {
    const CANARY: &str = "sk-canary-of-the-vault-0123456789";
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let yaml = format!(
        "listen: 127.0.0.1:0\napi_key: {KEY}\nproviders:\n  openai: {{ base_url: 'http://{at}/v1' }}\n  groq: {{ base_url: 'http://{at}', api_keys: [configured] }}\n",
        at = upstream.address()
    );
    let gateway = Gateway::configured(&yaml).start().await;
    let keys = |arguments: &[&str], input: &str| -> Finished {
        run(gateway.directory(), &[&["keys", "provider"], arguments].concat(), &[("A_KEY", CANARY)], input)
    };
    let made = keys(&["add", "openai", "--name", "main"], &format!("{CANARY}\n"));
    assert_eq!(made.code, Some(0), "{}", made.err);
    let by_variable = keys(&["add", "groq", "--key-env", "A_KEY"], "");
    assert_eq!(by_variable.code, Some(0), "{}", by_variable.err);
    let ask = async |model: &str| {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        let answer = gateway.send(post("/v1/chat/completions", &body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = gateway.row(&answer).await.to_string();
        assert!(!row.contains("canary"), "{row}");
        upstream.last().header("authorization").map(str::to_owned)
    };
    let until = Instant::now() + Duration::from_secs(15);
    while ask("openai/gpt-4o-mini").await != Some(format!("Bearer {CANARY}")) {
        assert!(Instant::now() < until, "the kept key does not come to serve");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ask("groq/m").await.as_deref(), Some("Bearer configured"), "the configuration comes first");

    let listed = keys(&["list"], "").out;
    let line = listed.lines().find(|line| line.contains("openai")).expect(&listed);
    assert!(line.contains("6789") && line.contains("main") && !listed.contains("canary"), "{listed}");
    assert_eq!(keys(&["revoke", line.split_whitespace().next().unwrap()], "").code, Some(0));
    let until = Instant::now() + Duration::from_secs(15);
    while ask("openai/gpt-4o-mini").await.is_some() {
        assert!(Instant::now() < until, "the forgotten key serves on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (arguments, input) in [(["add", "nobody"], "k"), (["add", "openai"], " "), (["revoke", "nonsense"], "")] {
        assert_eq!(keys(&arguments, input).code, Some(64), "{arguments:?}");
    }
    assert!(!gateway.log().contains("canary"));
    let stored = std::fs::read_dir(gateway.directory().join("tachograph-data")).unwrap();
    let stored: Vec<u8> = stored.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default()).collect();
    assert!(!stored.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "the key stands in the store");
}
