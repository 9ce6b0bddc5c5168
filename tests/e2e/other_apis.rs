//! APIs other than chat pass untouched, read or not, and are on the record.

use http::{Method, Request};
use tachograph_tests::{Gateway, Reply, Upstream, ask, get, recordings};

use crate::fields::cost_faults;
use crate::replay::upstream_of;

#[tokio::test(flavor = "multi_thread")]
async fn recorded_calls_of_other_apis_pass_untouched_and_leave_a_row_each() {
    let others = ["openai.responses", "openai.embeddings", "openai.completions", "openai.moderations", "openai.images"];
    let Some(mut all) = recordings(|dialect| others.contains(&dialect)) else { return };
    all.retain(|recording| {
        recording.provider == "openai" && recording.response_body().is_some() && recording.request_body().is_some()
    });
    let all: Vec<_> = all.into_iter().step_by(3).collect();
    assert!(all.len() > 30, "{} recordings", all.len());
    let upstream = upstream_of(&all, |recording| recording.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    for recording in &all {
        let method: Method = recording.request.method.parse().unwrap();
        let mut request = ask(method, &format!("/openai{}", recording.request.path), recording.request_body().unwrap());
        request.headers_mut().insert("x-recording", recording.id.parse().unwrap());
        let answer = gateway.send(request).await;
        assert_eq!(answer.status, recording.response.status, "{}", recording.id);
        assert_eq!(answer.body(), recording.response_body().unwrap(), "{}", recording.id);
        let sent = String::from_utf8(upstream.last().body.to_vec()).unwrap();
        // A stream is asked for its usage too, where its API knows how; nothing else may differ.
        let sent = sent.replace(",\"stream_options\":{\"include_usage\":true}", "");
        assert_eq!(sent.as_bytes(), recording.request_body().unwrap(), "{}", recording.id);
        let row = gateway.row(&answer).await;
        let outcome = if recording.response.status >= 400 { "upstream_failed" } else { "complete" };
        assert_eq!(row["outcome"], outcome, "{}: {row:#}", recording.id);
        assert_eq!(row["provider"], "openai", "{}", recording.id);
        assert_eq!(cost_faults(&row), Vec::<String>::new(), "{}", recording.id);
        assert_eq!(row["path"], format!("/openai{}", recording.request.path.split('?').next().unwrap()));
    }
    gateway.rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_and_methods_other_than_post_pass_too() {
    let upstream = Upstream::answering(|seen| match seen.method.as_str() {
        "GET" => Reply::document(200, &[("content-type", "application/json")], "{\"data\":[]}"),
        "DELETE" => Reply::document(204, &[], ""),
        "HEAD" => Reply::document(200, &[], ""),
        _ => Reply::document(200, &[("content-type", "audio/mpeg")], (0..=255_u8).collect::<Vec<u8>>()),
    })
    .await;
    let gateway = Gateway::before(&upstream).start().await;
    assert_eq!(gateway.send(get("/openai/v1/models?limit=2")).await.text(), "{\"data\":[]}");
    assert_eq!(upstream.last().target, "/at-openai/models?limit=2");
    assert_eq!(gateway.send(ask(Method::DELETE, "/openai/v1/files/x", "")).await.status, 204);
    let head = Request::builder().method(Method::HEAD).uri("/openai/v1/models").body(bytes::Bytes::new()).unwrap();
    assert_eq!(gateway.send(head).await.status, 200);
    let bytes: Vec<u8> = (0..=255).rev().collect();
    let answer = gateway.send(ask(Method::POST, "/openai/v1/audio/speech", bytes.clone())).await;
    assert_eq!(answer.body(), (0..=255).collect::<Vec<u8>>());
    assert_eq!(upstream.last().body, bytes);
    let row = gateway.row(&answer).await;
    assert!(row["request"]["base64"].is_string() && row["response"]["base64"].is_string(), "{row:#}");
    let rows = gateway.rows().await;
    assert!(rows.iter().all(|row| row["outcome"] == "complete"), "{rows:#?}");
}
