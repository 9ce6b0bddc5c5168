//! The program's commands and how it ends: 0, 64, 69, 74.

use std::net::TcpListener;

use serde_json::{Value, json};
use tachograph_tests::{Directory, Finished, Gateway, run};

fn gateway_in(directory: &Directory, yaml: &str, arguments: &[&str]) -> Finished {
    std::fs::write(directory.path().join("tachograph.yaml"), yaml).unwrap();
    run(directory.path(), arguments, &[], "")
}

const WRONG: &str = "
listen: 127.0.0.1:0
lisen: 127.0.0.1:1
store: { uri: x }
logging: { bodies: some, max_body: 4 parsecs }
providers:
  mine: { base_url: 'ftp://x' }
  openai: { base_url: 'http://[', api_keys: ['${NOBODY_SET_THIS}'] }
";

#[test]
fn a_wrong_configuration_ends_with_64_and_names_every_fault_with_its_path() {
    for arguments in [&["serve"][..], &["check"], &[], &["keys", "list"], &["migrate"]] {
        let directory = Directory::new();
        let finished = gateway_in(&directory, WRONG, arguments);
        assert_eq!(finished.code, Some(64), "{arguments:?}: {}", finished.err);
        for path in [
            "lisen",
            "store.uri",
            "logging.bodies",
            "logging.max_body",
            "providers.mine.base_url",
            "providers.mine.dialect",
            "providers.openai.base_url",
            "providers.openai.api_keys[0]",
        ] {
            assert!(finished.err.contains(path), "{path} is not named for {arguments:?}:\n{}", finished.err);
        }
        assert!(
            !directory.path().join("tachograph-data").exists(),
            "nothing is opened before the configuration is right"
        );
    }
}

#[test]
fn unknown_keys_in_the_environment_and_in_toml_are_faults_too() {
    let directory = Directory::new();
    let finished = run(directory.path(), &["check"], &[("TACHOGRAPH__STORE__URI", "x")], "");
    assert_eq!(finished.code, Some(64), "{finished:?}");
    assert!(finished.err.contains("store.uri"), "{}", finished.err);
    std::fs::write(directory.path().join("t.toml"), "[stoer]\nurl = \"sqlite:\"\n").unwrap();
    let finished = run(directory.path(), &["--config", "t.toml", "check"], &[], "");
    assert_eq!((finished.code, finished.err.contains("stoer")), (Some(64), true), "{finished:?}");
    let finished = run(directory.path(), &["--config", "absent.yaml", "check"], &[], "");
    assert_eq!((finished.code, finished.err.contains("absent.yaml")), (Some(64), true), "{finished:?}");
}

#[test]
fn check_shows_what_is_in_force_and_no_secret() {
    let directory = Directory::new();
    let yaml = "
api_key: sk-tachograph-canary-one
store: { url: 'postgres://me:canary-two@127.0.0.1/db' }
providers: { openai: { api_keys: ['canary-three', '${FROM_ENVIRONMENT}'], base_url: 'http://127.0.0.1:9/v1' } }
";
    std::fs::write(directory.path().join("tachograph.yaml"), yaml).unwrap();
    let environment = [
        ("FROM_ENVIRONMENT", "canary-four"),
        ("TACHOGRAPH__LISTEN", "127.0.0.1:4321"),
        ("TACHOGRAPH__PROVIDERS__ANTHROPIC__API_KEYS", "[\"canary-five\"]"),
    ];
    let finished = run(directory.path(), &["check"], &environment, "");
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(!finished.out.contains("canary") && !finished.err.contains("canary"), "{finished:?}");
    let shown: Value = serde_json::from_str(&finished.out).unwrap();
    assert_eq!(shown["listen"], "127.0.0.1:4321", "the environment goes over the file");
    assert_eq!(shown["providers"]["openai"]["base_url"], "http://127.0.0.1:9/v1");
    assert_eq!(shown["max_request_body"], "64MiB", "defaults are shown too");
}

#[test]
fn what_was_checked_can_be_read_again() {
    let directory = Directory::new();
    let first = gateway_in(&directory, "listen: 127.0.0.1:1234\nlogging: { max_body: 3KiB }\n", &["check"]);
    let shown: Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!((&shown["listen"], &shown["logging"]["max_body"]), (&json!("127.0.0.1:1234"), &json!("3KiB")));
}

#[test]
fn an_address_that_is_taken_ends_with_74() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = Directory::new();
    let address = taken.local_addr().unwrap().to_string();
    let finished = gateway_in(&directory, &format!("listen: {address}\n"), &["serve"]);
    assert_eq!(finished.code, Some(74), "{}", finished.err);
    assert!(finished.err.contains(&address), "which address is said: {}", finished.err);
}

#[test]
fn a_store_that_cannot_be_reached_ends_with_69() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for arguments in [&["serve"][..], &["keys", "list"], &["migrate"], &["demo", "--requests", "1"]] {
        let directory = Directory::new();
        let yaml = format!("listen: 127.0.0.1:0\nstore: {{ url: 'postgres://me:canary@{closed}/db' }}\n");
        let finished = gateway_in(&directory, &yaml, arguments);
        assert_eq!(finished.code, Some(69), "{arguments:?}: {}", finished.err);
        assert!(!finished.err.contains("canary"), "the password is in the complaint: {}", finished.err);
    }
    let directory = Directory::new();
    let finished = gateway_in(&directory, "store: { url: 'oracle://x' }\n", &["migrate"]);
    assert_eq!(finished.code, Some(64), "{}", finished.err);
}

#[test]
fn help_and_version_are_there_and_unknown_arguments_are_refused() {
    let directory = Directory::new();
    for arguments in
        [&["--help"][..], &["serve", "--help"], &["keys", "--help"], &["demo", "--help"], &["price", "--help"]]
    {
        let finished = run(directory.path(), arguments, &[], "");
        assert_eq!(finished.code, Some(0), "{arguments:?}");
        assert!(finished.out.contains("Usage:"), "{arguments:?}: {}", finished.out);
    }
    assert!(run(directory.path(), &["--help"], &[], "").out.contains("64 configuration"), "the exit codes are told");
    let finished = run(directory.path(), &["frobnicate"], &[], "");
    assert_eq!(finished.code, Some(64), "a wrong argument is a wrong configuration: {finished:?}");
}

#[test]
fn price_answers_each_line_in_order() {
    let usage = json!({ "prompt_tokens": 500, "completion_tokens": 300, "total_tokens": 800 });
    let lines = [
        json!({ "id": "a", "provider": "openai", "api": "chat_completions", "model": "gpt-4o-mini", "usage": usage })
            .to_string(),
        json!({ "id": "b", "provider": "", "api": "chat_completions", "model": "nobody-knows-9", "usage": usage })
            .to_string(),
        json!({ "id": "c", "provider": "openai", "api": "chat_completions", "model": "gpt-4o-mini" }).to_string(),
        "no json".to_owned(),
    ];
    let directory = Directory::new();
    let finished = run(directory.path(), &["price"], &[], &lines.join("\n"));
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let out: Vec<Value> = finished.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&Value, &Value, &Value)> =
        out.iter().map(|line| (&line["id"], &line["status"], &line["cost_usd"])).collect();
    let null = Value::Null;
    assert_eq!(told[0], (&json!("a"), &json!("priced"), &json!("0.000255")));
    assert_eq!(told[1], (&json!("b"), &json!("unknown_model"), &null));
    assert_eq!(told[2], (&json!("c"), &json!("no_usage"), &null));
    assert_eq!((told.len(), told[3].2), (4, &null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_is_enough_to_start_within_two_seconds() {
    let mut gateway = Gateway::configured("listen: 127.0.0.1:0\n").start().await;
    assert!(gateway.started_in() < std::time::Duration::from_secs(2), "{:?}", gateway.started_in());
    let key = gateway.wait_for("first API key, shown this once: ");
    assert!(key.starts_with("sk-tachograph-") && key.len() > 40, "{key}");
    let link = gateway.wait_for("logs you in once): ");
    assert!(link.starts_with(&format!("http://{}/login?token=", gateway.address())), "{link}");
    gateway.wait_for("base_url=");
    gateway.wait_for("demo/echo");
    let mut request = tachograph_tests::post(
        "/v1/chat/completions",
        &json!({ "model": "demo/echo", "messages": [{ "role": "user", "content": "hi" }] }),
    );
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    assert_eq!(gateway.send(request).await.status, 200);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(gateway.directory().join("tachograph-data")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o077, 0, "bodies and hashes are for their owner alone");
}
