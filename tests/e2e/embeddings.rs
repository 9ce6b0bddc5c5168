//! Embeddings asked for in one API and had from another; tokens counted for those who cannot.

use serde_json::{Value, json};
use tachograph_tests::{Gateway, Reply, Seen, Upstream, post};

/// A provider of every API for embeddings: two dimensions a text, the first its place.
fn provider(seen: &Seen) -> Reply {
    let body = seen.json();
    let rows = |texts: &Value| (0..texts.as_array().map_or(1, Vec::len)).map(|at| json!([at, 0.5])).collect::<Vec<_>>();
    let answer = if seen.target.contains(":batchEmbedContents") {
        let values = rows(&body["requests"]).into_iter().map(|row| json!({ "values": row }));
        json!({ "embeddings": values.collect::<Vec<_>>() })
    } else if seen.target.ends_with("/v2/embed") {
        json!({"id": "e", "embeddings": {"float": rows(&body["texts"])}, "meta": {"billed_units": {"input_tokens": 7}}})
    } else if seen.target.ends_with("/api/embed") {
        json!({"model": body["model"], "embeddings": rows(&body["input"]), "prompt_eval_count": 7})
    } else {
        let data = rows(&body["input"]).into_iter().enumerate();
        let data = data.map(|(index, row)| json!({"object": "embedding", "index": index, "embedding": row}));
        let usage = json!({"prompt_tokens": 7, "total_tokens": 7});
        json!({"object": "list", "data": data.collect::<Vec<_>>(), "model": body["model"], "usage": usage})
    };
    Reply::json(200, &answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_clients_have_embeddings_of_every_dialect() {
    let upstream = Upstream::answering(provider).await;
    let gateway = Gateway::before(&upstream).start().await;
    for (model, path, texts, dimensions) in [
        (
            "gemini/gemini-embedding-001",
            ":batchEmbedContents",
            "/requests/1/content/parts/0/text",
            "/requests/1/outputDimensionality",
        ),
        ("cohere/embed-v4.0", "/v2/embed", "/texts/1", "/output_dimension"),
        ("ollama-native/all-minilm", "/api/embed", "/input/1", "/dimensions"),
        ("openai/text-embedding-3-small", "/embeddings", "/input/1", "/dimensions"),
    ] {
        let body = json!({"model": model, "input": ["one", "two"], "dimensions": 2});
        let answer = gateway.send(post("/v1/embeddings", &body)).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let seen = upstream.last();
        assert!(seen.target.ends_with(path), "{model}: {}", seen.target);
        assert_eq!(seen.json().pointer(texts), Some(&json!("two")), "{model}");
        assert_eq!(seen.json().pointer(dimensions), Some(&json!(2)), "{model}");
        let read = answer.json();
        assert_eq!(read["data"][1], json!({"object": "embedding", "index": 1, "embedding": [1, 0.5]}), "{model}");
        assert!(read["usage"]["prompt_tokens"].as_u64().unwrap() > 0, "{model}: {read}");
        let row = gateway.row(&answer).await;
        assert_eq!(row["api"], "openai.embeddings");
        if model.starts_with("gemini/") {
            assert_eq!(answer.headers["tachograph-estimated"], "usage");
            assert_eq!(row["usage"], Value::Null, "what nobody reported is not on the record: {row:#}");
        } else {
            assert_eq!(row["usage"]["input_tokens"], 7, "{model}");
        }
        let body = json!({"model": model, "input": "one", "encoding_format": "base64"});
        let packed = gateway.send(post("/v1/embeddings", &body)).await.json();
        // The upstream has numbers only, so that OpenAI's own, which pass untouched, stay numbers.
        let want = if model.starts_with("openai/") { json!([0, 0.5]) } else { json!("AAAAAAAAAD8=") };
        assert_eq!(packed["data"][0]["embedding"], want, "{model}");
    }
    let tokens = json!({"model": "cohere/embed-v4.0", "input": [1, 2, 3]});
    let refused = gateway.send(post("/v1/embeddings", &tokens)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["param"].as_str()), (400, Some("input")));
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_clients_have_embeddings_of_openais_kind() {
    let upstream = Upstream::answering(provider).await;
    let gateway = Gateway::before(&upstream).start().await;
    let one = json!({"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 2, "title": "t"});
    let path = "/v1beta/models/openai/text-embedding-3-small:embedContent";
    let answer = gateway.send(post(path, &one)).await;
    assert_eq!(answer.json()["embedding"]["values"], json!([0, 0.5]), "{}", answer.text());
    assert_eq!(answer.json()["usageMetadata"]["promptTokenCount"], 7);
    assert_eq!(answer.headers["tachograph-translation"], "title=dropped");
    assert_eq!(upstream.last().json()["model"], "text-embedding-3-small");
    let many = json!({"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]});
    let path = "/v1beta/models/cohere/embed-v4.0:batchEmbedContents";
    let answer = gateway.send(post(path, &many)).await;
    assert_eq!(answer.json()["embeddings"][1]["values"], json!([1, 0.5]), "{}", answer.text());
    assert_eq!(upstream.last().json()["texts"], json!(["a", "b"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rerankers_are_reached_in_the_shape_that_they_share() {
    let ranked = json!({"id": "r", "results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}});
    let upstream = Upstream::answering(move |_| Reply::json(200, &ranked)).await;
    let gateway = Gateway::before(&upstream).start().await;
    for (model, path) in [("cohere/rerank-v3.5", "/v2/rerank"), ("jina/jina-reranker-v2", "/rerank")] {
        let body = json!({"model": model, "query": "q", "documents": ["a", "b"], "top_n": 1});
        let answer = gateway.send(post("/v1/rerank", &body)).await;
        assert_eq!(answer.json()["results"][0]["index"], 1, "{model}: {}", answer.text());
        assert!(upstream.last().target.ends_with(path), "{}", upstream.last().target);
        assert_eq!(gateway.row(&answer).await["api"], "cohere.rerank");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_here_for_providers_that_do_not_count_and_said_to_be_estimated() {
    let upstream = Upstream::answering(|_| Reply::json(200, &json!({"input_tokens": 3}))).await;
    let gateway = Gateway::before(&upstream).start().await;
    let body =
        |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "How many tokens is this?"}]});
    let counted = gateway.send(post("/v1/messages/count_tokens", &body("openai/gpt-4o-mini"))).await;
    assert_eq!(counted.status, 200, "{}", counted.text());
    assert!(counted.json()["input_tokens"].as_u64().unwrap() > 5);
    assert_eq!(counted.headers["tachograph-estimated"], "tokens");
    assert_eq!(upstream.seen().len(), 0, "nobody was asked");
    let row = gateway.row(&counted).await;
    assert_eq!((&row["outcome"], &row["cost"]["total"]), (&json!("complete"), &Value::Null), "{row:#}");
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "How many?"}]}]});
    let counted = gateway.send(post("/v1beta/models/openai/gpt-4o-mini:countTokens", &google)).await;
    assert!(counted.json()["totalTokens"].as_u64().unwrap() > 2, "{}", counted.text());
    // Who counts is asked.
    let told = gateway.send(post("/v1/messages/count_tokens", &body("anthropic/claude-haiku-4-5"))).await;
    assert_eq!((told.json()["input_tokens"].as_u64(), upstream.seen().len()), (Some(3), 1));
    assert!(told.headers.get("tachograph-estimated").is_none());
}
