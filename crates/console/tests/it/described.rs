//! The API is what its description says.

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::Value;
use tachograph_record::{Body, Leaf, RecordedError, Usage, UsageReading};

use crate::desk::{KEY, call, desk, read};

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
        _ => "200".into(),
    }
}

#[tokio::test]
async fn every_route_is_there_guarded_as_described_and_takes_its_parameters() {
    let desk = desk();
    let record = call(1);
    desk.put(std::slice::from_ref(&record)).await;
    let (status, document) = desk.json("/api/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    let paths = document["paths"].as_object().unwrap();
    // The gateway itself answers quotes, beside the console's own routes; its own test asks there.
    let (beside, own): (Vec<_>, Vec<_>) = paths.iter().partition(|(path, _)| *path == "/api/quote");
    assert_eq!((beside.len(), own.len()), (1, 6));
    assert!(beside[0].1.as_object().unwrap().keys().eq(["post"]));
    for (path, methods) in own {
        let methods = methods.as_object().unwrap();
        assert!(methods.keys().eq(["get"]), "{path}");
        let path = path.replace("{id}", &record.id.to_string());
        let open = methods["get"]["security"].as_array().is_some_and(Vec::is_empty);
        let expected = if open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(desk.get(&path).await.status(), expected, "{path} asked by a stranger");
        let key = format!("Bearer {KEY}");
        let bearer = [("authorization", key.as_str())];
        assert_eq!(desk.get_with(&path, &bearer).await.status(), StatusCode::OK, "{path}");
        for parameter in
            methods["get"]["parameters"].as_array().into_iter().flatten().map(|one| resolve(&document, one))
        {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] == "query" {
                let status = desk.get_with(&format!("{path}?{name}={}", sample(name)), &bearer).await.status();
                assert_eq!(status, StatusCode::OK, "{path}?{name}");
            }
        }
    }
    assert_eq!(
        desk.post("/api/requests", "", &[("authorization", &format!("Bearer {KEY}"))]).await.status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
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
    let desk = desk();
    let mut record = call(1);
    record.reading.usage = UsageReading::Known(Usage::reported([(Leaf::INPUT, 1)]));
    record.error = Some(RecordedError { kind: "a".into(), code: Some("b".into()), message: "c".into() });
    record.asked.body =
        Body::capture(&Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#), 99);
    desk.put(std::slice::from_ref(&record)).await;
    let (_, document) = desk.json("/api/openapi.json").await;
    let schemas = &document["components"]["schemas"];
    let (_, list) = desk.json("/api/requests").await;
    described(&document, &schemas["Request"], &list["rows"][0], "row");
    let (_, detail) = desk.json(&format!("/api/requests/{}", record.id)).await;
    let mut both = schemas["Request"].clone();
    let more = schemas["RequestDetail"]["properties"].as_object().unwrap().clone();
    both["properties"].as_object_mut().unwrap().extend(more);
    described(&document, &both, &detail, "request");
    let (_, totals) = desk.json("/api/totals").await;
    described(&document, &schemas["Totals"], &totals, "totals");
    let refused = read(desk.get("/api/totals").await).await;
    described(&document, &schemas["Error"], &serde_json::from_slice(&refused).unwrap(), "error");
}
