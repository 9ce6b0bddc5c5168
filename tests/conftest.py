"""The gateway as clients in Python meet it: the real program, before an upstream that answers as it is told.

`tests/run` gives the two programs by TACHOGRAPH_GATEWAY and TACHOGRAPH_MOCK_UPSTREAM.
"""

import json
import os
import queue
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest

KEY = "sk-tachograph-00112233445566778899aabbccddeeff0011223344556677"
GOLDENS = Path(__file__).parent / "goldens"
PATIENCE = 30.0


def golden(name):
    return (GOLDENS / name).read_text(encoding="utf-8")


def program(variable):
    path = os.environ.get(variable)
    if not path:
        pytest.fail(f"{variable} does not name the program to test; run tests/run")
    return path


class Process:
    """A program under way, and what it says on its standard output."""

    def __init__(self, arguments, log, **more):
        self.log = log
        with open(log, "wb") as errors:
            self.popen = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, **more
            )
        self.lines = queue.Queue(maxsize=1000)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.popen.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def wait_for(self, text):
        """What stands behind `text` in the first line that holds it."""
        until = time.monotonic() + PATIENCE
        while True:
            line = self.lines.get(timeout=max(0.01, until - time.monotonic()))
            if line is None:
                pytest.fail(f"ended without saying {text!r}: {Path(self.log).read_text()}")
            if text in line:
                return line.split(text, 1)[1].strip()

    def stop(self):
        self.popen.terminate()
        try:
            self.popen.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def fetch(url, body=None, key=None):
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=PATIENCE) as answer:
        return json.load(answer)


class Upstream:
    """Answers with the replies that were put to it, in order."""

    def __init__(self, process):
        self.process = process
        self.url = "http://" + process.wait_for("listening on ")

    def reply(self, **reply):
        fetch(self.url + "/_mock/replies", reply)

    def document(self, name, **more):
        self.reply(body=golden(name), headers={"content-type": "application/json"}, **more)

    def stream(self, name, **more):
        self.reply(body=golden(name), events=True, **more)

    def error(self, status, body, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply(status=status, body=json.dumps(body), headers={"content-type": "application/json", **headers})

    def seen(self):
        return fetch(self.url + "/_mock/seen")["requests"]


class Gateway:
    def __init__(self, process, upstream):
        self.process = process
        self.upstream = upstream
        self.url = process.wait_for("Tachograph listens on ")
        self.login = process.wait_for("logs you in once): ")

    def rows(self, count):
        """The latest rows, once there are so many."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            rows = fetch(self.url + "/api/requests?limit=1000", key=KEY)["rows"]
            if len(rows) >= count:
                break
            time.sleep(0.02)
        assert len(rows) == count, f"{len(rows)} rows instead of {count}"
        return rows

    def row(self, call):
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return fetch(f"{self.url}/api/requests/{call}", key=KEY)
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > until:
                    raise
            time.sleep(0.02)


@pytest.fixture
def upstream(tmp_path):
    process = Process([program("TACHOGRAPH_MOCK_UPSTREAM")], tmp_path / "upstream.log")
    yield Upstream(process)
    process.stop()


@pytest.fixture
def environment():
    """Nothing of this process's environment but what programs need to be found."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


@pytest.fixture
def configuration(tmp_path, upstream):
    providers = {
        name: {"base_url": f"{upstream.url}/at-{name}", "api_keys": [f"configured-key-of-{name}"]}
        for name in ("openai", "anthropic")
    }
    # JSON is YAML.
    path = tmp_path / "tachograph.yaml"
    path.write_text(json.dumps({"listen": "127.0.0.1:0", "api_key": KEY, "providers": providers}))
    return path


@pytest.fixture
def gateway(tmp_path, upstream, environment, configuration):
    process = Process([program("TACHOGRAPH_GATEWAY")], tmp_path / "gateway.log", cwd=tmp_path, env=environment)
    yield Gateway(process, upstream)
    process.stop()
