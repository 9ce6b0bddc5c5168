"""An upstream that is six providers at once, each at a path of its own and in its own dialect.

`python provider.py` prints `listening on 127.0.0.1:PORT` and ends when its standard input does. What a request is answered
with stands in the request: a text such as `scenario:tools`, `scenario:error:429` or `scenario:slow`. A request that does
not hold what its scenario must hold (the tool, the picture, the schema, both results) is answered 400 with the reason, so
that whatever is lost on the way shows in the client. `GET /_seen` gives what came and how many callers left early.
"""

import json
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dialects

SYSTEM = "Answer briefly."
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000201"
    "5d00ff2f0000000049454e44ae426082"
)
RESULTS = {"call_A1b2C3d4": "18 degrees", "call_E5f6G7h8": "24 degrees"}
SCENARIO = re.compile(r"scenario:([a-z-]+)(?::(\d+))?")

CHAT, RESPONSES, MISTRAL = dialects.OpenAiChat, dialects.OpenAiResponses, dialects.MistralChat
# Which dialect is spoken at which path.
PATHS = [
    (r"/at-openai(/v1)?/chat/completions", CHAT),
    (r"/at-openai(/v1)?/responses", RESPONSES),
    (r"/at-openai(/v1)?/embeddings", CHAT),
    (r"/at-anthropic/v1/messages", dialects.AnthropicMessages),
    (r"/at-gemini/v1(beta)?/models/(?P<model>.+):(generateContent|streamGenerateContent|embedContent|batchEmbedContents)", dialects.Gemini),
    (r"/at-bedrock/model/(?P<model>.+)/(converse|converse-stream)", dialects.Bedrock),
    (r"/at-cohere/v2/(chat|embed)", dialects.Cohere),
    (r"/at-mistral(/v1)?/(chat/completions|embeddings)", MISTRAL),
]
PATHS = [(re.compile(pattern), dialect) for pattern, dialect in PATHS]


def complaint(scenario, facts):
    """What a request of this scenario lacks, if anything."""
    if scenario not in " ".join(facts.texts):
        return f"the user's text is not where it belongs: {facts.texts}"
    if facts.system != SYSTEM:
        return f"the system's text is {facts.system!r}"
    if scenario in ("tools", "parallel", "results"):
        city = facts.tools.get("weather", {}).get("properties", {}).get("city", {})
        if str(city.get("type")).lower() != "string":
            return f"the tool is not declared: {facts.tools}"
    if scenario == "image" and facts.images != [PICTURE]:
        return f"the picture is not the one that was sent: {facts.images}"
    if scenario == "schema" and set((facts.schema or {}).get("properties", {})) != {"city", "days"}:
        return f"the schema is {facts.schema}"
    if scenario == "results" and list(facts.calls.values()) != [given for _, given in dialects.CALLS]:
        return f"the calls came back as {facts.calls}"
    if scenario == "results" and list(facts.results.values()) != list(RESULTS.values()):
        return f"the results are {facts.results}"
    if scenario == "results" and list(facts.results) != list(facts.calls):
        return f"the results are of {list(facts.results)}, the calls of {list(facts.calls)}"
    return None


class Desk:
    def __init__(self):
        self.lock, self.seen, self.left = threading.Lock(), [], 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        with self.server.desk.lock:
            self.document(200, {"requests": self.server.desk.seen, "left": self.server.desk.left})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        with self.server.desk.lock:
            self.server.desk.seen.append({"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}})
        path = urllib.parse.unquote(self.path.split("?")[0])
        found = [(pattern.fullmatch(path), dialect) for pattern, dialect in PATHS if pattern.fullmatch(path)]
        if not found:
            return self.document(404, {"error": {"message": f"nothing is at {path}"}})
        (match, dialect), dialect = found[0], found[0][1]()
        body = json.loads(raw)
        model = match.groupdict().get("model") or body["model"]
        if "embed" in path:
            return self.document(200, dialect.embeddings(body, model))
        said = SCENARIO.findall(json.dumps(body, ensure_ascii=False))
        scenario, number = said[-1] if said else ("none", "")
        if scenario == "error":
            return self.error(dialect, int(number), "as the provider said")
        try:
            facts = dialect.read(body, path)
            wrong = complaint(scenario, facts)
        except Exception as error:
            wrong = f"{dialect.name} does not read this: {error!r} in {raw.decode()}"
        if wrong:
            return self.error(dialect, 400, wrong)
        if not facts.stream:
            if scenario == "slow":
                self.wait_until_left()
            return self.document(200, dialect.document(scenario, model))
        pieces = list(dialect.stream(scenario, model))
        if scenario == "broken":
            pieces = pieces[: len(pieces) // 2] + list(dialect.error_event("as the provider said"))
        self.stream(pieces, dialect, slow=scenario == "slow")

    def wait_until_left(self):
        self.connection.settimeout(20)
        try:
            gone = self.connection.recv(1) == b""
        except TimeoutError:
            gone = False
        with self.server.desk.lock:
            self.server.desk.left += gone

    def document(self, status, body, headers=()):
        data = dialects.compact(body).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def error(self, dialect, status, message):
        more = dialect.error_headers(status) if hasattr(dialect, "error_headers") else {}
        self.document(status, dialect.error(status, message), {**more, "retry-after": "7"})

    def stream(self, pieces, dialect, slow):
        self.send_response(200)
        self.send_header("content-type", getattr(dialect, "media_type", "text/event-stream"))
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for at, piece in enumerate(pieces):
                if slow and at:
                    time.sleep(0.1)
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
            with self.server.desk.lock:
                self.server.desk.left += 1


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.desk = Desk()
    print(f"listening on 127.0.0.1:{server.server_address[1]}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
