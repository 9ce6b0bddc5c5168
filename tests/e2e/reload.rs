//! What changes while the program runs: the configuration's file, and rules that an organisation keeps.

use std::time::{Duration, Instant};

use http::{Method, Request};
use serde_json::{Value, json};
use tachograph_tests::{Gateway, KEY, Upstream, golden, post};

fn chat(model: &str, user: &str) -> Request<bytes::Bytes> {
    let body = json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "Hello" }] });
    let mut request = post("/v1/chat/completions", &body);
    request.headers_mut().insert("helicone-user-id", user.parse().unwrap());
    request
}

async fn until(gateway: &Gateway, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let health = gateway.api("/api/health").await;
        if holds(&health["config"]) {
            return health;
        }
        assert!(Instant::now() < end, "{what}: {health:#}\n{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_holds_at_once_and_a_bad_one_changes_nothing() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).config("routes: { fast: openai/gpt-4o-mini }").start().await;
    let file = gateway.directory().join("tachograph.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    let asked = async |model: &str| {
        let answer = gateway.send(chat(model, "ada")).await;
        (answer.status.as_u16(), upstream.seen().last().map(|seen| seen.json()["model"].clone()).unwrap_or_default())
    };
    assert_eq!(asked("fast").await, (200, json!("gpt-4o-mini")));
    assert_eq!(asked("new-name").await.0, 404);

    let rest = before.replace("routes: { fast: openai/gpt-4o-mini }", "");
    let new = format!(
        "{rest}\nroutes: {{ fast: openai/gpt-4o, new-name: openai/gpt-4.1 }}\nlimits: {{ policies: [ \"1;w=3600;s=user\" ] }}\n\
         cache: {{ enabled: true }}\nbudgets: [ {{ scope: {{ user: poor }}, amount: \"0\", period: day }} ]\nmax_request_body: 1MiB\n"
    );
    std::fs::write(&file, &new).unwrap();
    let health = until(&gateway, "the new file", |config| config["needs_restart"] == json!(["max_request_body"])).await;
    assert_eq!(health["config"]["faults"], json!([]));
    assert_eq!(asked("fast").await, (200, json!("gpt-4o")), "routes");
    assert_eq!(asked("fast").await.0, 429, "limits");
    assert_eq!(gateway.send(chat("new-name", "poor")).await.status, 402, "budgets");
    let (first, again) = (gateway.send(chat("new-name", "eve")).await, gateway.send(chat("new-name", "bob")).await);
    assert_eq!((first.status.as_u16(), again.headers["tachograph-cache"].to_str().unwrap()), (200, "hit"), "cache");

    std::fs::write(&file, format!("{new}\nretries: {{ max_attempts: 0 }}\nroutes2: {{}}\n")).unwrap();
    let health = until(&gateway, "the bad file", |config| config["faults"] != json!([])).await;
    let faults = health["config"]["faults"].to_string();
    assert!(faults.contains("routes2") && faults.contains("retries.max_attempts"), "{faults}");
    assert_eq!(gateway.send(chat("openai/gpt-4o-mini", "carl")).await.status, 200);
    assert_eq!(gateway.send(chat("openai/gpt-4.1-mini", "carl")).await.status, 429, "what was in force is in force");
    std::fs::write(&file, format!("{before}\n# as it was\n")).unwrap();
    until(&gateway, "the old file", |config| config["faults"] == json!([])).await;
    assert_eq!(asked("fast").await, (200, json!("gpt-4o-mini")));
}

async fn rules(gateway: &Gateway, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut request = post(path, body.unwrap_or(&Value::Null));
    *request.method_mut() = method;
    request.headers_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
    let answer = gateway.send_as_is(request).await.unwrap().collect().await;
    (answer.status.as_u16(), serde_json::from_str(&answer.text()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_keeps_limits_of_its_own() {
    const PATH: &str = "/api/limits/rules";
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let (status, kept) = rules(&gateway, Method::POST, PATH, Some(&json!({ "policy": "1;w=3600;s=user" }))).await;
    assert_eq!((status, &kept["rule"]["policy"]), (201, &json!("1;w=3600;s=user")), "{kept}");
    let budget = json!({ "budget": { "scope": { "user": "poor" }, "amount": "0", "period": "day" } });
    assert_eq!(rules(&gateway, Method::POST, PATH, Some(&budget)).await.0, 201);
    // In force with the answer.
    assert_eq!(gateway.send(chat("openai/gpt-4o-mini", "ada")).await.status, 200);
    assert_eq!(gateway.send(chat("openai/gpt-4o-mini", "ada")).await.status, 429);
    assert_eq!(gateway.send(chat("openai/gpt-4o-mini", "poor")).await.status, 402);
    for (body, told) in [
        (json!({ "policy": "nonsense" }), "policy"),
        (json!({ "budget": { "amount": "-1", "period": "day" } }), "budget.amount"),
    ] {
        let (status, refused) = rules(&gateway, Method::POST, PATH, Some(&body)).await;
        assert_eq!((status, refused["error"]["message"].as_str().unwrap().contains(told)), (400, true), "{refused}");
    }
    // After a restart too.
    let again = gateway.again();
    drop(gateway);
    let gateway = again.start().await;
    let (_, all) = rules(&gateway, Method::GET, PATH, None).await;
    assert_eq!(all["rules"].as_array().unwrap().len(), 2, "{all}");
    assert_eq!(gateway.send(chat("openai/gpt-4o-mini", "poor")).await.status, 402);
    assert_eq!(gateway.api("/api/limits").await["now"]["policies"], json!(["1;w=3600;s=user"]));
    let one = format!("{PATH}/{}", kept["id"].as_str().unwrap());
    let (status, changed) = rules(&gateway, Method::PUT, &one, Some(&json!({ "policy": "3;w=3600;s=user" }))).await;
    assert_eq!((status, &changed["rule"]["policy"]), (200, &json!("3;w=3600;s=user")));
    for status in [200, 200, 200, 429] {
        assert_eq!(gateway.send(chat("openai/gpt-4o-mini", "eve")).await.status.as_u16(), status);
    }
    assert_eq!(rules(&gateway, Method::DELETE, &one, None).await.0, 204);
    assert_eq!(rules(&gateway, Method::DELETE, &one, None).await.0, 404);
    assert_eq!(gateway.send(chat("openai/gpt-4o-mini", "eve")).await.status, 200);
    let mut nobody = post(PATH, &json!({ "policy": "1;w=60" }));
    nobody.headers_mut().remove("authorization");
    assert_eq!(gateway.send_as_is(nobody).await.unwrap().collect().await.status, 401);
}
