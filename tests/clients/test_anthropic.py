"""Anthropic's own client, before the provider proxy and before the AI gateway."""

import anthropic
import pytest
from conftest import KEY, golden

TEXT = "The tachograph turns slowly. 速度は一定です 🚚"
MESSAGES = [{"role": "user", "content": "How fast does it turn?"}]
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
# Where the client points, the model it names, the provider that serves, and what its upstream's goldens are called.
WAYS = {
    "proxy": ("/anthropic", "claude-haiku-4-5", "anthropic", "anthropic-messages", "anthropic-tools", "0.001933"),
    "gateway-claude": ("", "claude-haiku-4-5", "anthropic", "anthropic-messages", "anthropic-tools", "0.001933"),
    "gateway-openai": ("", "openai/gpt-4o-mini", "openai", "openai-chat", "openai-tools", "0.000255"),
}


class Way:
    def __init__(self, gateway, name):
        base, self.model, self.provider, self.chat, self.tools, self.cost = WAYS[name]
        self.gateway = gateway
        self.upstream = gateway.upstream
        self.client = anthropic.Anthropic(base_url=gateway.url + base, api_key=KEY, max_retries=0)

    def create(self, **more):
        return self.client.messages.create(model=self.model, messages=MESSAGES, max_tokens=50, **more)

    def stream(self, **more):
        return self.client.messages.stream(model=self.model, messages=MESSAGES, max_tokens=50, **more)


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


def check_usage(way, usage):
    read = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    assert (read, usage.output_tokens) == (500, 300)


def test_message(way):
    way.upstream.document(way.chat + ".json")
    message = way.create()
    assert [block.text for block in message.content] == [TEXT]
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    check_usage(way, message.usage)
    check_row(way, outcome="complete", stream=False, finish_reason="stop")


def test_stream(way):
    way.upstream.stream(way.chat + ".sse", every_ms=5)
    with way.stream() as stream:
        assert "".join(stream.text_stream) == TEXT
        message = stream.get_final_message()
    assert message.stop_reason == "end_turn"
    check_usage(way, message.usage)
    row = check_row(way, outcome="complete", stream=True)
    assert row["timing"]["first_token_us"] < row["timing"]["end_us"]


def test_tools(way):
    way.upstream.document(way.tools + ".json")
    message = way.create(tools=[WEATHER])
    calls = [block.input for block in message.content if block.type == "tool_use"]
    assert calls == [{"city": "Köln", "days": 3}, {"city": "東京"}]
    assert message.stop_reason == "tool_use"
    check_row(way, finish_reason="tool_calls")


def test_tools_streamed(way):
    way.upstream.stream(way.tools + ".sse")
    with way.stream(tools=[WEATHER]) as stream:
        message = stream.get_final_message()
    calls = [block.input for block in message.content if block.type == "tool_use"]
    assert calls == [{"city": "Köln", "days": 3}, {"city": "東京"}]
    assert message.stop_reason == "tool_use"


ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
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
    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["message"] == "as the provider said"
    (row,) = way.gateway.rows(1)
    assert (row["status"], row["outcome"]) == (status, "upstream_failed")


@pytest.mark.parametrize("base", ["", "/anthropic"])
def test_errors_of_the_gateway_are_the_clients_own_exceptions(gateway, base):
    client = anthropic.Anthropic(base_url=gateway.url + base, api_key="sk-ant-wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as raised:
        client.messages.create(model="claude-haiku-4-5", messages=MESSAGES, max_tokens=5)
    assert raised.value.body["error"]["type"] == "authentication_error"
    (row,) = gateway.rows(1)
    assert row["outcome"] == "refused"


def test_a_model_that_nobody_serves(gateway):
    client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(model="no-such-model-17", messages=MESSAGES, max_tokens=5)
    assert raised.value.body["error"]["type"] == "not_found_error"
    gateway.rows(1)


def test_an_error_inside_a_stream_is_raised(way):
    if way.provider == "anthropic":
        event = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    else:
        event = 'data: {"error":{"message":"Overloaded","type":"server_error","param":null,"code":null}}\n\n'
    events = golden(way.chat + ".sse").split("\n\n")
    way.upstream.reply(body="\n\n".join(events[:5]) + "\n\n" + event, events=True)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"), way.stream() as stream:
        stream.get_final_message()
    (row,) = way.gateway.rows(1)
    assert row["outcome"] == "upstream_failed"


def test_a_stream_that_breaks_off_is_raised(way):
    way.upstream.stream(way.chat + ".sse", cut_after=6)
    with pytest.raises(anthropic.APIStatusError), way.stream() as stream:
        stream.get_final_message()
    (row,) = way.gateway.rows(1)
    assert row["outcome"] == "cut_short"


def test_leaving_in_the_middle_of_a_stream(way):
    way.upstream.stream(way.chat + ".sse", every_ms=100)
    with way.stream() as stream:
        next(iter(stream.text_stream))
    way.client.close()
    (row,) = way.gateway.rows(1)
    assert (row["outcome"], row["status"]) == ("client_gone", 200)


def test_a_login_token_of_the_callers_own_passes_beside_our_key(gateway):
    gateway.upstream.document("anthropic-messages.json")
    client = anthropic.Anthropic(
        base_url=gateway.url + "/anthropic",
        api_key=None,
        auth_token="sk-ant-oat-callers-own",
        default_headers={"Helicone-Auth": f"Bearer {KEY}"},
        max_retries=0,
    )
    client.messages.create(model="claude-haiku-4-5", messages=MESSAGES, max_tokens=5)
    (seen,) = gateway.upstream.seen()
    assert seen["headers"]["authorization"] == "Bearer sk-ant-oat-callers-own"
    assert "x-api-key" not in seen["headers"] and "helicone-auth" not in seen["headers"]


def test_counting_tokens_passes(gateway):
    gateway.upstream.reply(headers={"content-type": "application/json"}, body='{"input_tokens": 17}')
    client = anthropic.Anthropic(base_url=gateway.url + "/anthropic", api_key=KEY, max_retries=0)
    assert client.messages.count_tokens(model="claude-haiku-4-5", messages=MESSAGES).input_tokens == 17
    (row,) = gateway.rows(1)
    assert row["outcome"] == "complete"
