"""OpenAI's own client, before the AI gateway and before the provider proxy."""

import json

import openai
import pytest
from conftest import KEY, golden

TEXT = "The tachograph turns slowly. 速度は一定です 🚚"
MESSAGES = [{"role": "user", "content": "How fast does it turn?"}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
# Where the client points, the model it names, the provider that serves, and what its upstream's goldens are called.
WAYS = {
    "gateway-openai": ("/v1", "openai/gpt-4o-mini", "openai", "openai-chat", "openai-tools", "0.000255"),
    "gateway-claude": ("/v1", "anthropic/claude-haiku-4-5", "anthropic", "anthropic-messages", "anthropic-tools", "0.001933"),
    "proxy": ("/openai/v1", "gpt-4o-mini", "openai", "openai-chat", "openai-tools", "0.000255"),
}


class Way:
    def __init__(self, gateway, name):
        base, self.model, self.provider, self.chat, self.tools, self.cost = WAYS[name]
        self.gateway = gateway
        self.upstream = gateway.upstream
        self.client = openai.OpenAI(base_url=gateway.url + base, api_key=KEY, max_retries=0)

    def create(self, **more):
        return self.client.chat.completions.create(model=self.model, messages=MESSAGES, max_tokens=50, **more)


@pytest.fixture(params=WAYS)
def way(request, gateway):
    return Way(gateway, request.param)


def check_row(way, **expected):
    (row,) = way.gateway.rows(1)
    assert row["provider"] == way.provider
    assert row["cost"]["total"] == way.cost
    assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (500, 300)
    for name, value in expected.items():
        assert row[name] == value
    return row


def test_chat(way):
    way.upstream.document(way.chat + ".json")
    answer = way.client.chat.completions.with_raw_response.create(model=way.model, messages=MESSAGES, max_tokens=50)
    completion = answer.parse()
    assert completion.choices[0].message.content == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (500, 300)
    row = check_row(way, outcome="complete", stream=False, finish_reason="stop")
    assert row["id"] == answer.headers["helicone-id"]


def test_stream(way):
    way.upstream.stream(way.chat + ".sse", every_ms=5)
    chunks = list(way.create(stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"
    row = check_row(way, outcome="complete", stream=True)
    assert row["timing"]["first_token_us"] < row["timing"]["end_us"]


def test_stream_with_usage(way):
    way.upstream.stream(way.chat + ".sse")
    chunks = list(way.create(stream=True, stream_options={"include_usage": True}))
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (500, 300, 800)
    check_row(way)


def test_tools(way):
    way.upstream.document(way.tools + ".json")
    completion = way.create(tools=[WEATHER])
    calls = completion.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Köln", "days": 3}, {"city": "東京"}]
    assert completion.choices[0].finish_reason == "tool_calls"
    check_row(way, finish_reason="tool_calls")


def test_tools_streamed_through_the_clients_own_accumulator(way):
    way.upstream.stream(way.tools + ".sse")
    stream = way.client.chat.completions.stream(model=way.model, messages=MESSAGES, max_tokens=50, tools=[WEATHER])
    with stream as events:
        completion = events.get_final_completion()
    calls = completion.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Köln", "days": 3}, {"city": "東京"}]
    assert len({call.id for call in calls}) == 2


ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


@pytest.mark.parametrize("status", ERRORS)
def test_errors_of_the_provider_are_the_clients_own_exceptions(way, status):
    if way.provider == "anthropic":
        body = {"type": "error", "error": {"type": "api_error", "message": "as the provider said"}}
    else:
        body = {"error": {"message": "as the provider said", "type": "x", "param": None, "code": "y"}}
    way.upstream.error(status, body, retry_after="7")
    with pytest.raises(ERRORS[status]) as raised:
        way.create()
    assert raised.value.status_code == status
    assert "as the provider said" in raised.value.message
    assert raised.value.response.headers["retry-after"] == "7"
    (row,) = way.gateway.rows(1)
    assert (row["status"], row["outcome"]) == (status, "upstream_failed")


def test_errors_of_the_gateway_are_the_clients_own_exceptions(gateway):
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert raised.value.code == "invalid_api_key"
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no-such-model-17", messages=MESSAGES)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    assert [row["outcome"] for row in gateway.rows(2)] == ["refused", "refused"]
    assert gateway.upstream.seen() == []


def test_an_error_inside_a_stream_is_raised(way):
    if way.provider == "anthropic":
        event = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    else:
        event = 'data: {"error":{"message":"Overloaded","type":"server_error","param":null,"code":null}}\n\n'
    events = golden(way.chat + ".sse").split("\n\n")
    way.upstream.reply(body="\n\n".join(events[:5]) + "\n\n" + event, events=True)
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(way.create(stream=True))
    (row,) = way.gateway.rows(1)
    assert row["outcome"] == "upstream_failed"


def test_a_stream_that_breaks_off_is_raised(way):
    way.upstream.stream(way.chat + ".sse", cut_after=6)
    with pytest.raises(openai.APIError):
        list(way.create(stream=True))
    (row,) = way.gateway.rows(1)
    assert row["outcome"] == "cut_short"


def test_leaving_in_the_middle_of_a_stream(way):
    way.upstream.stream(way.chat + ".sse", every_ms=100)
    stream = way.create(stream=True)
    next(iter(stream))
    stream.close()
    way.client.close()
    (row,) = way.gateway.rows(1)
    assert (row["outcome"], row["status"]) == ("client_gone", 200)


def test_attribution_by_headers(way):
    way.upstream.document(way.chat + ".json")
    way.create(extra_headers={"Helicone-User-Id": "ada", "Helicone-Property-Team": "blue"})
    row = check_row(way, user="ada")
    assert {name.lower(): value for name, value in row["properties"].items()} == {"team": "blue"}
    (seen,) = way.upstream.seen()
    assert not [name for name in seen["headers"] if name.startswith("helicone")]
    assert KEY not in json.dumps(seen)


def test_other_endpoints_pass(gateway):
    client = openai.OpenAI(base_url=gateway.url + "/openai/v1", api_key=KEY, max_retries=0)
    gateway.upstream.reply(
        headers={"content-type": "application/json"},
        body=json.dumps({
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }),
    )
    embedded = client.embeddings.create(model="text-embedding-3-small", input="x", encoding_format="float")
    assert embedded.data[0].embedding == [0.5, -0.25]
    (row,) = gateway.rows(1)
    assert row["outcome"] == "complete"
