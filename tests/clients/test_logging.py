"""Clients that log their calls themselves, by base URL alone: Helicone's helpers, and OpenLLMetry's instrumentations."""

import json
import time

import pytest
from conftest import KEY, golden

MESSAGES = [{"role": "user", "content": "How fast does it turn?"}]
HEADERS = {
    "Helicone-User-Id": "ada",
    "Helicone-Session-Id": "s1",
    "Helicone-Session-Path": "/plan",
    "Helicone-Property-Team": "blue",
}


def check(row, origin="logged"):
    assert (row["origin"], row["provider"], row["cost"]["total"]) == (origin, "openai", "0.000255")
    assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (500, 300)
    assert row["user"] == "ada"
    assert row["session"]["id"] == "s1"


@pytest.mark.parametrize("provider", ["openai", None])
def test_helicone_helpers(gateway, provider):
    from helicone_helpers import HeliconeManualLogger

    logger = HeliconeManualLogger(api_key=KEY, logging_endpoint=gateway.url)
    answer = json.loads(golden("openai-chat.json"))
    logger.send_log(
        provider=provider,
        request={"model": "gpt-4o-mini", "messages": MESSAGES},
        response=answer,
        options={"start_time": time.time() - 1, "end_time": time.time(), "additional_headers": HEADERS},
    )
    (row,) = gateway.rows(1)
    check(row)
    assert row["properties"]["team"] == "blue"
    assert row["session"]["path"] == "/plan"
    assert 900_000 < row["timing"]["end_us"] < 1_100_000


def test_helicone_helpers_log_a_stream_and_a_tool(gateway):
    from helicone_helpers import HeliconeManualLogger

    logger = HeliconeManualLogger(api_key=KEY, headers=HEADERS, logging_endpoint=gateway.url)
    options = {"start_time": time.time() - 1, "end_time": time.time(), "time_to_first_token_ms": 12.5}
    events = [line[6:] for line in golden("openai-chat.sse").splitlines() if line.startswith("data: {")]
    request = {"model": "gpt-4o-mini", "stream": True, "messages": MESSAGES}
    logger.send_log(provider="openai", request=request, response="\n".join(events), options=options)
    (row,) = gateway.rows(1)
    check(row)
    assert row["stream"] and row["timing"]["first_token_us"] == 12_500
    tool = {"_type": "tool", "toolName": "weather", "input": {"city": "Köln"}}
    logger.send_log(provider=None, request=tool, response={"ok": True}, options=options)
    tool = next(row for row in gateway.rows(2) if row["step"] == "tool")
    assert (tool["name"], tool["model"]) == ("weather", "tool:weather")


@pytest.fixture
def exporter(gateway):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    endpoint = f"{gateway.url}/v1/traces"
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, headers={"authorization": f"Bearer {KEY}"}))
    )
    yield provider
    provider.shutdown()


def test_a_langchain_run_traced_by_openllmetry(gateway, exporter):
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    instrumentor = LangchainInstrumentor()
    instrumentor.instrument(tracer_provider=exporter)
    try:
        gateway.upstream.document("openai-chat.json")
        # The application asks its provider itself: only its spans come here.
        model = ChatOpenAI(model="gpt-4o-mini", base_url=gateway.upstream.url, api_key="x", max_retries=0)
        chain = ChatPromptTemplate.from_messages([("system", "Be brief"), ("human", "{question}")]) | model
        metadata = {"user_id": "ada", "session_id": "s1", "team": "blue"}
        chain.invoke({"question": "How fast does it turn?"}, config={"metadata": metadata})
        exporter.force_flush()
    finally:
        instrumentor.uninstrument()
    rows = gateway.rows(3)
    (call,) = [row for row in rows if row["step"] == "model"]
    check(call, origin="span")
    assert call["properties"]["team"] == "blue"
    (root,) = [row for row in rows if row["parent_span_id"] is None]
    assert {row["trace_id"] for row in rows} == {root["trace_id"]}
    assert call["parent_span_id"] == root["span_id"]
    asked = gateway.row(call["id"])["conversation"]
    assert "How fast does it turn?" in json.dumps(asked)


def test_a_call_through_the_gateway_traced_by_openllmetry_is_counted_once(gateway, exporter):
    import openai
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=exporter)
    try:
        gateway.upstream.document("openai-chat.json")
        client = openai.OpenAI(base_url=gateway.url + "/openai/v1", api_key=KEY, max_retries=0)
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, user="ada")
        exporter.force_flush()
    finally:
        instrumentor.uninstrument()
    rows = {row["origin"]: row for row in gateway.rows(2)}
    assert rows["gateway"]["parent_span_id"] == rows["span"]["span_id"]
    assert rows["span"]["control"]["counted_by"] == rows["gateway"]["id"]
    assert rows["gateway"]["cost"]["total"] == "0.000255"


def test_a_call_told_over_grpc_with_its_messages_as_logs_is_one_row(gateway):
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    to = {"endpoint": gateway.url, "insecure": True, "headers": (("authorization", f"Bearer {KEY}"),)}
    spans, logs = TracerProvider(), LoggerProvider()
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**to)))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**to)))
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 500,
        "gen_ai.usage.output_tokens": 300,
        "user.id": "ada",
        "session.id": "s1",
    }
    with spans.get_tracer("a test").start_as_current_span("chat gpt-4o-mini", attributes=attributes):
        logger = logs.get_logger("a test")
        logger.emit(LogRecord(event_name="gen_ai.user.message", body={"content": "How fast does it turn?"}))
        message = {"role": "assistant", "content": "33 or 45 times a minute."}
        body = {"index": 0, "finish_reason": "stop", "message": message}
        logger.emit(LogRecord(event_name="gen_ai.choice", body=body))
    logs.force_flush()
    spans.force_flush()
    (row,) = gateway.rows(1)
    check(row, origin="span")
    told = gateway.row(row["id"])
    assert "How fast does it turn?" in json.dumps(told["request"])
    assert "33 or 45 times a minute." in json.dumps(told["response"])
    spans.shutdown()
    logs.shutdown()
