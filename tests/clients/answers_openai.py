"""OpenAI's dialect: chat completions, responses, embeddings, files, batches, models."""

import base64
import json
import struct

from script import CALL_ID, TOOL, USAGE, VECTOR, Events, pieces

CHAT_USAGE = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}


def route(request, _url):
    """What answers the request, given the script and the JSON that was asked; `None` if nothing does."""
    path = request.path.removeprefix("/v1")
    if path == "/files" and request.method == "POST":
        return lambda script, asked: files(request)
    routes = {
        "/chat/completions": chat,
        "/responses": responses,
        "/embeddings": embeddings,
        "/batches": batches,
        "/models": lambda script, asked: MODELS,
    }
    return routes.get(path)


def chat(script, asked):
    wants_tool = asked.get("tools") and not any(m["role"] == "tool" for m in asked["messages"])
    name, arguments = script.call([tool.get("function", {}).get("name") for tool in asked.get("tools", [])], asked)
    arguments = json.dumps(arguments)
    call = {"id": CALL_ID, "type": "function", "function": {"name": name, "arguments": arguments}}
    base = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
    reason = "tool_calls" if wants_tool else "stop"
    if not asked.get("stream"):
        message = {"role": "assistant", "content": None if wants_tool else script.text(asked)}
        if wants_tool:
            message["tool_calls"] = [call]
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return base | {"object": "chat.completion", "choices": [choice], "usage": CHAT_USAGE}

    def chunk(delta, finish=None):
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    chunks = [chunk({"role": "assistant", "content": ""})]
    if wants_tool:
        chunks.append(chunk({"tool_calls": [call | {"index": 0, "function": {"name": name, "arguments": ""}}]}))
        for part in pieces(arguments):
            chunks.append(chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
    else:
        chunks += [chunk({"content": part}) for part in pieces(script.text(asked))]
    chunks.append(chunk({}, reason))
    if (asked.get("stream_options") or {}).get("include_usage"):
        chunks.append({"choices": [], "usage": CHAT_USAGE})
    head = base | {"object": "chat.completion.chunk"}
    return Events((head | chunk for chunk in chunks), named=False, end=b"[DONE]")


def responses(script, asked):
    model = asked.get("model", "scripted-1")
    items = asked["input"] if isinstance(asked.get("input"), list) else []
    wants_tool = asked.get("tools") and not any(i.get("type") == "function_call_output" for i in items)
    if wants_tool:
        name, arguments = script.call([tool.get("name") for tool in asked["tools"]], asked)
        item = {"type": "function_call", "id": "fc_1", "call_id": CALL_ID, "name": name, "status": "completed"}
        item["arguments"] = json.dumps(arguments)
    else:
        part = {"type": "output_text", "text": script.text(asked), "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    # `generate: false` only lets the provider read what comes.
    output = [] if asked.get("generate") is False else [item]
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": model}
    whole |= {"output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
    whole["usage"] = {
        "input_tokens": USAGE[0],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": USAGE[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(USAGE),
    }
    return response_events(whole) if asked.get("stream") else whole


def response_events(whole):
    events = [("response.created", {"response": whole | {"status": "in_progress", "output": [], "usage": None}})]
    for item in whole["output"]:
        events += item_events(item)
    events.append(("response.completed", {"response": whole}))
    return Events({"type": kind, "sequence_number": n} | body for n, (kind, body) in enumerate(events))


def item_events(item):
    at = {"item_id": item["id"], "output_index": 0}
    if item["type"] == "function_call":
        opened = item | {"arguments": "", "status": "in_progress"}
        yield "response.output_item.added", {"output_index": 0, "item": opened}
        for part in pieces(item["arguments"]):
            yield "response.function_call_arguments.delta", at | {"delta": part}
        yield "response.function_call_arguments.done", at | {"arguments": item["arguments"], "name": item["name"]}
    else:
        (part,) = item["content"]
        at["content_index"] = 0
        opened = item | {"content": [], "status": "in_progress"}
        yield "response.output_item.added", {"output_index": 0, "item": opened}
        yield "response.content_part.added", at | {"part": part | {"text": ""}}
        for text in pieces(part["text"]):
            yield "response.output_text.delta", at | {"delta": text, "logprobs": []}
        yield "response.output_text.done", at | {"text": part["text"], "logprobs": []}
        yield "response.content_part.done", at | {"part": part}
    yield "response.output_item.done", {"output_index": 0, "item": item}


def embeddings(_script, asked):
    vector = VECTOR
    if asked.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
    inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(inputs))]
    usage = {"prompt_tokens": USAGE[0], "total_tokens": USAGE[0]}
    return {"object": "list", "model": asked["model"], "data": data, "usage": usage}


def files(request):
    fields = {name: (filename, content) for name, filename, content in request.parts()}
    filename, content = fields["file"]
    named = {"id": "file-1", "object": "file", "created_at": 1, "status": "processed"}
    return named | {"filename": filename, "bytes": len(content), "purpose": fields["purpose"][1].decode()}


def batches(_script, asked):
    named = {"id": "batch_1", "object": "batch", "status": "validating", "created_at": 1}
    return named | {key: asked[key] for key in ("endpoint", "input_file_id", "completion_window", "metadata")}


MODELS = {
    "object": "list",
    "data": [{"id": "scripted-1", "object": "model", "created": 1, "owned_by": "nobody", "type": "model"}],
    "has_more": False,
    "first_id": "scripted-1",
    "last_id": "scripted-1",
}
