"""Realtime sessions: OpenAI's own client and a bare WebSocket, before an upstream that plays a script."""

import json
import threading
import time
import uuid

import openai
import pytest
import websockets.sync.client as sockets
from conftest import KEY, Gateway, Process, program
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.server import serve

USAGE = {
    "total_tokens": 150,
    "input_tokens": 100,
    "output_tokens": 50,
    "input_token_details": {
        "text_tokens": 20,
        "audio_tokens": 80,
        "cached_tokens": 30,
        "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 20},
    },
    "output_token_details": {"text_tokens": 10, "audio_tokens": 40},
}
# 10 text and 60 sound in, 10 and 20 of them from the cache, 10 text and 40 sound out, at the model's prices.
COST = "0.004692"
SOUND = "U" * 4000


class Script:
    """An upstream: greets, and answers each `response.create`; what the last text asks for decides how."""

    def __init__(self):
        self.heads, self.closes, self.heard = [], [], 0
        self.server = serve(self.session, "127.0.0.1", 0, process_request=self.head, select_subprotocol=lambda *_: None)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.socket.getsockname()[1]

    def head(self, connection, request):
        self.heads.append((request.path, {name.lower(): value for name, value in request.headers.raw_items()}))
        if "no-such-model" in request.path:
            body = {"error": {"message": "The model does not exist", "type": "invalid_request_error", "param": None, "code": "model_not_found"}}
            answer = connection.respond(404, json.dumps(body))
            answer.headers["content-type"] = "application/json"
            return answer
        return None

    def session(self, socket):
        say = lambda **event: socket.send(json.dumps(event))
        say(type="session.created", session={"type": "realtime", "model": "gpt-realtime"})
        said = ""
        try:
            for message in socket:
                event = json.loads(message)
                if event["type"] == "input_audio_buffer.append":
                    self.heard += len(event["audio"])
                elif event["type"] == "conversation.item.create":
                    said = event["item"]["content"][0]["text"]
                elif event["type"] == "response.create":
                    self.respond(said, say, socket)
        except ConnectionClosed:
            pass
        self.closes.append(socket.close_code)

    def respond(self, said, say, socket):
        say(type="response.created", response={"id": "resp_1", "status": "in_progress"})
        if said == "refuse":
            say(type="error", error={"type": "invalid_request_error", "code": "unknown", "message": "as the provider said"})
            return say(type="response.done", response={"status": "failed", "output": [], "status_details": {"error": {"type": "server_error", "message": "as the provider said"}}})
        say(type="response.output_audio.delta", item_id="i", response_id="resp_1", delta=SOUND)
        say(type="response.output_audio_transcript.delta", item_id="i", response_id="resp_1", delta="It turns slowly. 速度")
        if said == "close":
            return socket.close(4001, "too long")
        if said == "hang":
            return None
        say(type="response.done", response={"id": "resp_1", "status": "completed", "output": [{"type": "message"}], "usage": USAGE})


@pytest.fixture
def script():
    script = Script()
    yield script
    script.server.shutdown()


@pytest.fixture
def gateway(tmp_path, script, environment):
    providers = {"openai": {"base_url": script.url + "/v1", "api_keys": ["configured-key"]}}
    configuration = {"listen": "127.0.0.1:0", "api_key": KEY, "providers": providers}
    (tmp_path / "tachograph.yaml").write_text(json.dumps(configuration))
    process = Process([program("TACHOGRAPH_GATEWAY")], tmp_path / "gateway.log", cwd=tmp_path, env=environment)
    yield Gateway(process, None)
    process.stop()


class Caller:
    def __init__(self, gateway, path="/v1/realtime?model=gpt-realtime", **more):
        self.call, self.gateway = str(uuid.uuid4()), gateway
        headers = {"Helicone-Request-Id": self.call, **more.pop("headers", {"Authorization": f"Bearer {KEY}"})}
        self.socket = sockets.connect(gateway.url.replace("http", "ws") + path, additional_headers=headers, **more)

    def say(self, said):
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": said}]}
        self.socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        self.socket.send(json.dumps({"type": "response.create"}))

    def until(self, kind):
        while True:
            event = json.loads(self.socket.recv(timeout=20))
            if event["type"] == kind:
                return event

    def row(self):
        return self.gateway.row(self.call)


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_the_official_client_talks_and_its_session_is_priced(gateway, script, base):
    call = str(uuid.uuid4())
    client = openai.OpenAI(base_url=gateway.url + base, api_key=KEY, default_headers={"Helicone-Request-Id": call})
    with client.realtime.connect(model="gpt-realtime", extra_headers={"Helicone-Request-Id": call}) as session:
        for turn in range(2):
            session.input_audio_buffer.append(audio=SOUND)
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How fast?"}]}
            session.conversation.item.create(item=item)
            session.response.create()
            said = ""
            for event in session:
                if event.type == "response.output_audio_transcript.delta":
                    said += event.delta
                if event.type == "response.done":
                    break
            assert said == "It turns slowly. 速度"
    row = gateway.row(call)
    assert (row["api"], row["outcome"], row["status"], row["finish_reason"]) == ("openai.realtime", "complete", 101, "stop")
    assert (row["provider"], row["model"], row["stream"]) == ("openai", "gpt-realtime", True)
    assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (200, 100)
    assert row["cost"]["total"] == "0.009384"
    assert 0 < row["timing"]["first_token_us"] < row["timing"]["end_us"]
    (path, headers), = script.heads
    assert path == "/v1/realtime?model=gpt-realtime"
    assert headers["authorization"] == "Bearer configured-key"
    assert KEY not in json.dumps(headers) and "helicone-request-id" not in headers
    assert script.heard == 2 * len(SOUND)


def test_a_browser_brings_its_key_in_a_subprotocol(gateway, script):
    protocols = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
    caller = Caller(gateway, headers={}, subprotocols=protocols)
    assert caller.socket.subprotocol == "realtime"
    caller.say("How fast?")
    caller.until("response.done")
    caller.socket.close()
    row = caller.row()
    assert (row["outcome"], row["cost"]["total"]) == ("complete", COST)
    assert script.heads[0][1]["openai-beta"] == "realtime=v1"
    assert KEY not in json.dumps(script.heads)


def test_a_key_of_the_callers_own_passes(gateway, script):
    headers = {"Authorization": "Bearer sk-callers-own", "Helicone-Auth": f"Bearer {KEY}"}
    Caller(gateway, "/openai/v1/realtime?model=gpt-realtime", headers=headers).socket.close()
    assert script.heads[0][1]["authorization"] == "Bearer sk-callers-own"


def test_refusals_come_before_the_handshake(gateway, script):
    for path, headers, status, text in [
        ("/v1/realtime?model=gpt-realtime", {"Authorization": "Bearer sk-wrong"}, 401, "invalid_api_key"),
        ("/v1/realtime", {"Authorization": f"Bearer {KEY}"}, 400, "missing_model"),
        ("/v1/realtime?model=anthropic/claude-haiku-4-5", {"Authorization": f"Bearer {KEY}"}, 400, "unsupported_api"),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            Caller(gateway, path, headers=headers)
        assert refused.value.response.status_code == status
        assert text in refused.value.response.body.decode()
    assert script.heads == []
    assert {row["outcome"] for row in gateway.rows(3)} == {"refused"}


def test_a_refusal_of_the_provider_is_the_clients(gateway):
    with pytest.raises(InvalidStatus) as refused:
        Caller(gateway, "/v1/realtime?model=openai/no-such-model")
    assert refused.value.response.status_code == 404
    assert "The model does not exist" in refused.value.response.body.decode()
    (row,) = gateway.rows(1)
    assert (row["outcome"], row["status"]) == ("upstream_failed", 404)


def test_errors_and_close_codes_reach_the_client_and_the_record(gateway, script):
    caller = Caller(gateway)
    caller.say("refuse")
    assert caller.until("error")["error"]["message"] == "as the provider said"
    caller.until("response.done")
    caller.socket.close()
    row = caller.row()
    assert (row["outcome"], row["error"]["message"]) == ("upstream_failed", "as the provider said")

    caller = Caller(gateway)
    caller.say("close")
    with pytest.raises(ConnectionClosed) as closed:
        caller.until("response.done")
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "too long")
    row = caller.row()
    assert (row["outcome"], row["error"]["code"], row["error"]["message"]) == ("upstream_failed", "4001", "too long")


def test_a_client_that_vanishes(gateway, script):
    caller = Caller(gateway)
    caller.say("hang")
    caller.until("response.output_audio.delta")
    caller.socket.socket.shutdown(2)
    assert caller.row()["outcome"] == "client_gone"
    until = time.monotonic() + 10
    while not script.closes and time.monotonic() < until:
        time.sleep(0.02)
    assert script.closes, "the provider's side was left open"


@pytest.mark.parametrize("leaves", [True, False], ids=["said-goodbye", "cut"])
def test_a_session_outlives_the_stop_of_the_gateway_and_is_on_the_record(gateway, script, tmp_path, environment, leaves):
    caller = Caller(gateway)
    caller.say("How fast?")
    caller.until("response.done")
    gateway.process.popen.terminate()
    # The gateway stops, and the session goes on.
    caller.say("And now?")
    caller.until("response.done")
    if leaves:
        caller.socket.close()
    gateway.process.popen.wait(timeout=60)
    again = Process([program("TACHOGRAPH_GATEWAY")], tmp_path / "again.log", cwd=tmp_path, env=environment)
    row = Gateway(again, None).row(caller.call)
    again.stop()
    # All that was asked has been answered to its end.
    assert row["outcome"] == "complete", row
    assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (200, 100)


def test_azures_sessions_are_reached_by_their_own_path(script, tmp_path, environment):
    azure = {"base_url": script.url, "api_keys": ["key-of-azure"], "deployments": {"gpt-realtime": "prod-realtime"}}
    configuration = {"listen": "127.0.0.1:0", "api_key": KEY, "providers": {"azure": azure}}
    (tmp_path / "tachograph.yaml").write_text(json.dumps(configuration))
    process = Process([program("TACHOGRAPH_GATEWAY")], tmp_path / "azure.log", cwd=tmp_path, env=environment)
    gateway = Gateway(process, None)
    for path, arrives in [
        ("/v1/realtime?model=azure/gpt-realtime", "/openai/v1/realtime?model=prod-realtime"),
        ("/azure/openai/v1/realtime?model=prod-realtime", "/openai/v1/realtime?model=prod-realtime"),
        (
            "/azure/openai/realtime?api-version=2024-10-01-preview&deployment=prod-realtime",
            "/openai/realtime?api-version=2024-10-01-preview&deployment=prod-realtime",
        ),
    ]:
        caller = Caller(gateway, path)
        caller.say("How fast?")
        caller.until("response.done")
        caller.socket.close()
        row = caller.row()
        assert (row["provider"], row["api"], row["outcome"]) == ("azure", "openai.realtime", "complete")
        assert row["usage"]["input_tokens"] == 100
        arrived, headers = script.heads[-1]
        assert arrived == arrives
        assert headers["api-key"] == "key-of-azure"
    process.stop()
