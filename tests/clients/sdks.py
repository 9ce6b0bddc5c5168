"""The official clients in Python, each behind the same few verbs, so that one matrix of tests can drive them all."""

import base64
import json
from dataclasses import dataclass, field

import anthropic
import boto3
import cohere
import httpx
import mistralai.client as mistral
import openai
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from cohere.core.api_error import ApiError as CohereError
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as google
from mistralai.client.errors import MistralError

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}


@dataclass
class Answer:
    text: str = ""
    # Ids of calls to what they are given.
    calls: dict = field(default_factory=dict)
    usage: tuple = ()
    finish: str = ""
    # The turn as the client wants it back.
    turn: object = None


@dataclass
class Asked:
    """What is asked, before it is put in a client's words."""

    said: str
    system: str
    tools: bool = False
    picture: bytes = None
    schema: bool = False
    # An earlier answer with calls, and what came of them by id.
    after: Answer = None
    results: dict = None


def joined(pieces):
    return "".join(piece or "" for piece in pieces)


def loaded(calls):
    return {call.id: json.loads(call.function.arguments) for call in calls or []}


def tool():
    return {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA}}


class OpenAi:
    """openai, chat completions."""

    api = "openai.chat"
    error, broken = openai.APIStatusError, openai.APIError
    errors = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        404: openai.NotFoundError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
        529: openai.InternalServerError,
    }
    stops = {"stop": "stop", "tool_calls": "tool_calls"}
    proxied = "/v1"

    def __init__(self, base, key, model, headers):
        self.model = model
        self.client = openai.OpenAI(base_url=base, api_key=key, default_headers=headers, max_retries=0)

    def status(self, error):
        return error.status_code

    def close(self):
        self.client.close()

    def words(self, asked):
        content = asked.said
        if asked.picture:
            url = "data:image/png;base64," + base64.b64encode(asked.picture).decode()
            content = [{"type": "text", "text": asked.said}, {"type": "image_url", "image_url": {"url": url}}]
        messages = [{"role": "system", "content": asked.system}, {"role": "user", "content": content}]
        if asked.after:
            messages.append(asked.after.turn)
            messages += [{"role": "tool", "tool_call_id": id, "content": told} for id, told in asked.results.items()]
        more = {"tools": [tool()]} if asked.tools else {}
        if asked.schema:
            wanted = {"name": "trip", "strict": True, "schema": SCHEMA}
            more["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return {"model": self.model, "messages": messages, **more}

    def read(self, completion):
        (choice,) = completion.choices
        usage = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
        turn = choice.message.to_dict()
        return Answer(choice.message.content or "", loaded(choice.message.tool_calls), usage, choice.finish_reason, turn)

    def chat(self, asked):
        return self.read(self.client.chat.completions.create(**self.words(asked)))

    def stream(self, asked):
        with self.client.chat.completions.stream(**self.words(asked), stream_options={"include_usage": True}) as events:
            return self.read(events.get_final_completion())

    def leave(self, asked):
        stream = self.client.chat.completions.create(**self.words(asked), stream=True)
        first = next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        stream.close()
        return first.choices[0].delta.content

    def embed(self, model, texts):
        made = self.client.embeddings.create(model=model, input=texts)
        return [item.embedding for item in made.data]


class OpenAiResponses(OpenAi):
    """openai, responses."""

    api = "openai.responses"
    stops = {"stop": "completed", "tool_calls": "completed"}
    embed = None

    def words(self, asked):
        content = [{"type": "input_text", "text": asked.said}]
        if asked.picture:
            url = "data:image/png;base64," + base64.b64encode(asked.picture).decode()
            content.append({"type": "input_image", "image_url": url, "detail": "auto"})
        items = [{"role": "user", "content": content}]
        if asked.after:
            items += asked.after.turn
            items += [{"type": "function_call_output", "call_id": id, "output": told} for id, told in asked.results.items()]
        more = {"tools": [{"type": "function", **tool()["function"], "strict": False}]} if asked.tools else {}
        if asked.schema:
            more["text"] = {"format": {"type": "json_schema", "name": "trip", "strict": True, "schema": SCHEMA}}
        return {"model": self.model, "instructions": asked.system, "input": items, **more}

    def read(self, response):
        calls = {item.call_id: json.loads(item.arguments) for item in response.output if item.type == "function_call"}
        turn = [item.to_dict() for item in response.output]
        usage = (response.usage.input_tokens, response.usage.output_tokens)
        return Answer(response.output_text, calls, usage, response.status, turn)

    def chat(self, asked):
        return self.read(self.client.responses.create(**self.words(asked)))

    def stream(self, asked):
        with self.client.responses.stream(**self.words(asked)) as events:
            for event in events:
                if event.type == "error":
                    # The client hands it over as an event like any other.
                    raise openai.APIError(event.message, request=None, body=None)
            return self.read(events.get_final_response())

    def leave(self, asked):
        stream = self.client.responses.create(**self.words(asked), stream=True)
        first = next(event for event in stream if event.type == "response.output_text.delta")
        stream.close()
        return first.delta


class Anthropic:
    api = "anthropic.messages"
    error, broken = anthropic.APIStatusError, anthropic.APIStatusError
    errors = {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        529: anthropic.InternalServerError,
    }
    stops = {"stop": "end_turn", "tool_calls": "tool_use"}
    proxied = ""
    embed = None

    def __init__(self, base, key, model, headers):
        self.model = model
        self.client = anthropic.Anthropic(base_url=base, api_key=key, default_headers=headers, max_retries=0)

    status, close = OpenAi.status, OpenAi.close

    def words(self, asked):
        content = [{"type": "text", "text": asked.said}]
        if asked.picture:
            data = base64.b64encode(asked.picture).decode()
            content.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
        messages = [{"role": "user", "content": content}]
        if asked.after:
            results = [{"type": "tool_result", "tool_use_id": id, "content": told} for id, told in asked.results.items()]
            messages += [{"role": "assistant", "content": asked.after.turn}, {"role": "user", "content": results}]
        more = {"tools": [{"name": "weather", "description": "The weather", "input_schema": SCHEMA}]} if asked.tools else {}
        if asked.schema:
            more["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        return {"model": self.model, "max_tokens": 1000, "system": asked.system, "messages": messages, **more}

    def read(self, message):
        text = joined(block.text for block in message.content if block.type == "text")
        calls = {block.id: block.input for block in message.content if block.type == "tool_use"}
        usage = (message.usage.input_tokens, message.usage.output_tokens)
        return Answer(text, calls, usage, message.stop_reason, [block.to_dict() for block in message.content])

    def chat(self, asked):
        return self.read(self.client.messages.create(**self.words(asked)))

    def stream(self, asked):
        with self.client.messages.stream(**self.words(asked)) as events:
            return self.read(events.get_final_message())

    def leave(self, asked):
        with self.client.messages.stream(**self.words(asked)) as events:
            return next(iter(events.text_stream))


class Google:
    api = "gemini.generateContent"
    error, broken = genai_errors.APIError, genai_errors.APIError
    errors = {
        400: genai_errors.ClientError,
        401: genai_errors.ClientError,
        404: genai_errors.ClientError,
        429: genai_errors.ClientError,
        500: genai_errors.ServerError,
        529: genai_errors.ServerError,
    }
    stops = {"stop": "STOP", "tool_calls": "STOP"}
    proxied = ""

    def __init__(self, base, key, model, headers):
        self.model = model
        options = google.HttpOptions(base_url=base, headers=headers, retry_options=google.HttpRetryOptions(attempts=1))
        self.client = genai.Client(api_key=key, http_options=options)

    def status(self, error):
        return error.code

    def close(self):
        self.client.close()

    def words(self, asked):
        parts = [google.Part.from_text(text=asked.said)]
        if asked.picture:
            parts.append(google.Part.from_bytes(data=asked.picture, mime_type="image/png"))
        contents = [google.Content(role="user", parts=parts)]
        if asked.after:
            results = [
                google.Part(function_response=google.FunctionResponse(id=id, name="weather", response={"output": told}))
                for id, told in asked.results.items()
            ]
            contents += [asked.after.turn, google.Content(role="user", parts=results)]
        config = google.GenerateContentConfig(system_instruction=asked.system)
        if asked.tools:
            declared = google.FunctionDeclaration(name="weather", description="The weather", parameters_json_schema=SCHEMA)
            config.tools = [google.Tool(function_declarations=[declared])]
        if asked.schema:
            config.response_mime_type, config.response_json_schema = "application/json", SCHEMA
        return {"model": self.model, "contents": contents, "config": config}

    def read(self, answers):
        answer, parts = Answer(), []
        for response in answers:
            (candidate,) = response.candidates
            parts += candidate.content.parts or [] if candidate.content else []
            answer.finish = candidate.finish_reason.value if candidate.finish_reason else answer.finish
            if response.usage_metadata and response.usage_metadata.candidates_token_count:
                usage = response.usage_metadata
                answer.usage = (usage.prompt_token_count, usage.candidates_token_count)
        answer.text = joined(part.text for part in parts)
        calls = [part.function_call for part in parts if part.function_call]
        answer.calls = {call.id: dict(call.args or {}) for call in calls}
        answer.turn = google.Content(role="model", parts=[part for part in parts if part.function_call])
        return answer

    def chat(self, asked):
        return self.read([self.client.models.generate_content(**self.words(asked))])

    def stream(self, asked):
        return self.read(self.client.models.generate_content_stream(**self.words(asked)))

    def leave(self, asked):
        stream = self.client.models.generate_content_stream(**self.words(asked))
        first = next(chunk.text for chunk in stream if chunk.text)
        stream.close()
        return first

    def embed(self, model, texts):
        made = self.client.models.embed_content(model=model, contents=texts)
        return [item.values for item in made.embeddings]


class Bedrock:
    """boto3, bedrock-runtime: Converse."""

    api = "bedrock.converse"
    error, broken = ClientError, EventStreamError
    errors = {status: ClientError for status in (400, 401, 404, 429, 500, 529)}
    stops = {"stop": "end_turn", "tool_calls": "tool_use"}
    proxied = ""
    embed = None

    def __init__(self, base, key, model, headers):
        self.model = model
        config = Config(retries={"total_max_attempts": 1}, signature_version="v4")
        self.client = boto3.client("bedrock-runtime", endpoint_url=base, region_name="us-east-1", config=config, aws_access_key_id="none", aws_secret_access_key="none")
        more = {**headers, "Helicone-Auth": f"Bearer {key}"}
        self.client.meta.events.register("before-sign.bedrock-runtime", lambda request, **_: [request.headers.add_header(*item) for item in more.items()])

    def status(self, error):
        return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def close(self):
        self.client.close()

    def words(self, asked):
        content = [{"text": asked.said}]
        if asked.picture:
            content.append({"image": {"format": "png", "source": {"bytes": asked.picture}}})
        messages = [{"role": "user", "content": content}]
        if asked.after:
            results = [{"toolResult": {"toolUseId": id, "content": [{"text": told}]}} for id, told in asked.results.items()]
            messages += [asked.after.turn, {"role": "user", "content": results}]
        more = {}
        if asked.tools:
            spec = {"name": "weather", "description": "The weather", "inputSchema": {"json": SCHEMA}}
            more["toolConfig"] = {"tools": [{"toolSpec": spec}]}
        if asked.schema:
            wanted = {"jsonSchema": {"name": "trip", "schema": json.dumps(SCHEMA)}}
            more["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": wanted}}
        return {"modelId": self.model, "system": [{"text": asked.system}], "messages": messages, **more}

    def read(self, message, usage, stop):
        calls = {block["toolUse"]["toolUseId"]: block["toolUse"]["input"] for block in message["content"] if "toolUse" in block}
        text = joined(block.get("text") for block in message["content"])
        return Answer(text, calls, (usage["inputTokens"], usage["outputTokens"]), stop, message)

    def chat(self, asked):
        answer = self.client.converse(**self.words(asked))
        return self.read(answer["output"]["message"], answer["usage"], answer["stopReason"])

    def stream(self, asked):
        blocks, usage, stop = {}, {}, None
        for event in self.client.converse_stream(**self.words(asked))["stream"]:
            (kind, given), = event.items()
            if kind == "contentBlockStart":
                call = given["start"]["toolUse"]
                blocks[given["contentBlockIndex"]] = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"], "input": ""}}
            elif kind == "contentBlockDelta" and "text" in given["delta"]:
                block = blocks.setdefault(given["contentBlockIndex"], {"text": ""})
                block["text"] += given["delta"]["text"]
            elif kind == "contentBlockDelta":
                blocks[given["contentBlockIndex"]]["toolUse"]["input"] += given["delta"]["toolUse"]["input"]
            elif kind == "messageStop":
                stop = given["stopReason"]
            elif kind == "metadata":
                usage = given["usage"]
        for block in blocks.values():
            if "toolUse" in block:
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
        return self.read({"role": "assistant", "content": list(blocks.values())}, usage, stop)

    def leave(self, asked):
        stream = self.client.converse_stream(**self.words(asked))["stream"]
        first = next(event for event in stream if "contentBlockDelta" in event)
        stream.close()
        return first["contentBlockDelta"]["delta"]["text"]


class Cohere:
    api = "cohere.chat"
    error, broken = CohereError, CohereError
    errors = {
        400: cohere.BadRequestError,
        401: cohere.UnauthorizedError,
        404: cohere.NotFoundError,
        429: cohere.TooManyRequestsError,
        500: cohere.InternalServerError,
        529: CohereError,
    }
    stops = {"stop": "COMPLETE", "tool_calls": "TOOL_CALL"}
    proxied = ""

    def __init__(self, base, key, model, headers):
        self.model = model
        self.http = httpx.Client(headers=headers, timeout=30)
        self.client = cohere.ClientV2(api_key=key, base_url=base, httpx_client=self.http, max_retries=0)

    status = OpenAi.status

    def close(self):
        self.http.close()

    def words(self, asked):
        words = OpenAi.words(self, asked)
        if asked.schema:
            words["response_format"] = {"type": "json_object", "json_schema": SCHEMA}
        return words

    def read(self, answer):
        message, usage = answer.message, answer.usage.tokens
        calls = loaded(message.tool_calls)
        turn = {"role": "assistant", "tool_calls": [call.dict() for call in message.tool_calls or []]}
        text = joined(part.text for part in message.content or [])
        return Answer(text, calls, (usage.input_tokens, usage.output_tokens), answer.finish_reason, turn)

    def chat(self, asked):
        return self.read(self.client.chat(**self.words(asked)))

    def stream(self, asked):
        answer, calls = Answer(), {}
        for event in self.client.chat_stream(**self.words(asked)):
            if event.type == "content-delta":
                answer.text += event.delta.message.content.text
            elif event.type == "tool-call-start":
                call = event.delta.message.tool_calls
                calls[event.index] = [call.id, call.function.arguments or ""]
            elif event.type == "tool-call-delta":
                calls[event.index][1] += event.delta.message.tool_calls.function.arguments
            elif event.type == "message-end":
                answer.finish = event.delta.finish_reason
                if event.delta.finish_reason == "ERROR":
                    # Cohere's client hands the error over and raises nothing.
                    raise CohereError(body=event.delta.error)
                usage = event.delta.usage.tokens
                answer.usage = (usage.input_tokens, usage.output_tokens)
        answer.calls = {id: json.loads(text) for id, text in calls.values()}
        return answer

    def leave(self, asked):
        stream = self.client.chat_stream(**self.words(asked))
        first = next(event for event in stream if event.type == "content-delta")
        stream.close()
        return first.delta.message.content.text

    def embed(self, model, texts):
        made = self.client.embed(model=model, texts=texts, input_type="search_document", embedding_types=["float"])
        return made.embeddings.float_


class Mistral(OpenAi):
    """mistralai. It calls /v1/chat/completions behind its base."""

    api = "openai.chat"
    error, broken = MistralError, MistralError
    errors = {status: MistralError for status in (400, 401, 404, 429, 500, 529)}
    proxied = ""

    def __init__(self, base, key, model, headers):
        self.model = model
        self.http = httpx.Client(headers=headers, timeout=30)
        self.client = mistral.Mistral(api_key=key, server_url=base, client=self.http)

    def close(self):
        self.http.close()

    def read(self, completion):
        (choice,) = completion.choices
        calls = {call.id: json.loads(call.function.arguments) for call in choice.message.tool_calls or []}
        usage = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
        turn = choice.message.model_dump(exclude_none=True, exclude_unset=True)
        return Answer(choice.message.content or "", calls, usage, choice.finish_reason, turn)

    def chat(self, asked):
        return self.read(self.client.chat.complete(**self.words(asked)))

    def stream(self, asked):
        answer, calls = Answer(), {}
        for event in self.client.chat.stream(**self.words(asked)):
            for choice in event.data.choices:
                answer.text += choice.delta.content or ""
                answer.finish = choice.finish_reason or answer.finish
                for call in choice.delta.tool_calls or []:
                    held = calls.setdefault(call.index, [call.id, ""])
                    held[1] += call.function.arguments
            if event.data.usage:
                answer.usage = (event.data.usage.prompt_tokens, event.data.usage.completion_tokens)
        answer.calls = {id: json.loads(text) for id, text in calls.values()}
        return answer

    def leave(self, asked):
        with self.client.chat.stream(**self.words(asked)) as stream:
            return next(event.data.choices[0].delta.content for event in stream if event.data.choices[0].delta.content)

    def embed(self, model, texts):
        return [item.embedding for item in self.client.embeddings.create(model=model, inputs=texts).data]
