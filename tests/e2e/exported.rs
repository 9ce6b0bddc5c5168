//! What leaves again: rows as files, and calls as spans for another receiver.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use serde_json::{Value, json};
use tachograph_tests::{Gateway, KEY, Reply, Upstream, get, golden, post, run};

async fn called(gateway: &Gateway, calls: usize) {
    for at in 0..calls {
        let text = if at == 0 { "say \"hi\", please\nand =1+1".to_owned() } else { format!("call {at}") };
        let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": text }] });
        let mut request = post("/openai/v1/chat/completions", &body);
        request.headers_mut().insert("helicone-user-id", if at % 2 == 0 { "ada" } else { "bob" }.parse().unwrap());
        request.headers_mut().insert("helicone-property-team", "=blue, \"red\"".parse().unwrap());
        assert_eq!(gateway.send(request).await.status, 200);
    }
    gateway.rows_when_there_are(calls).await;
}

/// A table's rows by a reader of Parquet that is not ours: id, user, cost in atto-USD, request.
fn of_parquet(bytes: Vec<u8>) -> Vec<(String, String, i128, String)> {
    let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let at = |name: &str| schema.columns().iter().position(|column| column.name() == name).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        let text = |name: &str| row.get_string(at(name)).unwrap().clone();
        let cost = row.get_decimal(at("cost_usd")).unwrap();
        assert_eq!(cost.scale(), 18);
        (text("id"), text("user"), i128::from_be_bytes(cost.data().try_into().unwrap()), text("request"))
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_exported_alike_from_the_command_line_and_over_http_in_every_format() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    called(&gateway, 25).await;
    let command = |arguments: &[&str]| {
        let all = [&["export", "--filter", "user:ada", "--bodies"], arguments].concat();
        let done = run(gateway.directory(), &all, &[], "");
        assert_eq!(done.code, Some(0), "{all:?}: {}", done.err);
        done.out
    };
    let path = |format: &str| format!("/api/export?q=user:ada&bodies=true&format={format}");
    let http = async |format: &str| {
        let answer = gateway.send(get(&path(format))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.headers["content-disposition"].to_str().unwrap().contains(&format!("requests.{format}")));
        answer.body().to_vec()
    };

    let lines: Vec<Value> = command(&[]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 13);
    assert!(lines.iter().all(|row| row["user"] == "ada" && row["cost"]["total"] == "0.000255"));
    assert!(lines[12]["request"]["text"].as_str().unwrap().contains("=1+1"), "the newest is first");
    let over_http: Vec<Value> = String::from_utf8(http("jsonl").await)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(over_http, lines);

    let csv = command(&["--format", "csv"]);
    assert_eq!(http("csv").await, csv.as_bytes());
    let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!((csv.matches("\r\n").count(), head[0]), (14, "id"));
    assert!(csv.contains("0.000255") && csv.contains("gpt-4o-mini"));

    let out = gateway.directory().join("calls.parquet");
    command(&["--format", "parquet", "--out", out.to_str().unwrap()]);
    let rows = of_parquet(std::fs::read(&out).unwrap());
    assert_eq!(rows, of_parquet(http("parquet").await));
    let wanted: Vec<_> = lines
        .iter()
        .map(|row| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&row["id"]), text(&row["user"]), 255_000_000_000_000, text(&row["request"]["text"]))
        })
        .collect();
    assert_eq!(rows, wanted);

    assert_eq!(command(&["--limit", "3"]).lines().count(), 3);
    let wrong = run(gateway.directory(), &["export", "--format", "xlsx"], &[], "");
    assert!(wrong.code == Some(64) && wrong.err.contains("parquet"), "{wrong:?}");
    let wrong = run(gateway.directory(), &["export", "--filter", "cost>much"], &[], "");
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_gateway_are_spans_for_another_and_say_the_same() {
    let upstream = Upstream::answering(|seen| {
        if seen.json()["model"] == "fail" {
            Reply::document(
                500,
                &[("content-type", "application/json")],
                r#"{"error":{"message":"no","type":"broken"}}"#,
            )
        } else {
            golden::OPENAI_CHAT.as_asked(seen.json()["stream"] == true)
        }
    })
    .await;
    let receiver = Gateway::before(&upstream).start().await;
    let otel = format!(
        "otel: {{ endpoint: \"http://{}\", headers: {{ authorization: \"Bearer {KEY}\" }}, content: true, metrics: 0s }}",
        receiver.address()
    );
    let mut gateway = Gateway::before(&upstream).config(&otel).start().await;
    for (at, (model, stream)) in
        [("gpt-4o-mini", false), ("gpt-4o-mini", true), ("fail", false)].into_iter().enumerate()
    {
        let body =
            json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "how fast?" }] });
        let mut request = post("/openai/v1/chat/completions", &body);
        request.headers_mut().insert("helicone-user-id", "ada".parse().unwrap());
        request.headers_mut().insert("helicone-session-id", "s1".parse().unwrap());
        let trace = format!("00-0af7651916cd43dd8448eb211c8031{at:02}-b7ad6b7169203331-01");
        request.headers_mut().insert("traceparent", trace.parse().unwrap());
        gateway.send(request).await;
    }
    let own = gateway.rows_when_there_are(3).await;
    // The end of the process sends what is left.
    gateway.signal("TERM");
    assert!(gateway.ended().await.success());
    let told = receiver.rows_when_there_are(6).await;
    for row in &own {
        let find = |parent: &Value, step: &str| {
            let found = told.iter().find(|told| {
                told["parent_span_id"] == *parent && told["step"] == step && told["trace_id"] == row["trace_id"]
            });
            found.unwrap_or_else(|| panic!("{step} below {parent}: {told:#?}"))
        };
        let server = find(&row["parent_span_id"], "span");
        assert_eq!(server["span_id"], row["span_id"], "the row says where in the trace it is");
        assert_eq!((&server["user"], &server["session"]["id"]), (&json!("ada"), &json!("s1")));
        assert_eq!(server["properties"]["tachograph.id"], row["id"]);
        let call = find(&row["span_id"], "model");
        assert_eq!(call["provider"], row["provider"]);
        if row["status"] == 200 {
            assert_eq!((&call["usage"]["input_tokens"], &call["cost"]["total"]), (&json!(500), &json!("0.000255")));
            assert_eq!(call["model"], row["model"]);
            let whole = receiver.row_of(call["id"].as_str().unwrap()).await;
            assert!(whole["request"]["text"].as_str().unwrap().contains("how fast?"), "{whole:#}");
            assert!(whole["response"]["text"].as_str().unwrap().contains("tachograph"), "{whole:#}");
        } else {
            assert_eq!((&call["outcome"], &call["error"]["kind"]), (&json!("upstream_failed"), &row["error"]["kind"]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_speaks_grpc_reaches_the_gateway_on_its_own_port() {
    let upstream = Upstream::answering(|_| golden::OPENAI_CHAT.reply()).await;
    let gateway = Gateway::before(&upstream).start().await;
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let url = format!("http://{}/opentelemetry.proto.collector.trace.v1.TraceService/Export", gateway.address());
    let send = async |key: &str, message: &[u8]| {
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(message);
        let request = Request::post(&url)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {key}"))
            .body(Full::from(frame))
            .unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(20), client.request(request)).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        let collected = answer.into_body().collect().await.unwrap();
        collected.trailers().unwrap()["grpc-status"].to_str().unwrap().to_owned()
    };
    // One span by hand: a trace id, a span id, a name, an attribute.
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let model = field(1, b"gen_ai.request.model");
    let attribute = [model, field(2, &field(1, b"gpt-4o-mini"))].concat();
    let span = [field(1, &[1; 16]), field(2, &[2; 8]), field(5, b"a call"), field(9, &attribute)].concat();
    let export = field(1, &field(2, &field(2, &span)));
    assert_eq!(send("sk-not-ours", &export).await, "16");
    assert_eq!(send(KEY, &export).await, "0");
    // It says nothing of what was said, so it waits a while for logs that do.
    let rows = gateway.rows_when_there_are(1).await;
    assert_eq!((&rows[0]["model"], &rows[0]["span_id"]), (&json!("gpt-4o-mini"), &json!("0202020202020202")));
}
