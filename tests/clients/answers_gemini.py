"""Gemini's dialect: content generated whole and streamed, embeddings, token counts, resumable uploads."""

import re

from script import USAGE, VECTOR, Events, pieces

METHOD = re.compile(r"/v1(?:beta|alpha)?/models/([^:/]+):(\w+)")
UPLOAD = re.compile(r"/upload/v1(?:beta|alpha)?/files")
SESSION = "/upload/session"
COUNTS = {"promptTokenCount": USAGE[0], "candidatesTokenCount": USAGE[1], "totalTokenCount": sum(USAGE)}


def route(request, url):
    """What answers the request, given the script and the JSON that was asked; `None` if nothing does."""
    if request.path == SESSION:
        return lambda script, asked: uploaded(request)
    if UPLOAD.fullmatch(request.path):
        # The provider names itself absolutely: whoever follows that leaves the way on which it came.
        headers = {"x-goog-upload-url": f"{url}{SESSION}?upload_id=u1", "x-goog-upload-status": "active"}
        return lambda script, asked: (headers, {})
    method = METHOD.fullmatch(request.path)
    routes = {
        "generateContent": generate,
        "streamGenerateContent": stream,
        "batchEmbedContents": lambda script, asked: {"embeddings": [{"values": VECTOR} for _ in asked["requests"]]},
        "embedContent": lambda script, asked: {"embedding": {"values": VECTOR}},
        "countTokens": lambda script, asked: {"totalTokens": USAGE[0]},
    }
    return routes.get(method[2]) if method else None


def parts(script, asked):
    said = [part for content in asked["contents"] for part in content["parts"]]
    offered = [d["name"] for tool in asked.get("tools", []) for d in declarations(tool)]
    if offered and not any("functionResponse" in part for part in said):
        name, arguments = script.call(offered, asked)
        return [{"functionCall": {"name": name, "args": arguments}}]
    return [{"text": text} for text in pieces(script.text(asked))]


def declarations(tool):
    return tool.get("functionDeclarations") or tool.get("function_declarations") or []


def candidate(parts, finish=None):
    said = {"content": {"role": "model", "parts": parts}, "index": 0}
    return {"candidates": [said | ({"finishReason": finish} if finish else {})], "usageMetadata": COUNTS}


def generate(script, asked):
    said = parts(script, asked)
    if "text" in said[0]:
        said = [{"text": "".join(part["text"] for part in said)}]
    return candidate(said, "STOP")


def stream(script, asked):
    *first, last = parts(script, asked)
    return Events([*(candidate([part]) for part in first), candidate([last], "STOP")], named=False)


def uploaded(request):
    file = {"name": "files/f1", "mimeType": "text/plain", "sizeBytes": str(len(request.body)), "state": "ACTIVE"}
    return {"x-goog-upload-status": "final"}, {"file": file | {"uri": "https://files.example.com/f1"}}
