//! The API is what its description says.

use std::sync::Arc;

use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_record::{
    Attempt, Body, CacheStatus, CacheVerdict, Leaf, LogRecord, PromptRef, RecordedError, SessionRef, Usage,
    UsageReading,
};
use tachograph_store::Store;

use crate::desk::{Desk, KEY, call, desk_over, read};

fn resolve<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => {
            document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => node,
    }
}

/// A value that the parameter takes.
fn sample(name: &str) -> String {
    match name {
        "before" | "after" => format!("1_{}", call(0).id),
        "outcome" => "complete".into(),
        "property" => "Team:search".into(),
        "q" => "status:200%20user:*".into(),
        "filter" => "%7B%22field%22:%22model%22,%22op%22:%22exists%22%7D".into(),
        "sort" => "-cost".into(),
        "by" => "model".into(),
        "fields" => "model,prop.Team".into(),
        "percentiles" => "latency_us,ttft_us".into(),
        "of" => "latency_us".into(),
        "compare" => "none".into(),
        "previous_from" => "1&previous_until=2".into(),
        "previous_until" => "2&previous_from=1".into(),
        "step" => "1d&from=1&until=9".into(),
        "format" => "csv".into(),
        "bodies" => "true".into(),
        "until" => "9000".into(),
        "top" => "3".into(),
        _ => "200".into(),
    }
}

/// A desk over a real store, with one call of everything.
async fn filled() -> (Desk, LogRecord) {
    let store = tachograph_store::open("sqlite::memory:", "nowhere".as_ref()).await.unwrap();
    store.migrate().await.unwrap();
    let mut record = call(1);
    record.reading.usage = UsageReading::Known(Usage::reported([(Leaf::INPUT, 1), (Leaf::OUTPUT, 3)]));
    record.error = Some(RecordedError { kind: "a".into(), code: Some("b".into()), message: "c".into() });
    record.asked.body =
        Body::capture(&Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#), 99);
    let about = &mut record.asked.attribution;
    about.user = Some("ada".into());
    about.session = Some(SessionRef { id: "s".into(), path: Some("/a/b".into()), name: Some("n".into()) });
    about.prompt = Some(PromptRef { id: "p".into(), version: None });
    about.set_property("Team", "search");
    record.attempts = vec![Attempt { provider: "openai".into(), ..Attempt::default() }];
    record.control.cache =
        Some(CacheVerdict { status: CacheStatus::Hit, source: None, saved: None, saved_us: Some(3), bucket: None });
    let mut refused = call(2);
    refused.outcome = tachograph_record::Outcome::Refused;
    store.append(&[record.clone(), refused]).await.unwrap();
    (desk_over(store as Arc<dyn Store>), record)
}

async fn ask(desk: &Desk, method: &str, path: &str, key: Option<&str>, body: Option<Value>) -> (StatusCode, Bytes) {
    let request = Request::builder().method(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap()).uri(path);
    let request =
        key.into_iter().fold(request, |request, key| request.header("authorization", format!("Bearer {key}")));
    let request = request.header("content-type", "application/json");
    let body = body.map_or_else(axum::body::Body::empty, |body| body.to_string().into());
    let response = desk.send(request.body(body).unwrap()).await;
    (response.status(), read(response).await)
}

/// A body that the address takes.
fn body_for(path: &str) -> Value {
    match path {
        path if path.ends_with("/marks") => json!({ "kind": "tag", "name": "seen" }),
        "/api/breakdown" => json!({ "by": "model", "filter": { "field": "user", "op": "exists" } }),
        "/api/sql" => json!({ "sql": "SELECT count(*) FROM requests" }),
        "/api/keys" => json!({ "name": "a program" }),
        path if path.starts_with("/api/kept") => json!({ "sql": "SELECT 1" }),
        _ => json!({ "filter": { "field": "user", "op": "exists" } }),
    }
}

fn filled_in(path: &str, record: &LogRecord) -> String {
    let id = if path.contains("sessions") { "s".to_owned() } else { record.id.to_string() };
    let kind = if path.contains("/kept/") { "saved_query" } else { "tag" };
    path.replace("{id}", &id).replace("{kind}", kind).replace("{name}", "seen")
}

/// Whether the gateway itself answers there, beside the console's own routes; its own tests ask it.
fn is_the_gateways(path: &str) -> bool {
    path == "/api/quote" || path.starts_with("/api/limits/rules")
}

#[tokio::test]
async fn every_route_is_there_guarded_as_described_and_takes_its_parameters() {
    let (desk, record) = filled().await;
    let (status, document) = desk.json("/api/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths["/api/quote"].as_object().unwrap().keys().eq(["post"]));
    for (path, methods) in paths.iter().filter(|(path, _)| !is_the_gateways(path)) {
        let at = filled_in(path, &record);
        for (method, told) in methods.as_object().unwrap() {
            let open = told["security"].as_array().is_some_and(Vec::is_empty);
            if !open {
                let (status, _) = ask(&desk, method, &at, None, None).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} asked by a stranger");
            }
            let wanted: Vec<u16> =
                told["responses"].as_object().unwrap().keys().map(|code| code.parse().unwrap()).collect();
            let body = (method != "get").then(|| body_for(path));
            let mut plain = at.clone();
            if method == "get" {
                plain += match path.as_str() {
                    "/api/breakdown" => "?by=model",
                    "/api/why" => "?from=1",
                    _ => "",
                };
            }
            if path == "/api/live" {
                let response = desk.get_with(&plain, &[("authorization", &format!("Bearer {KEY}"))]).await;
                assert_eq!(response.status(), StatusCode::OK);
                continue;
            }
            let (status, said) = ask(&desk, method, &plain, Some(KEY), body).await;
            assert!(wanted.contains(&status.as_u16()), "{method} {path}: {status} {said:?}");
            if method != "delete" && !path.contains("/kept/{kind}/{id}") {
                assert!(status.is_success(), "{method} {path}: {status} {said:?}");
            }
            for parameter in told["parameters"].as_array().into_iter().flatten().map(|one| resolve(&document, one)) {
                let name = parameter["name"].as_str().unwrap();
                if parameter["in"] == "query" {
                    let with = if plain.contains('?') && !plain.contains(&format!("?{name}=")) {
                        format!("{plain}&")
                    } else {
                        format!("{at}?")
                    };
                    let (status, said) =
                        ask(&desk, method, &format!("{with}{name}={}", sample(name)), Some(KEY), None).await;
                    assert_eq!(status, StatusCode::OK, "{path}?{name}: {said:?}");
                }
            }
        }
    }
    let (status, _) = ask(&desk, "put", "/api/requests", Some(KEY), None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

/// What is routed is described.
#[tokio::test]
async fn no_route_is_left_out() {
    let (desk, _) = filled().await;
    let (_, document) = desk.json("/api/openapi.json").await;
    let source = include_str!("../../src/api/mod.rs");
    let routed: Vec<&str> = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routed.len() > 20);
    for path in routed {
        assert!(document["paths"].get(format!("/api{path}")).is_some(), "/api{path} is not described");
    }
}

/// Every field of `told` is described by `schema`.
fn described(document: &Value, schema: &Value, told: &Value, at: &str) {
    let schema = resolve(document, schema);
    let schema = schema["oneOf"].as_array().map_or(schema, |choices| resolve(document, &choices[0]));
    match told {
        Value::Object(fields) if schema.get("properties").is_some() && schema["additionalProperties"] != true => {
            for (name, field) in fields {
                let property = &schema["properties"][name];
                assert!(!property.is_null(), "{at}.{name} is not described");
                described(document, property, field, &format!("{at}.{name}"));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| described(document, &schema["items"], item, at)),
        _ => {}
    }
}

#[tokio::test]
async fn every_field_is_described() {
    let (desk, record) = filled().await;
    let (_, document) = desk.json("/api/openapi.json").await;
    let schemas = &document["components"]["schemas"];
    let (_, list) = desk.json("/api/requests").await;
    described(&document, &schemas["Request"], &list["rows"][1], "row");
    let (_, detail) = desk.json(&format!("/api/requests/{}", record.id)).await;
    let mut both = schemas["Request"].clone();
    let more = schemas["RequestDetail"]["properties"].as_object().unwrap().clone();
    both["properties"].as_object_mut().unwrap().extend(more);
    described(&document, &both, &detail, "request");
    for (path, methods) in document["paths"].as_object().unwrap() {
        let schema = &methods["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        if schema.is_null()
            || is_the_gateways(path)
            || ["/api/requests/{id}", "/api/openapi.json", "/api/health"].contains(&path.as_str())
        {
            continue;
        }
        let queries: &[&str] = match path.as_str() {
            "/api/breakdown" => &["?by=model,user&percentiles=latency_us&from=1&until=9&compare=previous&q=Hi"],
            "/api/why" => &["?from=1&until=9&previous_from=0&previous_until=1"],
            "/api/series" => &["?by=model&from=1&until=9&compare=previous&percentiles=ttft_us", "?step=52w"],
            "/api/totals" => &["?percentiles=latency_us&from=1&until=9&compare=previous&q=Hi", ""],
            _ => &[""],
        };
        for query in queries {
            let at = format!("{}{query}", filled_in(path, &record));
            let (status, told) = desk.json(&at).await;
            assert_eq!(status, StatusCode::OK, "{at}: {told}");
            described(&document, schema, &told, path);
        }
    }
    let refused = read(desk.get("/api/totals").await).await;
    described(&document, &schemas["Error"], &serde_json::from_slice(&refused).unwrap(), "error");
}
