"""A silent stream's signs of life, as the official clients' own parsers read them: not at all (hard case 13)."""

import json
import socket

import anthropic
import openai
import pytest
from conftest import KEY

TEXT = "The tachograph turns slowly. 速度は一定です 🚚"
MESSAGES = [{"role": "user", "content": "How fast does it turn?"}]


@pytest.fixture
def configuration(configuration):
    held = json.loads(configuration.read_text())
    configuration.write_text(json.dumps({**held, "streams": {"keep_alive": "50ms"}}))
    return configuration


def pings(gateway, path, body):
    """How many comments stand in the bytes of one stream."""
    host, port = gateway.url.removeprefix("http://").split(":")
    sent = json.dumps({**body, "stream": True, "messages": MESSAGES, "max_tokens": 50}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\ncontent-length: {len(sent)}\r\n\r\n"
    read = b""
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(head.encode() + sent)
        while piece := line.recv(65536):
            read += piece
    return read.count(b": ping\n\n")


@pytest.mark.parametrize("model,stream", [("openai/gpt-4o-mini", "openai-chat"), ("anthropic/claude-haiku-4-5", "anthropic-messages")])
def test_hard_case_13_openais_parser_skips_comments(gateway, upstream, model, stream):
    upstream.stream(stream + ".sse", every_ms=200)
    assert pings(gateway, "/v1/chat/completions", {"model": model}) >= 3, "there is nothing to skip"
    upstream.stream(stream + ".sse", every_ms=200)
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
    chunks = list(client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=50, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert all(row["outcome"] == "complete" for row in gateway.rows(2))


@pytest.mark.parametrize("model,stream", [("claude-haiku-4-5", "anthropic-messages"), ("openai/gpt-4o-mini", "openai-chat")])
def test_hard_case_13_anthropics_parser_skips_comments(gateway, upstream, model, stream):
    upstream.stream(stream + ".sse", every_ms=200)
    assert pings(gateway, "/v1/messages", {"model": model}) >= 3, "there is nothing to skip"
    upstream.stream(stream + ".sse", every_ms=200)
    client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
    with client.messages.stream(model=model, messages=MESSAGES, max_tokens=50) as events:
        assert "".join(events.text_stream) == TEXT
        assert events.get_final_message().usage.output_tokens == 300
    assert all(row["outcome"] == "complete" for row in gateway.rows(2))
