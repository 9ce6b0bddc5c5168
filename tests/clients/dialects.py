"""The wire formats of six providers, as their upstreams speak them.

Each dialect reads a request into plain facts and writes one of a few fixed answers: as a document, as a stream, as an
error. Every answer uses 500 input and 300 output tokens, so that what it costs is a matter of the model's price alone.
"""

import base64
import json
import struct
import zlib

INPUT, OUTPUT = 500, 300
TEXT = "The tachograph turns slowly. 速度は一定です 🚚"
PIECES = ["The tachograph", " turns slowly.", " 速度は", "一定です", " 🚚"]
# Two calls of one tool; the second without what may be left out.
CALLS = [("call_A1b2C3d4", {"city": "Köln", "days": 3}), ("call_E5f6G7h8", {"city": "東京"})]
JSON_TEXT = '{"city":"Köln","days":3}'
VECTOR = [0.5, -0.25, 0.125]


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(events, name=None, end=None):
    for event in events:
        head = f"event: {event[name]}\n" if name else ""
        yield f"{head}data: {compact(event)}\n\n".encode()
    if end:
        yield f"data: {end}\n\n".encode()


def answer_of(scenario):
    """The text and the calls that a scenario is answered with."""
    calls = {"tools": CALLS[:1], "parallel": CALLS}.get(scenario, [])
    if calls:
        return [], calls
    return ([JSON_TEXT] if scenario == "schema" else PIECES), []


def data_of(url):
    head, _, data = url.partition(",")
    return base64.b64decode(data) if head.startswith("data:") else url


class Facts:
    """What a request says, whatever its dialect."""

    def __init__(self):
        self.system, self.texts, self.images = "", [], []
        self.tools, self.schema, self.results, self.calls = {}, None, {}, {}
        self.stream = False


class OpenAiChat:
    """Chat completions: OpenAI's, Mistral's, and everybody else's."""

    name = "openai.chat"

    def read(self, body, path):
        facts = Facts()
        facts.stream = bool(body.get("stream"))
        for message in body["messages"]:
            content = message.get("content") or []
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            text = "".join(part.get("text", "") for part in parts if part["type"] == "text")
            if message["role"] in ("system", "developer"):
                facts.system += text
            elif message["role"] == "tool":
                facts.results[message["tool_call_id"]] = text
            elif message["role"] == "user":
                facts.texts.append(text)
                for part in parts:
                    if part["type"] == "image_url":
                        url = part["image_url"]
                        facts.images.append(data_of(url if isinstance(url, str) else url["url"]))
            for call in message.get("tool_calls") or []:
                facts.calls[call["id"]] = json.loads(call["function"]["arguments"])
        for tool in body.get("tools") or []:
            facts.tools[tool["function"]["name"]] = tool["function"]["parameters"]
        if (body.get("response_format") or {}).get("type") == "json_schema":
            facts.schema = body["response_format"]["json_schema"]["schema"]
        self.wants_usage = (body.get("stream_options") or {}).get("include_usage", False)
        return facts

    def usage(self):
        return {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}

    def head(self, model):
        return {"id": "chatcmpl-1", "created": 1_795_000_000, "model": model}

    def document(self, scenario, model):
        texts, calls = answer_of(scenario)
        message = {"role": "assistant", "content": "".join(texts) or None}
        if calls:
            message["tool_calls"] = [self.call(*call) for call in calls]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        return {**self.head(model), "object": "chat.completion", "choices": [choice], "usage": self.usage()}

    def call(self, id, arguments):
        return {"id": id, "type": "function", "function": {"name": "weather", "arguments": compact(arguments)}}

    def stream(self, scenario, model):
        texts, calls = answer_of(scenario)
        head = {**self.head(model), "object": "chat.completion.chunk"}
        deltas = [{"role": "assistant", "content": ""}] + [{"content": text} for text in texts]
        for index, (id, arguments) in enumerate(calls):
            whole = compact(arguments)
            cut = len(whole) if self.whole_calls else 7
            start = {"name": "weather", "arguments": whole[:cut]}
            deltas.append({"tool_calls": [{"index": index, "id": id, "type": "function", "function": start}]})
            if whole[cut:]:
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": whole[cut:]}}]})
        chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        finish = "tool_calls" if calls else "stop"
        chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if self.always_usage:
            chunks[-1]["usage"] = self.usage()
        elif self.wants_usage:
            chunks.append({**head, "choices": [], "usage": self.usage()})
        return sse(chunks, end="[DONE]")

    always_usage = whole_calls = False

    def error(self, status, message):
        kind = {429: "rate_limit_error", 404: "not_found_error"}.get(status, "invalid_request_error")
        return {"error": {"message": message, "type": kind if status < 500 else "server_error", "param": None, "code": None}}

    def error_event(self, message):
        return sse([{"error": {"message": message, "type": "server_error", "param": None, "code": None}}])

    def embeddings(self, body, model):
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        vector = VECTOR
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
        data = [{"object": "embedding", "index": index, "embedding": vector} for index, _ in enumerate(texts)]
        return {"id": "emb-1", "object": "list", "model": model, "data": data, "usage": {"prompt_tokens": INPUT, "total_tokens": INPUT}}


class MistralChat(OpenAiChat):
    """As OpenAI's, but usage comes unasked with the last chunk, calls come whole, and errors have another shape."""

    name = "mistral.chat"
    always_usage = whole_calls = True

    def error(self, status, message):
        return {"object": "error", "message": message, "type": "invalid_request_error", "param": None, "code": "1500"}


class OpenAiResponses:
    name = "openai.responses"

    def read(self, body, path):
        facts = Facts()
        facts.stream = bool(body.get("stream"))
        facts.system = body.get("instructions") or ""
        items = body["input"]
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
            if item.get("type") == "function_call":
                facts.calls[item["call_id"]] = json.loads(item["arguments"])
            elif item.get("type") == "function_call_output":
                facts.results[item["call_id"]] = item["output"]
            elif "role" in item:
                parts = item["content"]
                parts = [{"type": "input_text", "text": parts}] if isinstance(parts, str) else parts
                text = "".join(part.get("text", "") for part in parts)
                if item["role"] in ("system", "developer"):
                    facts.system += text
                elif item["role"] == "user":
                    facts.texts.append(text)
                    facts.images += [data_of(part["image_url"]) for part in parts if part["type"] == "input_image"]
        facts.tools = {tool["name"]: tool["parameters"] for tool in body.get("tools") or [] if tool["type"] == "function"}
        facts.schema = ((body.get("text") or {}).get("format") or {}).get("schema")
        return facts

    def items(self, scenario):
        texts, calls = answer_of(scenario)
        if texts:
            part = {"type": "output_text", "text": "".join(texts), "annotations": []}
            yield {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        for id, arguments in calls:
            call = {"call_id": id, "name": "weather", "arguments": compact(arguments), "status": "completed"}
            yield {"id": f"fc_{id}", "type": "function_call", **call}

    def response(self, model, **more):
        settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "metadata": {}}
        head = {"id": "resp_1", "object": "response", "created_at": 1_795_000_000, "model": model}
        return {**head, "incomplete_details": None, "instructions": None, **settings, **more}

    def document(self, scenario, model):
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        usage = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT, **details}
        return self.response(model, status="completed", output=list(self.items(scenario)), usage=usage)

    def events(self, scenario, model):
        under_way = self.response(model, status="in_progress", output=[])
        yield {"type": "response.created", "response": under_way}
        for index, item in enumerate(self.items(scenario)):
            at = {"output_index": index, "item_id": item["id"]}
            empty = {"content": []} if item["type"] == "message" else {"arguments": ""}
            yield {"type": "response.output_item.added", "output_index": index, "item": {**item, "status": "in_progress", **empty}}
            if item["type"] == "message":
                at["content_index"] = 0
                part = item["content"][0]
                yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
                for text in answer_of(scenario)[0]:
                    yield {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []}
                yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
                yield {"type": "response.content_part.done", **at, "part": part}
            else:
                whole = item["arguments"]
                for piece in (whole[:7], whole[7:]):
                    yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
                yield {"type": "response.function_call_arguments.done", **at, "name": "weather", "arguments": whole}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": "response.completed", "response": self.document(scenario, model)}

    def stream(self, scenario, model):
        numbered = ({**event, "sequence_number": at} for at, event in enumerate(self.events(scenario, model)))
        return sse(numbered, name="type")

    error = OpenAiChat.error

    def error_event(self, message):
        return sse([{"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": 9}], name="type")


class AnthropicMessages:
    name = "anthropic.messages"

    def read(self, body, path):
        facts = Facts()
        facts.stream = bool(body.get("stream"))
        assert body["max_tokens"] > 0
        system = body.get("system") or ""
        facts.system = system if isinstance(system, str) else "".join(block["text"] for block in system)
        for message in body["messages"]:
            blocks = message["content"]
            for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks:
                if block["type"] == "text" and message["role"] == "user":
                    facts.texts.append(block["text"])
                elif block["type"] == "image":
                    facts.images.append(base64.b64decode(block["source"]["data"]))
                elif block["type"] == "tool_use":
                    facts.calls[block["id"]] = block["input"]
                elif block["type"] == "tool_result":
                    content = block["content"]
                    parts = [content] if isinstance(content, str) else [part["text"] for part in content]
                    facts.results[block["tool_use_id"]] = "".join(parts)
        facts.tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools") or []}
        facts.schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        return facts

    def head(self, model, **more):
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
        return {**head, "content": [], "stop_reason": None, "stop_sequence": None, **more}

    def blocks(self, scenario):
        texts, calls = answer_of(scenario)
        blocks = [{"type": "text", "text": "".join(texts)}] if texts else []
        return blocks + [{"type": "tool_use", "id": id, "name": "weather", "input": given} for id, given in calls]

    def document(self, scenario, model):
        blocks = self.blocks(scenario)
        stop = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
        usage = {"input_tokens": INPUT, "output_tokens": OUTPUT}
        return self.head(model, content=blocks, stop_reason=stop, usage=usage)

    def events(self, scenario, model):
        yield {"type": "message_start", "message": self.head(model, usage={"input_tokens": INPUT, "output_tokens": 1})}
        yield {"type": "ping"}
        for index, block in enumerate(self.blocks(scenario)):
            empty = {"text": ""} if block["type"] == "text" else {"input": {}}
            yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
            if block["type"] == "text":
                deltas = [{"type": "text_delta", "text": text} for text in answer_of(scenario)[0]]
            else:
                whole = compact(block["input"])
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", whole[:7], whole[7:])]
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        stop = "tool_use" if answer_of(scenario)[1] else "end_turn"
        delta = {"stop_reason": stop, "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUTPUT}}
        yield {"type": "message_stop"}

    def stream(self, scenario, model):
        return sse(self.events(scenario, model), name="type")

    KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}

    def error(self, status, message):
        return {"type": "error", "error": {"type": self.KINDS.get(status, "api_error"), "message": message}}

    def error_event(self, message):
        return sse([self.error(529, message)], name="type")


class Gemini:
    name = "gemini.generateContent"

    def read(self, body, path):
        facts = Facts()
        facts.stream = ":stream" in path
        system = body.get("systemInstruction") or {}
        facts.system = "".join(part["text"] for part in system.get("parts", []))
        ids = {}
        for content in body["contents"]:
            for part in content["parts"]:
                if "text" in part and content.get("role", "user") == "user":
                    facts.texts.append(part["text"])
                elif "inlineData" in part:
                    # Google's clients write base64 as URLs do.
                    facts.images.append(base64.urlsafe_b64decode(part["inlineData"]["data"].replace("+", "-").replace("/", "_")))
                elif "functionCall" in part:
                    call = part["functionCall"]
                    id = call.get("id") or CALLS[len(ids)][0]
                    ids[len(ids)] = id
                    facts.calls[id] = call.get("args", {})
                elif "functionResponse" in part:
                    response = part["functionResponse"]
                    id = response.get("id") or ids[len(facts.results)]
                    told = response["response"]
                    facts.results[id] = told if isinstance(told, str) else str(next(iter(told.values())))
        for tool in body.get("tools") or []:
            for declared in tool["functionDeclarations"]:
                facts.tools[declared["name"]] = declared.get("parametersJsonSchema") or declared.get("parameters_json_schema") or declared["parameters"]
        config = body.get("generationConfig") or {}
        facts.schema = config.get("responseJsonSchema") or config.get("responseSchema")
        return facts

    def piece(self, model, parts, **more):
        return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **more}], "modelVersion": model}

    def usage(self):
        return {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT, "totalTokenCount": INPUT + OUTPUT}

    def calls(self, scenario):
        return [{"functionCall": {"id": id, "name": "weather", "args": given}} for id, given in answer_of(scenario)[1]]

    def document(self, scenario, model):
        texts = answer_of(scenario)[0]
        parts = [{"text": "".join(texts)}] if texts else self.calls(scenario)
        return {**self.piece(model, parts, finishReason="STOP"), "usageMetadata": self.usage()}

    def stream(self, scenario, model):
        pieces = [self.piece(model, [{"text": text}]) for text in answer_of(scenario)[0]]
        pieces += [self.piece(model, [call]) for call in self.calls(scenario)]
        pieces.append({**self.piece(model, [{"text": ""}], finishReason="STOP"), "usageMetadata": self.usage()})
        return (piece.replace(b"\n", b"\r\n") for piece in sse(pieces))

    STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}

    def error(self, status, message):
        return {"error": {"code": status, "message": message, "status": self.STATUS.get(status, "INTERNAL")}}

    def error_event(self, message):
        return sse([self.error(503, message)])

    def embeddings(self, body, model):
        if "requests" in body:
            return {"embeddings": [{"values": VECTOR} for _ in body["requests"]], "usageMetadata": {"promptTokenCount": INPUT}}
        return {"embedding": {"values": VECTOR}, "usageMetadata": {"promptTokenCount": INPUT}}


class Bedrock:
    name = "bedrock.converse"
    media_type = "application/vnd.amazon.eventstream"

    def read(self, body, path):
        facts = Facts()
        facts.stream = path.endswith("-stream")
        facts.system = "".join(block["text"] for block in body.get("system") or [])
        for message in body["messages"]:
            for block in message["content"]:
                if "text" in block and message["role"] == "user":
                    facts.texts.append(block["text"])
                elif "image" in block:
                    facts.images.append(base64.b64decode(block["image"]["source"]["bytes"]))
                elif "toolUse" in block:
                    facts.calls[block["toolUse"]["toolUseId"]] = block["toolUse"]["input"]
                elif "toolResult" in block:
                    parts = block["toolResult"]["content"]
                    text = "".join(part.get("text") or next(iter(part["json"].values())) for part in parts)
                    facts.results[block["toolResult"]["toolUseId"]] = text
        for tool in (body.get("toolConfig") or {}).get("tools", []):
            facts.tools[tool["toolSpec"]["name"]] = tool["toolSpec"]["inputSchema"]["json"]
        structure = (body.get("outputConfig") or {}).get("textFormat", {}).get("structure", {})
        facts.schema = json.loads(structure["jsonSchema"]["schema"]) if structure else None
        return facts

    def blocks(self, scenario):
        texts, calls = answer_of(scenario)
        blocks = [{"text": "".join(texts)}] if texts else []
        return blocks + [{"toolUse": {"toolUseId": id, "name": "weather", "input": given}} for id, given in calls]

    def usage(self):
        return {"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT}

    def document(self, scenario, model):
        stop = "tool_use" if answer_of(scenario)[1] else "end_turn"
        message = {"role": "assistant", "content": self.blocks(scenario)}
        return {"output": {"message": message}, "stopReason": stop, "usage": self.usage(), "metrics": {"latencyMs": 7}}

    def stream(self, scenario, model):
        yield frame("messageStart", {"role": "assistant"})
        for index, block in enumerate(self.blocks(scenario)):
            if "text" in block:
                deltas = [{"text": text} for text in answer_of(scenario)[0]]
            else:
                call = block["toolUse"]
                start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
                yield frame("contentBlockStart", {"contentBlockIndex": index, "start": start})
                whole = compact(call["input"])
                deltas = [{"toolUse": {"input": piece}} for piece in (whole[:7], whole[7:])]
            for delta in deltas:
                yield frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
            yield frame("contentBlockStop", {"contentBlockIndex": index})
        yield frame("messageStop", {"stopReason": "tool_use" if answer_of(scenario)[1] else "end_turn"})
        yield frame("metadata", {"usage": self.usage(), "metrics": {"latencyMs": 7}})

    KINDS = {400: "ValidationException", 401: "UnrecognizedClientException", 404: "ResourceNotFoundException", 429: "ThrottlingException", 503: "ServiceUnavailableException"}

    def error(self, status, message):
        return {"message": message}

    def error_headers(self, status):
        return {"x-amzn-errortype": self.KINDS.get(status, "InternalServerException")}

    def error_event(self, message):
        yield frame("throttlingException", {"message": message}, kind="exception")


def frame(name, payload, kind="event"):
    """One frame of Amazon's event stream: lengths, their check, headers, payload, the check of it all."""
    named = {":message-type": kind, f":{kind}-type": name, ":content-type": "application/json"}
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in named.items()
    )
    payload = compact(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


class Cohere:
    name = "cohere.chat"

    def read(self, body, path):
        facts = OpenAiChat().read({**body, "response_format": None}, path)
        wanted = body.get("response_format") or {}
        facts.schema = wanted.get("json_schema") or wanted.get("schema")
        for message in body["messages"]:
            if message["role"] == "tool" and isinstance(message["content"], list):
                documents = [part["document"]["data"] if part["type"] == "document" else part["text"] for part in message["content"]]
                facts.results[message["tool_call_id"]] = documents[0] if isinstance(documents[0], str) else next(iter(documents[0].values()))
        return facts

    def usage(self):
        tokens = {"input_tokens": INPUT, "output_tokens": OUTPUT}
        return {"billed_units": tokens, "tokens": tokens}

    def finish(self, scenario):
        return "TOOL_CALL" if answer_of(scenario)[1] else "COMPLETE"

    def document(self, scenario, model):
        texts, calls = answer_of(scenario)
        message = {"role": "assistant"}
        if texts:
            message["content"] = [{"type": "text", "text": "".join(texts)}]
        if calls:
            message["tool_calls"] = [OpenAiChat().call(*call) for call in calls]
        return {"id": "c14c80c3", "message": message, "finish_reason": self.finish(scenario), "usage": self.usage()}

    def events(self, scenario, model):
        texts, calls = answer_of(scenario)
        yield {"type": "message-start", "id": "c14c80c3", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}
        if texts:
            yield {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}
            for text in texts:
                yield {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}
            yield {"type": "content-end", "index": 0}
        for index, (id, given) in enumerate(calls):
            whole = compact(given)
            function = {"name": "weather", "arguments": ""}
            yield {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": {"id": id, "type": "function", "function": function}}}}
            for piece in (whole[:7], whole[7:]):
                yield {"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": {"function": {"arguments": piece}}}}}
            yield {"type": "tool-call-end", "index": index}
        yield {"type": "message-end", "delta": {"finish_reason": self.finish(scenario), "usage": self.usage()}}

    def stream(self, scenario, model):
        return sse(self.events(scenario, model), name="type", end="[DONE]")

    def error(self, status, message):
        return {"id": "4f1a", "message": message}

    def error_event(self, message):
        return sse([{"type": "message-end", "id": "c14c80c3", "delta": {"finish_reason": "ERROR", "error": message}}], name="type")

    def embeddings(self, body, model):
        texts = body.get("texts") or body.get("inputs")
        billed = {"billed_units": {"input_tokens": INPUT}}
        return {"id": "e1", "embeddings": {"float": [VECTOR for _ in texts]}, "texts": body.get("texts") or [], "meta": {"api_version": {"version": "2"}, **billed}, "response_type": "embeddings_by_type"}
