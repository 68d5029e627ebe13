"""The APIs of models that the stand-in speaks: how a request is read, and how a call or the end of a turn is written."""

import json
from dataclasses import dataclass

END = "That is all."


@dataclass
class Request:
    tools: list  # {"name", "schema"}, and what else a provider is told of each
    results: list  # of the calls so far, as text


def text_of(content):
    """A result as the model reads it: text as it is, everything else as JSON."""
    if isinstance(content, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
        return "\n".join(part["text"] for part in content)
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def event(data, name=None):
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n"


class Chat:
    """OpenAI's chat completions, which most other providers have too."""

    @staticmethod
    def read(body):
        tools = []
        for tool in body.get("tools") or []:
            function = tool["function"]
            tools.append({"name": function["name"], "schema": function.get("parameters"), "strict": function.get("strict", False)})
        results = []
        for message in body["messages"]:
            text = text_of(message["content"])
            # smolagents gives results as what the user says.
            if message["role"] == "tool" or (message["role"] == "user" and text.startswith(("Observation:", "Error:", "Call id:"))):
                results.append(text)
        return Request(tools, results)

    @staticmethod
    def is_streamed(_, body):
        return body.get("stream", False)

    @staticmethod
    def message(call, number):
        if call is None:
            return {"role": "assistant", "content": END}
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, "id": number, "type": "function", "function": function}]}

    @classmethod
    def whole(cls, call, number, member="message", kind="chat.completion"):
        reason = "stop" if call is None else "tool_calls"
        choice = {"index": 0, member: cls.message(call, number), "finish_reason": reason}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return {"id": number, "object": kind, "created": 1, "model": "stand-in", "choices": [choice], "usage": usage}

    @classmethod
    def stream(cls, call, number):
        yield event(cls.whole(call, number, "delta", "chat.completion.chunk"))
        yield "data: [DONE]\n\n"


class Responses:
    """OpenAI's responses."""

    @staticmethod
    def read(body):
        tools = []
        for tool in body.get("tools") or []:
            # Some put the tools of a server together under its name.
            for function in tool["tools"] if tool["type"] == "namespace" else [tool]:
                if function["type"] == "function":
                    tools.append({"name": function["name"], "schema": function.get("parameters"), "strict": function.get("strict", False)})
        items = body["input"] if isinstance(body["input"], list) else []
        return Request(tools, [text_of(item["output"]) for item in items if item.get("type") == "function_call_output"])

    @staticmethod
    def is_streamed(_, body):
        return body.get("stream", False)

    @staticmethod
    def item(call, number):
        if call is None:
            part = {"type": "output_text", "text": END, "annotations": []}
            return {"type": "message", "id": number, "role": "assistant", "status": "completed", "content": [part]}
        return {"type": "function_call", "id": f"fc_{number}", "call_id": number, "name": call[0], "arguments": json.dumps(call[1]), "status": "completed"}

    @classmethod
    def whole(cls, call, number, status="completed"):
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        return {
            "id": f"resp_{number}", "object": "response", "created_at": 1, "status": status, "model": "stand-in", "error": None,
            "output": [cls.item(call, number)] if status == "completed" else [], "parallel_tool_calls": False, "tool_choice": "auto",
            "tools": [], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, **details},
        }  # fmt: skip

    @classmethod
    def stream(cls, call, number):
        item = cls.item(call, number)
        events = [
            {"type": "response.created", "response": cls.whole(call, number, "in_progress")},
            {"type": "response.output_item.added", "output_index": 0, "item": item | {"status": "in_progress"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": cls.whole(call, number)},
        ]
        for order, data in enumerate(events):
            yield event(data | {"sequence_number": order}, data["type"])


class Messages:
    """Anthropic's messages."""

    @staticmethod
    def read(body):
        tools = [{"name": tool["name"], "schema": tool.get("input_schema")} for tool in body.get("tools") or [] if "input_schema" in tool]
        parts = [part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]]
        return Request(tools, [text_of(part.get("content")) for part in parts if part["type"] == "tool_result"])

    @staticmethod
    def is_streamed(_, body):
        return body.get("stream", False)

    @staticmethod
    def block(call, number):
        if call is None:
            return {"type": "text", "text": END}
        return {"type": "tool_use", "id": f"toolu_{number}", "name": call[0], "input": call[1]}

    @classmethod
    def whole(cls, call, number):
        reason = "end_turn" if call is None else "tool_use"
        return {
            "id": f"msg_{number}", "type": "message", "role": "assistant", "model": "stand-in", "content": [cls.block(call, number)],
            "stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        }  # fmt: skip

    @classmethod
    def stream(cls, call, number):
        message = cls.whole(call, number)
        block = cls.block(call, number)
        if call is None:
            empty, delta = block | {"text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty, delta = block | {"input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events = [
            {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
        for data in events:
            yield event(data, data["type"])


class Gemini:
    """Gemini's generateContent and streamGenerateContent."""

    @staticmethod
    def read(body):
        tools = []
        for group in body.get("tools") or []:
            for function in group.get("functionDeclarations") or []:
                # Names are written in either way of protobuf's JSON, and a schema as OpenAPI's or as JSON Schema.
                members = {name.replace("_", "").lower(): value for name, value in function.items()}
                schema = members.get("parameters") or members.get("parametersjsonschema")
                answer = members.get("response") or members.get("responsejsonschema")
                tools.append({"name": function["name"], "schema": schema, "answer": answer})
        parts = [part for content in body["contents"] for part in content.get("parts") or []]
        return Request(tools, [text_of(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part])

    @staticmethod
    def is_streamed(path, _):
        return ":streamGenerateContent" in path

    @staticmethod
    def whole(call, _):
        part = {"text": END} if call is None else {"functionCall": {"name": call[0], "args": call[1]}}
        candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stand-in"}

    @classmethod
    def stream(cls, call, number):
        yield event(cls.whole(call, number))


DIALECTS = {"/chat/completions": Chat, "/responses": Responses, "/messages": Messages, "enerateContent": Gemini}


def of(path):
    """The dialect of a path, or None."""
    path = path.partition("?")[0]
    return next((dialect for end, dialect in DIALECTS.items() if path.endswith(end)), None)
