"""Every client, through the gateway, to its own provider and to others'.

One list says who calls whom; one function a feature. Each asserts what the client gives and what the record says.
"""

import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
import sdks
from conftest import KEY, Gateway, Process, Upstream, fetch, program
from dialects import CALLS, INPUT, JSON_TEXT, OUTPUT, TEXT, VECTOR
from provider import PICTURE, RESULTS, SYSTEM
from sdks import Answer, Asked

# Each provider: what it is asked for, and what 500 tokens in and 300 out cost there.
TARGETS = {
    "openai": ("gpt-4o-mini", "0.000255"),
    "anthropic": ("claude-haiku-4-5", "0.002"),
    "gemini": ("gemini-2.5-flash", "0.0009"),
    "bedrock": ("anthropic.claude-haiku-4-5-20251001-v1:0", "0.0022"),
    "cohere": ("command-a-03-2025", "0.00425"),
    "mistral": ("mistral-large-2411", "0.0028"),
}
EMBEDDERS = {
    "openai": ("text-embedding-3-small", "0.00001"),
    "gemini": ("gemini-embedding-001", "0.000075"),
    "cohere": ("embed-v4.0", "0.00006"),
    "mistral": ("mistral-embed", "0.00005"),
}
# Each client, where it is at home, and where it goes abroad.
CLIENTS = {
    "openai": (sdks.OpenAi, "openai", ("anthropic", "gemini", "bedrock", "cohere", "mistral")),
    "openai-responses": (sdks.OpenAiResponses, "openai", ("anthropic", "gemini")),
    "anthropic": (sdks.Anthropic, "anthropic", ("openai", "gemini", "bedrock")),
    "google-genai": (sdks.Google, "gemini", ("openai", "anthropic")),
    "boto3": (sdks.Bedrock, "bedrock", ("openai", "anthropic")),
    "cohere": (sdks.Cohere, "cohere", ("openai", "anthropic")),
    "mistralai": (sdks.Mistral, "mistral", ("openai", "anthropic")),
}


@dataclass
class Way:
    """A client, the provider that it calls, and whether by that provider's own path."""

    client: str
    provider: str
    proxied: bool

    @property
    def is_abroad(self):
        return self.provider != CLIENTS[self.client][1]

    def __str__(self):
        return f"{self.client}-{'proxied' if self.proxied else 'to'}-{self.provider}"


# What a client cannot read of another provider's streams through OpenAI's format, which is all that it speaks.
UNREADABLE = {
    "mistralai": {
        "usage": "it never asks for usage, which OpenAI's format then leaves out; the record has it",
        "tools": "it demands the tool's name on every piece of a call, where OpenAI's format names it once",
    },
}


def ways():
    for client, (_, home, abroad) in CLIENTS.items():
        yield Way(client, home, proxied=True)
        for provider in (home, *abroad):
            yield Way(client, provider, proxied=False)


def embedding_ways():
    return [way for way in ways() if CLIENTS[way.client][0].embed and way.provider in EMBEDDERS]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    place = tmp_path_factory.mktemp("matrix")
    upstream = Process([sys.executable, str(Path(__file__).with_name("provider.py"))], place / "upstream.log")
    provider = Upstream(upstream)
    keys = {"api_keys": ["configured-key"]}
    providers = {name: {"base_url": f"{provider.url}/at-{name}", **keys} for name in TARGETS}
    configuration = {"listen": "127.0.0.1:0", "api_key": KEY, "providers": providers}
    (place / "tachograph.yaml").write_text(json.dumps(configuration))
    process = Process([program("TACHOGRAPH_GATEWAY")], place / "gateway.log", cwd=place)
    yield Gateway(process, provider)
    process.stop()
    upstream.stop()


class Calling:
    """One client under test, and the one row that its call makes."""

    def __init__(self, gateway, way):
        self.gateway, self.way, self.sdk = gateway, way, CLIENTS[way.client][0]
        self.opened = []

    def client(self, model=None):
        self.call = str(uuid.uuid4())
        name = model or TARGETS[self.way.provider][0]
        base = self.gateway.url + (f"/{self.way.provider}" if self.way.proxied else "") + self.sdk.proxied
        model = name if self.way.proxied else f"{self.way.provider}/{name}"
        client = self.sdk(base, KEY, model, {"Helicone-Request-Id": self.call})
        self.opened.append(client)
        return client

    def ask(self, scenario, **more):
        return Asked(f"What is it? scenario:{scenario}", SYSTEM, **more)

    def row(self, **expected):
        row = self.gateway.row(self.call)
        assert {name: row[name] for name in expected} == expected, row
        assert row["provider"] == self.way.provider
        return row

    def check(self, answer, finish, stream):
        assert answer.finish == self.sdk.stops[finish]
        assert answer.usage == (() if stream and self.unreadable("usage") else (INPUT, OUTPUT))
        row = self.row(outcome="complete", status=200, api=self.api(stream), stream=stream)
        assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (INPUT, OUTPUT)
        assert row["cost"]["total"] == TARGETS[self.way.provider][1]
        assert row["finish_reason"] == finish

    def unreadable(self, what):
        """Why the client cannot read this of a stream, if it cannot."""
        return self.way.is_abroad and UNREADABLE.get(self.way.client, {}).get(what)

    def api(self, stream):
        return "bedrock.converse-stream" if stream and self.sdk.api == "bedrock.converse" else self.sdk.api


@pytest.fixture(params=list(ways()), ids=str)
def calling(request, gateway):
    calling = Calling(gateway, request.param)
    yield calling
    for client in calling.opened:
        client.close()


@pytest.fixture(params=["whole", "streamed"])
def verb(request):
    """How an answer is asked for, and whether that is a stream."""
    return ("stream", True) if request.param == "streamed" else ("chat", False)


def test_chat(calling, verb):
    ask, stream = verb
    answer = getattr(calling.client(), ask)(calling.ask("chat"))
    assert answer.text == TEXT
    calling.check(answer, "stop", stream)


@pytest.mark.parametrize("scenario, count", [("tools", 1), ("parallel", 2)])
def test_tools(calling, verb, scenario, count):
    ask, stream = verb
    if stream and calling.unreadable("tools"):
        with pytest.raises(Exception, match="function.name"):
            calling.client().stream(calling.ask(scenario, tools=True))
        return
    answer = getattr(calling.client(), ask)(calling.ask(scenario, tools=True))
    assert list(answer.calls.values()) == [given for _, given in CALLS[:count]]
    assert len(set(answer.calls)) == count and all(answer.calls)
    calling.check(answer, "tool_calls", stream)


def test_results_of_parallel_calls_go_back_to_their_calls(calling):
    answer = calling.client().chat(calling.ask("parallel", tools=True))
    results = dict(zip(answer.calls, RESULTS.values(), strict=True))
    answer = calling.client().chat(calling.ask("results", tools=True, after=answer, results=results))
    assert answer.text == TEXT
    calling.check(answer, "stop", stream=False)


def test_pictures(calling):
    assert calling.client().chat(calling.ask("image", picture=PICTURE)).text == TEXT
    calling.row(outcome="complete")


def test_schemas(calling, verb):
    ask, stream = verb
    answer = getattr(calling.client(), ask)(calling.ask("schema", schema=True))
    assert answer.text == JSON_TEXT
    calling.check(answer, "stop", stream)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
def test_errors(calling, status):
    with pytest.raises(calling.sdk.errors[status]) as raised:
        calling.client().chat(calling.ask(f"error:{status}"))
    assert calling.sdk.status(calling.opened[-1], raised.value) == status
    assert "as the provider said" in str(raised.value)
    row = calling.row(outcome="upstream_failed", status=status)
    assert "as the provider said" in row["error"]["message"]


def test_errors_inside_streams(calling):
    # Mistral's client raises at an error, its own provider's as well as another's, but does not show it.
    text = "validation" if calling.way.client in UNREADABLE else "as the provider said"
    with pytest.raises(calling.sdk.broken, match=text):
        calling.client().stream(calling.ask("broken"))
    row = calling.row(outcome="upstream_failed")
    assert "as the provider said" in row["error"]["message"]


def test_leaving_in_the_middle_of_a_stream(calling):
    client = calling.client()
    assert TEXT.startswith(client.leave(calling.ask("slow")))
    client.close()
    calling.row(outcome="client_gone", status=200)


@pytest.mark.parametrize("calling", embedding_ways(), ids=str, indirect=True)
def test_embeddings(calling):
    model, cost = EMBEDDERS[calling.way.provider]
    client = calling.client(model)
    made = client.embed(client.model, ["one", "two"])
    assert [list(vector) for vector in made] == [VECTOR, VECTOR]
    row = calling.row(outcome="complete", status=200)
    assert row["usage"]["input_tokens"] == INPUT
    assert row["cost"]["total"] == cost
