//! Lists, sums, sessions, words and marks over a real store.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_record::{
    Body, Cost, CostState, Leaf, LogRecord, Money, Outcome, PromptRef, RecordedError, SessionRef, Usage, UsageReading,
};
use tachograph_store::Store;

use crate::desk::{Desk, KEY, OTHER_KEY, call, desk_over, other_org, read};

const DAY: i64 = 86_400_000_000;

async fn desk_with(records: &[LogRecord]) -> Desk {
    let store = tachograph_store::open("sqlite::memory:", "nowhere".as_ref()).await.unwrap();
    store.migrate().await.unwrap();
    store.append(records).await.unwrap();
    desk_over(store as Arc<dyn Store>)
}

fn priced(nano: i64) -> CostState {
    CostState::Priced(Box::new(Cost {
        total: Money::from_columns(nano.into(), 1).unwrap(),
        lines: Vec::new(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        matched_by: "exact id".into(),
        price_version: "1".into(),
        estimated: false,
        warnings: Vec::new(),
    }))
}

/// Three days of calls by some users, with some of everything.
fn traffic() -> Vec<LogRecord> {
    (0..240_i64)
        .map(|n| {
            let mut record = call(n * DAY / 80);
            let (user, model) = (format!("user-{}", n % 7), ["gpt-4o", "claude-haiku-4-5", "o3"][(n % 3) as usize]);
            record.provider_model = Some(model.into());
            let about = &mut record.asked.attribution;
            about.user = (n % 10 != 0).then_some(user);
            about.session = (n % 2 == 0).then(|| SessionRef {
                id: format!("s-{}", n / 20),
                path: Some(["/plan", "/plan/search", "/plan/search/read"][(n % 3) as usize].into()),
                name: Some("chat".into()),
            });
            about.prompt = (n % 4 == 0).then(|| PromptRef { id: "triage".into(), version: Some((n % 2).to_string()) });
            about.set_property("Team", ["search", "ads"][(n % 2) as usize]);
            record.reading.usage =
                UsageReading::Known(Usage::reported([(Leaf::INPUT, n as u64 + 1), (Leaf::OUTPUT, 5)]));
            record.cost = if n % 9 == 0 { CostState::UnknownModel } else { priced(n * 1_000) };
            record.timing.first_token_us = Some(1_000 + n as u64);
            if n % 11 == 0 {
                record.outcome = Outcome::UpstreamFailed;
                record.status = Some(529);
                record.error = Some(RecordedError { kind: "overloaded".into(), code: None, message: "later".into() });
            }
            record
        })
        .collect()
}

/// Every row of a list, page by page.
async fn all_rows(desk: &Desk, query: &str) -> Vec<Value> {
    let (mut rows, mut before) = (Vec::new(), String::new());
    loop {
        let (status, page) = desk.json(&format!("/api/requests?limit=37&{query}{before}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        rows.extend(page["rows"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return rows };
        before = format!("&before={next}");
    }
}

fn cost_of(rows: &[Value]) -> Money {
    rows.iter().filter_map(|row| row["cost"]["total"].as_str()).map(|cost| cost.parse::<Money>().unwrap()).sum()
}

fn sum(groups: &[Value]) -> (u64, Money) {
    let requests = groups.iter().map(|group| group["requests"].as_u64().unwrap()).sum();
    (requests, groups.iter().map(|group| group["cost"].as_str().unwrap().parse::<Money>().unwrap()).sum())
}

#[tokio::test]
async fn every_total_is_the_sum_of_the_list_under_the_same_filter() {
    let desk = desk_with(&traffic()).await;
    for query in [
        "",
        "q=model:gpt-4o",
        "q=user:user-1%20OR%20prop.Team=ads",
        "q=-status:200",
        "q=cost%3E0.0001%20ttft%3C2",
        "from=86400000000&until=172800000000",
        "q=-user:*",
        "provider=nobody",
        "q=later",
    ] {
        let rows = all_rows(&desk, query).await;
        let expected = (rows.len() as u64, cost_of(&rows));
        let (status, totals) = desk.json(&format!("/api/totals?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {totals}");
        assert_eq!(sum(std::slice::from_ref(&totals)), expected, "{query}");
        for by in ["model", "user", "prop.Team", "status", "provider,outcome", "session,session_name", "stream", "key"]
        {
            let (status, told) = desk.json(&format!("/api/breakdown?by={by}&limit=1000&{query}")).await;
            assert_eq!(status, StatusCode::OK, "{query} by {by}: {told}");
            assert_eq!(sum(told["rows"].as_array().unwrap()), expected, "{query} by {by}");
            assert_eq!(sum(std::slice::from_ref(&told["totals"])), expected, "{query} by {by}");
        }
        let range = if query.contains("from=") { "" } else { "from=0&until=259200000000&" };
        let (status, series) = desk.json(&format!("/api/series?step=1h&by=model&{range}{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {series}");
        assert_eq!(sum(series["points"].as_array().unwrap()), expected, "{query}");
        let top = series["series"]["top"].as_array().unwrap();
        let stacked: Vec<Value> =
            top.iter().flat_map(|one| one["points"].as_array().unwrap().iter().cloned()).collect();
        assert_eq!(sum(&stacked), expected, "{query}");
        let (_, histogram) = desk.json(&format!("/api/histogram?{query}")).await;
        let counted: u64 =
            histogram["buckets"].as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap()).sum();
        assert_eq!(counted, expected.0, "{query}");
        let (_, models) = desk.json(&format!("/api/models?{query}")).await;
        assert_eq!(sum(models["rows"].as_array().unwrap()), expected, "{query}");
    }
    for (path, having) in
        [("users", "user:*"), ("prompts", "prompt:*"), ("sessions", "session:*"), ("cache", "cache:*")]
    {
        let rows = all_rows(&desk, &format!("q={having}")).await;
        let (_, told) = desk.json(&format!("/api/{path}?limit=1000").replace("cache?limit=1000", "cache")).await;
        let groups = told.get("rows").or_else(|| told.get("by_status")).unwrap();
        assert_eq!(sum(groups.as_array().unwrap()), (rows.len() as u64, cost_of(&rows)), "{path}");
    }
    let (_, export) =
        (0, read(desk.get_with("/api/export?q=model:o3", &[("authorization", &format!("Bearer {KEY}"))]).await).await);
    let lines: Vec<Value> = export
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines, all_rows(&desk, "q=model:o3").await);
}

#[tokio::test]
async fn facets_count_what_a_click_on_them_would_list() {
    let desk = desk_with(&traffic()).await;
    let (_, told) = desk.json("/api/facets?fields=model,user,status,prop.Team&q=-model:o3").await;
    for facet in told["facets"].as_array().unwrap() {
        let field = facet["field"].as_str().unwrap();
        for value in facet["values"].as_array().unwrap() {
            let q = format!("-model:o3 {field}:{}", value["value"].as_str().unwrap()).replace(' ', "%20");
            assert_eq!(all_rows(&desk, &format!("q={q}")).await.len() as u64, value["count"].as_u64().unwrap(), "{q}");
        }
    }
    let (_, told) = desk.json("/api/facets?fields=user&prefix=USER-1").await;
    assert_eq!(told["facets"][0]["values"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn comparing_moves_the_period_and_nothing_else() {
    let desk = desk_with(&traffic()).await;
    let (_, told) = desk.json(&format!("/api/totals?from={DAY}&until={}&compare=previous&q=model:o3", 2 * DAY)).await;
    let (_, before) = desk.json(&format!("/api/totals?from=0&until={DAY}&q=model:o3")).await;
    assert_eq!(told["previous"], before);
    let (_, told) = desk.json(&format!("/api/breakdown?by=user&from={DAY}&until={}&compare=previous", 2 * DAY)).await;
    let (_, before) = desk.json(&format!("/api/breakdown?by=user&from=0&until={DAY}")).await;
    let by_user: BTreeMap<String, &Value> =
        before["rows"].as_array().unwrap().iter().map(|row| (row["keys"].to_string(), row)).collect();
    for row in told["rows"].as_array().unwrap() {
        assert_eq!(row["previous"]["cost"], by_user[&row["keys"].to_string()]["cost"]);
    }
}

#[tokio::test]
async fn words_are_found_in_what_was_said_however_it_was_streamed() {
    let mut streamed = call(5);
    streamed.asked.stream = true;
    streamed.response = Body::capture(
        &Bytes::from_static(
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"the re\"}}]}\n\n\
              data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fund is due\"}}]}\n\ndata: [DONE]\n\n",
        ),
        9_999,
    );
    let mut asked = call(6);
    asked.asked.body = Body::capture(
        &Bytes::from_static(
            "{\"messages\":[{\"role\":\"user\",\"content\":\"Wo ist \\u00fcberhaupt my \\\"Refund\\\"?\"}]}".as_bytes(),
        ),
        9_999,
    );
    let desk = desk_with(&[streamed.clone(), asked.clone(), call(7)]).await;
    let ids = |told: &Value| -> Vec<String> {
        told["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let (_, told) = desk.json("/api/requests?q=refund").await;
    assert_eq!(ids(&told), [asked.id.to_string(), streamed.id.to_string()]);
    assert_eq!(told["searched"], json!({ "rows": 3, "complete": true, "from": null }));
    let (_, told) = desk.json("/api/requests?q=%22%C3%BCberhaupt%20my%20%5C%22Refund%22").await;
    assert_eq!(ids(&told), [asked.id.to_string()]);
    let (_, told) = desk.json("/api/requests?q=-refund").await;
    assert_eq!(ids(&told).len(), 1);
    let (status, told) = desk.json("/api/live?q=refund").await;
    assert_eq!((status, &told["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_request")));
}

#[tokio::test]
async fn a_session_is_a_tree_by_spans_and_by_paths() {
    let step = |at: i64, path: &str, span: Option<&str>, parent: Option<&str>| {
        let mut record = call(at);
        record.asked.attribution.session =
            Some(SessionRef { id: "it's/one".into(), path: Some(path.into()), name: None });
        record.asked.span_id = span.map(Into::into);
        record.asked.parent_span_id = parent.map(Into::into);
        record.cost = priced(at);
        record
    };
    let steps = [
        step(1, "/plan", Some("aa"), None),
        step(2, "/plan/search", None, None),
        step(3, "/plan/search/read", None, None),
        step(4, "/elsewhere", Some("bb"), Some("aa")),
        step(5, "/plan/search", None, Some("bb")),
    ];
    let desk = desk_with(&steps).await;
    let (status, told) = desk.json("/api/sessions/it%27s%2Fone").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let parents: Vec<Option<&str>> =
        told["steps"].as_array().unwrap().iter().map(|step| step["parent"].as_str()).collect();
    let ids: Vec<String> = steps.iter().map(|step| step.id.to_string()).collect();
    assert_eq!(parents, [None, Some(&*ids[0]), Some(&*ids[1]), Some(&*ids[0]), Some(&*ids[3])]);
    let tree = &told["tree"];
    assert_eq!((&tree["requests"], &tree["cost"]), (&json!(5), &told["totals"]["cost"]));
    let plan = tree["children"].as_array().unwrap().iter().find(|branch| branch["name"] == "plan").unwrap();
    assert_eq!((&plan["requests"], &plan["children"][0]["requests"]), (&json!(4), &json!(3)));
    let (status, _) = desk.json_as(OTHER_KEY, "/api/sessions/it%27s%2Fone").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn post(desk: &Desk, key: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let request =
        Request::post(path).header("authorization", format!("Bearer {key}")).header("content-type", "application/json");
    let response = desk.send(request.body(body.to_string().into()).unwrap()).await;
    (response.status(), serde_json::from_slice(&read(response).await).unwrap_or_default())
}

#[tokio::test]
async fn marks_are_seen_at_once_in_lists_filters_and_sums() {
    let record = call(1);
    let mut foreign = call(2);
    foreign.asked.org = other_org();
    foreign.id = record.id;
    let desk = desk_with(&[record.clone(), foreign, call(3)]).await;
    let path = format!("/api/requests/{}/marks", record.id);
    for mark in [
        json!({ "kind": "score", "name": "quality", "value": 0.75 }),
        json!({ "kind": "score", "name": "good", "value": true }),
        json!({ "kind": "tag", "name": "seen" }),
        json!({ "kind": "property", "name": "Team", "text": "ads" }),
        json!({ "kind": "note", "text": "look here" }),
    ] {
        for _ in 0..2 {
            let (status, told) = post(&desk, KEY, &path, mark.clone()).await;
            assert_eq!(status, StatusCode::CREATED, "{told}");
        }
    }
    for q in ["score.quality%3E0.7", "score.good:1", "tag:seen", "prop.Team:ads", "tag:see*"] {
        let rows = all_rows(&desk, &format!("q={q}")).await;
        assert_eq!(rows.len(), 1, "{q}");
        assert_eq!(rows[0]["marks"]["scores"], json!({ "quality": 0.75, "good": 1 }));
        assert_eq!(rows[0]["marks"]["notes"].as_array().unwrap().len(), 2);
        assert_eq!((&rows[0]["marks"]["tags"], &rows[0]["properties"]), (&json!(["seen"]), &json!({ "Team": "ads" })));
        let (_, theirs) = desk.json_as(OTHER_KEY, &format!("/api/requests?q={q}")).await;
        assert_eq!(theirs["rows"], json!([]), "{q}");
    }
    let (_, told) = desk.json("/api/breakdown?by=prop.Team").await;
    assert_eq!(told["rows"].as_array().unwrap().len(), 2);
    let (_, told) = desk.json("/api/properties").await;
    assert_eq!(told["properties"], json!([{ "name": "Team", "requests": 1 }]));
    for bad in [
        json!({ "kind": "score", "name": "x", "value": 0.000_000_1 }),
        json!({ "kind": "score", "name": "x", "value": "high" }),
        json!({ "kind": "score", "name": "", "value": 1 }),
        json!({ "kind": "praise", "name": "x" }),
        json!({ "kind": "note" }),
        json!({ "kind": "tag", "name": "x".repeat(600) }),
    ] {
        assert_eq!(post(&desk, KEY, &path, bad.clone()).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn no_other_site_can_make_a_browser_change_anything() {
    let desk = desk_with(&[]).await;
    let request = Request::post("/api/kept/saved_view")
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .header("sec-fetch-site", "cross-site");
    let response = desk.send(request.body("{}".into()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
