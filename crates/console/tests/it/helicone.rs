//! Helicone's REST API.

use std::sync::Arc;

use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tachograph_record::{Leaf, Outcome, SessionRef, Usage, UsageReading};
use tachograph_store::Store;

use crate::desk::{Desk, KEY, OTHER_KEY, call, desk_over, read};

async fn ask(desk: &Desk, key: &str, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
    let request = request.header("content-type", "application/json");
    let response = desk.send(request.body(body.to_string().into()).unwrap()).await;
    let (status, body) = (response.status(), read(response).await);
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
}

async fn desk() -> (Desk, Vec<String>) {
    let store = tachograph_store::open("sqlite::memory:", "nowhere".as_ref()).await.unwrap();
    store.migrate().await.unwrap();
    let mut records: Vec<_> = (0..6_i64).map(|n| call(1_700_000_000_000_000 + n * 60_000_000)).collect();
    for (n, record) in records.iter_mut().enumerate() {
        record.asked.attribution.user = Some(format!("user-{}", n % 2));
        record.asked.attribution.set_property("Team", if n < 3 { "search" } else { "ads" });
        record.asked.attribution.session =
            (n > 3).then(|| SessionRef { id: "s".into(), path: None, name: Some("chat".into()) });
        record.timing.end_us = 1_000_500 + n as u64 * 1_000_000;
        let usage =
            Usage::reported([(Leaf::INPUT, 10), (Leaf::CACHE_READ, 4), (Leaf::OUTPUT, 7), (Leaf::REASONING, 2)]);
        record.reading.usage = UsageReading::Known(usage);
    }
    records[5].status = Some(500);
    records[5].outcome = Outcome::UpstreamFailed;
    store.append(&records).await.unwrap();
    (desk_over(store as Arc<dyn Store>), records.iter().map(|record| record.id.to_string()).collect())
}

#[tokio::test]
async fn requests_are_found_by_both_forms_of_filters() {
    let (desk, ids) = desk().await;
    let rmt = |column: &str, asked: Value| json!({ "request_response_rmt": { column: asked } });
    let condition = |column: &str, operator: &str, value: Value| json!({ "type": "condition", "field": { "table": "request_response_rmt", "column": column }, "operator": operator, "value": value });
    for (filter, found) in [
        (json!("all"), vec![5, 4, 3, 2, 1, 0]),
        (json!({}), vec![5, 4, 3, 2, 1, 0]),
        (rmt("status", json!({ "equals": 500 })), vec![5]),
        (rmt("status", json!({ "not-equals": "500" })), vec![4, 3, 2, 1, 0]),
        (rmt("latency", json!({ "gte": 4000.5 })), vec![5, 4, 3]),
        (rmt("user_id", json!({ "equals": "user-1" })), vec![5, 3, 1]),
        (rmt("properties", json!({ "Team": { "equals": "search" } })), vec![2, 1, 0]),
        (json!({ "properties": { "Team": { "equals": "ads" } } }), vec![5, 4, 3]),
        (rmt("model", json!({ "like": "gpt-4o%" })), vec![5, 4, 3, 2, 1, 0]),
        (rmt("model", json!({ "contains": "MINI" })), vec![5, 4, 3, 2, 1, 0]),
        (rmt("provider", json!({ "equals": "OPENAI" })), vec![5, 4, 3, 2, 1, 0]),
        (rmt("target_url", json!({ "ilike": "%OPENAI.COM%" })), vec![5, 4, 3, 2, 1, 0]),
        (rmt("target_url", json!({ "equals": "https://api.anthropic.com/v1/messages" })), vec![]),
        (rmt("cached", json!({ "equals": true })), vec![]),
        (
            json!({ "left": rmt("user_id", json!({ "equals": "user-1" })), "operator": "and", "right": rmt("status", json!({ "equals": 200 })) }),
            vec![3, 1],
        ),
        (
            json!({ "type": "or", "expressions": [condition("status", "eq", json!(500)),
                { "type": "condition", "field": { "column": "properties", "subtype": "property", "valueMode": "value", "key": "Team" }, "operator": "eq", "value": "search" }] }),
            vec![5, 2, 1, 0],
        ),
        (condition("latency", "lt", json!(2000)), vec![0]),
    ] {
        let (status, told) = ask(&desk, KEY, "POST", "/v1/request/query-clickhouse", json!({ "filter": filter })).await;
        assert_eq!((status, &told["error"]), (StatusCode::CREATED, &Value::Null), "{filter}: {told}");
        let seen: Vec<&str> =
            told["data"].as_array().unwrap().iter().map(|row| row["request_id"].as_str().unwrap()).collect();
        let expected: Vec<&str> = found.iter().map(|at| ids[*at].as_str()).collect();
        assert_eq!(seen, expected, "{filter}");
        let (_, count) = ask(&desk, KEY, "POST", "/v1/request/count/query", json!({ "filter": filter })).await;
        assert_eq!(count["data"], json!(found.len()), "{filter}");
        let (_, theirs) = ask(&desk, OTHER_KEY, "POST", "/v1/request/query", json!({ "filter": filter })).await;
        assert_eq!(theirs["data"], json!([]));
    }
    let (_, told) = ask(
        &desk,
        KEY,
        "POST",
        "/v1/request/query",
        json!({ "filter": "all", "sort": { "latency": "asc" }, "limit": 2, "offset": 1 }),
    )
    .await;
    let rows = told["data"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["request_id"]), (2, &json!(ids[1])));
    let row = &rows[0];
    assert_eq!(
        (&row["prompt_tokens"], &row["prompt_cache_read_tokens"], &row["completion_tokens"]),
        (&json!(10), &json!(4), &json!(7))
    );
    assert_eq!(
        (&row["reasoning_tokens"], &row["total_tokens"], &row["delay_ms"]),
        (&json!(2), &json!(23), &json!(2000))
    );
    assert_eq!(row.as_object().unwrap().len(), 48);
    for bad in [
        json!({ "filter": { "nothing": { "a": { "equals": 1 } } } }),
        json!({ "filter": "{ invalid json }" }),
        json!({ "limit": 5_000 }),
        json!({ "sort": { "shape": "asc" } }),
    ] {
        let (status, told) = ask(&desk, KEY, "POST", "/v1/request/query", bad.clone()).await;
        assert_eq!((status, &told["data"]), (StatusCode::BAD_REQUEST, &Value::Null), "{bad}");
    }
}

#[tokio::test]
async fn feedback_scores_and_properties_are_there_at_once() {
    let (desk, ids) = desk().await;
    let path = format!("/v1/request/{}", ids[0]);
    for (method, route, body) in [
        ("POST", "feedback", json!({ "rating": true })),
        ("PUT", "property", json!({ "key": "Stage", "value": "late" })),
        ("POST", "score", json!({ "scores": { "quality": 4, "fine": true } })),
    ] {
        let (status, told) = ask(&desk, KEY, method, &format!("{path}/{route}"), body).await;
        assert_eq!((status, told), (StatusCode::CREATED, json!({ "data": null, "error": null })), "{route}");
    }
    let (status, told) = ask(&desk, KEY, "GET", &format!("{path}?includeBody=true"), Value::Null).await;
    let row = &told["data"];
    assert_eq!(
        (status, &row["feedback_rating"], &row["properties"]["Stage"]),
        (StatusCode::OK, &json!(true), &json!("late"))
    );
    assert_eq!(row["scores"], json!({ "quality": 4, "fine": 1, "helicone-score-feedback": 1 }));
    let filter = json!({ "request_response_rmt": { "scores": { "helicone-score-feedback": { "equals": "1" } } } });
    let (_, told) = ask(&desk, KEY, "POST", "/v1/request/query", json!({ "filter": filter })).await;
    assert_eq!(told["data"].as_array().unwrap().len(), 1);
    let (status, _) = ask(&desk, KEY, "POST", &format!("{path}/score"), json!({ "scores": { "x": 0.5 } })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "fractions are refused");
    ask(&desk, KEY, "POST", "/v1/session/s/tag", json!({ "tag": "good" })).await;
    let (_, told) = ask(&desk, KEY, "GET", "/v1/session/s/tag", Value::Null).await;
    assert_eq!(told["data"], "good");
}

#[tokio::test]
async fn sessions_users_and_metrics_add_up() {
    let (desk, _) = desk().await;
    let (status, told) = ask(&desk, KEY, "POST", "/v1/session/query", json!({ "search": "", "filter": "all" })).await;
    assert_eq!((status, &told["data"][0]["total_requests"]), (StatusCode::OK, &json!(2)), "{told}");
    let (_, told) =
        ask(&desk, KEY, "POST", "/v1/user/metrics/query", json!({ "filter": "all", "limit": 10, "offset": 0 })).await;
    assert_eq!((&told["data"]["count"], &told["data"]["users"][0]["total_requests"]), (&json!(2), &json!(3)));
    let (_, told) = ask(&desk, KEY, "POST", "/v1/property/query", json!({})).await;
    assert_eq!(told["data"], json!([{ "property": "Team" }]));
    for (metric, expected) in [("totalRequests", json!(6)), ("activeUsers", json!(2))] {
        let body = json!({ "filter": "all", "timeFilter": { "start": "2023-01-01T00:00:00Z", "end": "2024-01-01T00:00:00Z" } });
        let (status, told) = ask(&desk, KEY, "POST", &format!("/v1/metrics/{metric}"), body).await;
        assert_eq!((status, &told["data"]), (StatusCode::CREATED, &expected), "{metric}");
    }
    let (_, told) =
        ask(&desk, KEY, "POST", "/v1/metrics/requestOverTime", json!({ "filter": "all", "dbIncrement": "hour" })).await;
    let counts: u64 = told["data"].as_array().unwrap().iter().map(|point| point["count"].as_u64().unwrap()).sum();
    assert_eq!(counts, 6);
}

#[tokio::test]
async fn sql_is_run_saved_and_refused() {
    let (desk, ids) = desk().await;
    let (status, told) = ask(
        &desk,
        KEY,
        "POST",
        "/v1/helicone-sql/execute",
        json!({ "sql": "SELECT request_id, user_id FROM request_response_rmt ORDER BY request_created_at LIMIT 1" }),
    )
    .await;
    assert_eq!(
        (status, &told["data"]["rows"]),
        (StatusCode::OK, &json!([{ "request_id": ids[0], "user_id": "user-0" }])),
        "{told}"
    );
    let (status, told) =
        ask(&desk, KEY, "POST", "/v1/helicone-sql/execute", json!({ "sql": "SELECT * FROM keys" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(told["error"].as_str().unwrap().starts_with("[HQL_INVALID_TABLE]"));
    let (_, csv) = ask(
        &desk,
        KEY,
        "POST",
        "/v1/helicone-sql/download",
        json!({ "sql": "SELECT user_id, count(*) AS n FROM requests GROUP BY user_id ORDER BY user_id" }),
    )
    .await;
    assert_eq!(csv, "user_id,n\r\nuser-0,3\r\nuser-1,3\r\n");
    let (_, told) =
        ask(&desk, KEY, "POST", "/v1/helicone-sql/saved-query", json!({ "name": "mine", "sql": "SELECT 1" })).await;
    let id = told["data"][0]["id"].as_str().unwrap();
    let (status, _) = ask(&desk, OTHER_KEY, "GET", &format!("/v1/helicone-sql/saved-query/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = ask(&desk, KEY, "DELETE", &format!("/v1/helicone-sql/saved-query/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn strangers_are_told_nothing() {
    let (desk, _) = desk().await;
    for path in ["/v1/request/query", "/v1/session/query", "/v1/metrics/totalCost", "/v1/helicone-sql/execute"] {
        let (status, _) = ask(&desk, "wrong", "POST", path, json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn keys_are_made_named_and_revoked() {
    let (desk, _) = desk().await;
    let (status, made) =
        ask(&desk, KEY, "POST", "/v1/api-keys", json!({ "api_key_name": "ci", "key_permissions": "rw" })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (id, key) = (made["data"]["id"].as_str().unwrap().to_owned(), made["data"]["apiKey"].as_str().unwrap());
    assert!(!key.is_empty());
    let named = |told: &Value| -> Vec<String> {
        let keys = told["data"].as_array().unwrap().iter();
        keys.map(|key| key["api_key_name"].as_str().unwrap().to_owned()).collect()
    };
    let (_, list) = ask(&desk, KEY, "GET", "/v1/api-keys", Value::Null).await;
    assert!(named(&list).contains(&"ci".to_owned()) && !list.to_string().contains(key), "the key is told once: {list}");
    let one = format!("/v1/api-keys/{id}");
    let (status, _) = ask(&desk, OTHER_KEY, "PATCH", &one, json!({ "api_key_name": "mine" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "another's key is nobody's");
    let (status, _) = ask(&desk, KEY, "PATCH", &one, json!({ "api_key_name": "deploys" })).await;
    assert_eq!(status, StatusCode::OK);
    let (_, list) = ask(&desk, KEY, "GET", "/v1/api-keys", Value::Null).await;
    assert!(named(&list).contains(&"deploys".to_owned()), "{list}");
    assert_eq!(ask(&desk, OTHER_KEY, "DELETE", &one, Value::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&desk, KEY, "DELETE", &one, Value::Null).await.0, StatusCode::OK);
    assert_eq!(ask(&desk, KEY, "DELETE", &one, Value::Null).await.0, StatusCode::NOT_FOUND);
    for wrong in [json!({ "api_key_name": "" }), json!({ "api_key_name": "x", "key_permissions": "w" })] {
        assert_eq!(ask(&desk, KEY, "POST", "/v1/api-keys", wrong).await.0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn sessions_users_and_properties_are_spread_out_and_found() {
    let (desk, ids) = desk().await;
    let all =
        json!({ "filter": "all", "timeFilter": { "startTimeUnixMs": 0, "endTimeUnixMs": 2_000_000_000_000_i64 } });
    let told = async |path: &str, body: &Value| {
        let (status, told) = ask(&desk, KEY, "POST", path, body.clone()).await;
        assert!(status.is_success(), "{path}: {status} {told}");
        told["data"].clone()
    };
    assert_eq!(told("/v1/session/count", &all).await, json!(1));
    let sessions = told("/v1/session/query", &all).await;
    assert_eq!(sessions[0]["user_ids"], json!(["user-0", "user-1"]));
    let spread = told("/v1/session/metrics/query", &json!({ "filter": "all", "pSize": "p99" })).await;
    assert_eq!(spread["session_count"][0]["value"], 1);
    assert_eq!(spread["average"]["session_count"][0]["average"], 2.0);
    assert_eq!(spread["average"]["session_duration"][0]["average"], 60.0);
    let overview = told("/v1/user/metrics-overview/query", &json!({ "filter": "all", "pSize": "p50" })).await;
    assert_eq!(overview["request_count"][0]["value"], 2, "both users have three: {overview}");
    let (status, _) = ask(&desk, KEY, "POST", "/v1/session/metrics/query", json!({ "pSize": "p33" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    assert_eq!(told("/v1/property/Team/search", &json!({ "searchTerm": "sea" })).await, json!(["search"]));
    let tops = told("/v1/property/Team/top-requests/query", &all).await;
    assert_eq!(tops.as_array().unwrap().len(), 2);
    assert!(tops.as_array().unwrap().iter().all(|top| top["count"] == 3));
    assert_eq!(told("/v1/property/Team/top-costs/query", &json!({ "limit": 1 })).await.as_array().unwrap().len(), 1);
    let time = told("/v1/property/properties/over-time", &json!({ "key": "Team", "dbIncrement": "month" })).await;
    assert_eq!((time.as_array().unwrap().len(), &time[0]["count"]), (2, &json!(3)), "{time}");
    assert_eq!(time[0]["time"], "2023-11-01T00:00:00.000Z");
    told("/v1/property/hide", &json!({ "key": "Team" })).await;
    assert_eq!(told("/v1/property/query", &json!({})).await, json!([]));
    let (_, hidden) = ask(&desk, KEY, "GET", "/v1/property/hidden", Value::Null).await;
    assert_eq!(hidden["data"], json!([{ "property": "Team" }]));
    told("/v1/property/restore", &json!({ "key": "Team" })).await;
    assert_eq!(told("/v1/property/query", &json!({})).await, json!([{ "property": "Team" }]));

    for (step, start) in [("month", "2023-11-01T00:00:00.000Z"), ("year", "2023-01-01T00:00:00.000Z")] {
        let series = told("/v1/metrics/requestOverTime", &json!({ "filter": "all", "dbIncrement": step })).await;
        assert_eq!(series, json!([{ "time": start, "count": 6 }]));
    }
    let quantiles =
        told("/v1/metrics/quantiles", &json!({ "filter": "all", "metric": "latency", "dbIncrement": "day" })).await;
    let p99 = quantiles[0]["p99"].as_f64().unwrap();
    assert!((5_800.0..6_200.0).contains(&p99), "{quantiles}");
    assert_eq!(told("/v1/metrics/country", &all).await, json!([]));
    let (status, inputs) = ask(&desk, KEY, "GET", &format!("/v1/request/{}/inputs", ids[0]), Value::Null).await;
    assert_eq!((status, &inputs["data"]), (StatusCode::OK, &Value::Null), "it was made from no prompt");
}
