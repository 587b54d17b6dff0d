"""A model provider on loopback that answers by script and records every byte that it receives.

It speaks HTTP/1.1 over raw sockets, so that nothing between the wire and the record can tidy up what a
client or a proxy sent. It serves OpenAI's chat completions, responses, embeddings and models, and
Anthropic's messages, token counts and models, as JSON and as server-sent events.

What it answers depends on the request alone:
- tools offered, and no tool result yet: a tool call whose arguments echo the names that it can see;
- otherwise a text that ends with the names that it can see;
- the model `fail-401` or `fail-429`: that error, in the provider's own shape;
- the model `lockstep`: each event of a stream only when `gate` was released for it.

It does not check credentials, and knows nothing of Bauta.
"""

import base64
import json
import socket
import socketserver
import struct
import threading
from dataclasses import dataclass, field

TEXT = "Fertig: naïve café 🎭 \"quoted\" back\\slash\nsecond line."
CALL_ID = "call_7f3a"
TOOL = "run_command"
USAGE = (17, 5)
ERRORS = {
    "fail-401": (401, "Incorrect API key provided.", "authentication_error", {}),
    "fail-429": (429, "Rate limit reached.", "rate_limit_error", {"retry-after": "7"}),
}


@dataclass
class Request:
    """One request as it arrived. `raw` is every byte of it, from the request line to the body's end."""

    method: str
    target: str
    headers: list
    body: bytes
    raw: bytes

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self):
        return json.loads(self.body)

    @property
    def path(self):
        return self.target.split("?", 1)[0]


@dataclass
class Record:
    """All that arrived: requests in order, and the bytes of each connection, complete requests or not."""

    requests: list = field(default_factory=list)
    connections: list = field(default_factory=list)


class Recorder:
    """Reads a socket and keeps all that it read."""

    def __init__(self, sock):
        self.sock, self.seen, self.start = sock, bytearray(), 0

    def _more(self):
        data = self.sock.recv(65536)
        self.seen += data
        return bool(data)

    def until(self, mark):
        while (end := self.seen.find(mark, self.start)) < 0:
            if not self._more():
                return None
        taken = bytes(self.seen[self.start : end])
        self.start = end + len(mark)
        return taken

    def exactly(self, count):
        while len(self.seen) < self.start + count:
            if not self._more():
                return None
        self.start += count
        return bytes(self.seen[self.start - count : self.start])


class Provider:
    """`with Provider(names) as provider:` serves on `provider.url` until the block ends."""

    def __init__(self, names=()):
        self.names = list(names)
        self.gate = threading.Semaphore(0)
        self._record = Record()
        self._lock = threading.Lock()
        provider = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                recorder = Recorder(self.request)
                with provider._lock:
                    provider._record.connections.append(recorder)
                try:
                    while provider._serve_one(recorder):
                        pass
                except (ConnectionError, BrokenPipeError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def take(self):
        """What arrived since the last call: the requests, and every byte in one string."""
        with self._lock:
            requests, self._record.requests = self._record.requests, []
            raw = []
            for recorder in self._record.connections:
                raw.append(bytes(recorder.seen))
                del recorder.seen[: recorder.start]
                recorder.start = 0
            return requests, b"\n".join(filter(None, raw))

    def _serve_one(self, recorder):
        request = read_request(recorder)
        if request is None:
            return False
        with self._lock:
            self._record.requests.append(request)
        status, headers, payload = self._answer(request)
        self._send(recorder.sock, request, status, headers, payload)
        return True

    def _send(self, sock, request, status, headers, payload):
        lines = [f"HTTP/1.1 {status} Scripted", "x-request-id: req_scripted", "request-id: req_scripted"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if isinstance(payload, bytes):
            head = "\r\n".join([*lines, "content-type: application/json", f"content-length: {len(payload)}"])
            body = b"" if request.method == "HEAD" else payload
            sock.sendall(head.encode() + b"\r\n\r\n" + body)
            return
        head = "\r\n".join([*lines, "content-type: text/event-stream", "transfer-encoding: chunked"])
        sock.sendall(head.encode() + b"\r\n\r\n")
        in_lockstep = b'"lockstep"' in request.body
        for event in payload:
            # The SDKs keep pings to themselves, so nobody could release the next event.
            if in_lockstep and not event.startswith(b"event: ping"):
                self.gate.acquire()
            sock.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        sock.sendall(b"0\r\n\r\n")

    def _answer(self, request):
        """Status, further headers, and the body: bytes, or the events of a stream."""
        routes = {
            "/chat/completions": self._chat,
            "/responses": self._responses,
            "/embeddings": self._embeddings,
            "/messages": self._messages,
            "/messages/count_tokens": lambda _: {"input_tokens": USAGE[0]},
            "/models": lambda _: MODELS,
        }
        route = routes.get(request.path.removeprefix("/v1"))
        if route is None:
            return 404, {}, dump({"error": {"type": "not_found_error", "message": "no such route"}})
        asked = request.json() if request.body else {}
        if asked.get("model") in ERRORS:
            status, message, kind, headers = ERRORS[asked["model"]]
            return status, headers, dump({"type": "error", "error": {"type": kind, "code": kind, "message": message}})
        answer = route(asked)
        return 200, {}, answer if isinstance(answer, list) else dump(answer)

    def seen(self, asked):
        """The names that stand in a request, as a model would read them."""
        text = json.dumps(asked, ensure_ascii=False)
        return [name for name in self.names if name in text]

    def _text(self, asked):
        return f"{TEXT} Seen: {', '.join(self.seen(asked)) or 'nothing'}."

    def _arguments(self, asked):
        return json.dumps({"command": "login", "with": self.seen(asked)})

    def _chat(self, asked):
        wants_tool = "tools" in asked and not any(m["role"] == "tool" for m in asked["messages"])
        call = {"id": CALL_ID, "type": "function", "function": {"name": TOOL, "arguments": self._arguments(asked)}}
        usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}
        base = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        reason = "tool_calls" if wants_tool else "stop"
        if not asked.get("stream"):
            message = {"role": "assistant", "content": None if wants_tool else self._text(asked)}
            if wants_tool:
                message["tool_calls"] = [call]
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            return base | {"object": "chat.completion", "choices": [choice], "usage": usage}

        def chunk(delta, finish=None):
            return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

        chunks = [chunk({"role": "assistant", "content": ""})]
        if wants_tool:
            chunks.append(chunk({"tool_calls": [call | {"index": 0, "function": {"name": TOOL, "arguments": ""}}]}))
            for part in pieces(call["function"]["arguments"]):
                chunks.append(chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
        else:
            chunks += [chunk({"content": part}) for part in pieces(self._text(asked))]
        chunks.append(chunk({}, reason))
        if (asked.get("stream_options") or {}).get("include_usage"):
            chunks.append({"choices": [], "usage": usage})
        head = base | {"object": "chat.completion.chunk"}
        return [b"data: " + dump(head | chunk) + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]

    def _responses(self, asked):
        items = asked["input"] if isinstance(asked["input"], list) else []
        wants_tool = "tools" in asked and not any(i.get("type") == "function_call_output" for i in items)
        if wants_tool:
            item = {"type": "function_call", "id": "fc_1", "call_id": CALL_ID, "name": TOOL, "status": "completed"}
            item["arguments"] = self._arguments(asked)
        else:
            part = {"type": "output_text", "text": self._text(asked), "annotations": []}
            item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": asked["model"]}
        whole |= {"output": [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
        whole["usage"] = {
            "input_tokens": USAGE[0],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": USAGE[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(USAGE),
        }
        return self._response_events(whole, item) if asked.get("stream") else whole

    def _response_events(self, whole, item):
        started = whole | {"status": "in_progress", "output": [], "usage": None}
        at = {"item_id": item["id"], "output_index": 0}
        events = [("response.created", {"response": started})]
        if item["type"] == "function_call":
            opened = item | {"arguments": "", "status": "in_progress"}
            events.append(("response.output_item.added", {"output_index": 0, "item": opened}))
            for part in pieces(item["arguments"]):
                events.append(("response.function_call_arguments.delta", at | {"delta": part}))
            done = {"arguments": item["arguments"], "name": TOOL}
            events.append(("response.function_call_arguments.done", at | done))
        else:
            part = item["content"][0]
            at["content_index"] = 0
            opened = item | {"content": [], "status": "in_progress"}
            events.append(("response.output_item.added", {"output_index": 0, "item": opened}))
            events.append(("response.content_part.added", at | {"part": part | {"text": ""}}))
            for text in pieces(part["text"]):
                events.append(("response.output_text.delta", at | {"delta": text, "logprobs": []}))
            events.append(("response.output_text.done", at | {"text": part["text"], "logprobs": []}))
            events.append(("response.content_part.done", at | {"part": part}))
        events.append(("response.output_item.done", {"output_index": 0, "item": item}))
        events.append(("response.completed", {"response": whole}))
        return [sse(kind, body | {"sequence_number": n}) for n, (kind, body) in enumerate(events)]

    def _embeddings(self, asked):
        vector = [0.25, -1.5, 3.0]
        if asked.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
        inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(inputs))]
        usage = {"prompt_tokens": USAGE[0], "total_tokens": USAGE[0]}
        return {"object": "list", "model": asked["model"], "data": data, "usage": usage}

    def _messages(self, asked):
        blocks = [b for m in asked["messages"] if isinstance(m["content"], list) for b in m["content"]]
        wants_tool = "tools" in asked and not any(b["type"] == "tool_result" for b in blocks)
        if wants_tool:
            arguments = json.loads(self._arguments(asked))
            block = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": arguments}
        else:
            block = {"type": "text", "text": self._text(asked)}
        whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [block]}
        whole |= {"stop_reason": "tool_use" if wants_tool else "end_turn", "stop_sequence": None}
        whole["usage"] = {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}
        return self._message_events(whole, block) if asked.get("stream") else whole

    def _message_events(self, whole, block):
        if block["type"] == "tool_use":
            opened = block | {"input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces(json.dumps(block["input"]))]
        else:
            opened = block | {"text": ""}
            deltas = [{"type": "text_delta", "text": part} for part in pieces(block["text"])]
        start = whole | {"content": [], "stop_reason": None}
        end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        events = [("message_start", {"message": start})]
        events.append(("content_block_start", {"index": 0, "content_block": opened}))
        events.append(("ping", {}))
        events += [("content_block_delta", {"index": 0, "delta": delta}) for delta in deltas]
        events.append(("content_block_stop", {"index": 0}))
        events.append(("message_delta", {"delta": end, "usage": {"output_tokens": USAGE[1]}}))
        events.append(("message_stop", {}))
        return [sse(kind, body) for kind, body in events]


MODELS = {
    "object": "list",
    "data": [{"id": "scripted-1", "object": "model", "created": 1, "owned_by": "nobody", "type": "model"}],
    "has_more": False,
    "first_id": "scripted-1",
    "last_id": "scripted-1",
}


def read_request(recorder):
    """The next request, or `None` at the connection's end. Chunked bodies are put together."""
    start = recorder.start
    head = recorder.until(b"\r\n\r\n")
    if head is None:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
    named = {name.lower(): value for name, value in headers}
    if named.get("expect", "").lower() == "100-continue":
        recorder.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if named.get("transfer-encoding", "").lower() == "chunked":
        body = read_chunked(recorder)
    else:
        body = recorder.exactly(int(named.get("content-length", "0")))
    if body is None:
        return None
    return Request(method, target, headers, body, bytes(recorder.seen[start : recorder.start]))


def read_chunked(recorder):
    body = bytearray()
    while (line := recorder.until(b"\r\n")) is not None:
        size = int(line.split(b";")[0], 16)
        if size == 0:
            while recorder.until(b"\r\n"):
                pass
            return bytes(body)
        part = recorder.exactly(size + 2)
        if part is None:
            return None
        body += part[:-2]
    return None


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def sse(kind, body):
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dump({"type": kind} | body))


def pieces(text, size=5):
    return [text[i : i + size] for i in range(0, len(text), size)]
