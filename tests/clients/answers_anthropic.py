"""Anthropic's dialect: messages, token counts, files, batches. Its list of models is OpenAI's."""

import json

from script import USAGE, Events, pieces


def route(request, _url):
    """What answers the request, given the script and the JSON that was asked; `None` if nothing does."""
    path = request.path.removeprefix("/v1")
    if path == "/files" and request.method == "POST" and request.header("anthropic-version"):
        return lambda script, asked: files(request)
    routes = {
        "/messages": messages,
        "/messages/count_tokens": lambda script, asked: {"input_tokens": USAGE[0]},
        "/messages/batches": lambda script, asked: BATCH,
    }
    return routes.get(path)


def messages(script, asked):
    blocks = [b for m in asked["messages"] if isinstance(m["content"], list) for b in m["content"]]
    wants_tool = asked.get("tools") and not any(b["type"] == "tool_result" for b in blocks)
    if wants_tool:
        name, arguments = script.call([tool["name"] for tool in asked["tools"]], asked)
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}
    else:
        block = {"type": "text", "text": script.text(asked)}
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [block]}
    whole |= {"stop_reason": "tool_use" if wants_tool else "end_turn", "stop_sequence": None}
    whole["usage"] = {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}
    return Events(message_events(whole, block)) if asked.get("stream") else whole


def message_events(whole, block):
    if block["type"] == "tool_use":
        opened = block | {"input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces(json.dumps(block["input"]))]
    else:
        opened = block | {"text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in pieces(block["text"])]
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_start", "message": whole | {"content": [], "stop_reason": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": opened}
    yield {"type": "ping"}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": USAGE[1]}}
    yield {"type": "message_stop"}


def files(request):
    ((_, filename, content),) = [part for part in request.parts() if part[0] == "file"]
    named = {"id": "file_1", "type": "file", "created_at": "2026-01-01T00:00:00Z", "downloadable": False}
    return named | {"filename": filename, "mime_type": "text/plain", "size_bytes": len(content)}


BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-01-01T00:00:00Z",
    "expires_at": "2026-01-02T00:00:00Z",
}
