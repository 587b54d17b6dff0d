"""A model provider on loopback that answers by script and records every byte that it receives.

It speaks HTTP/1.1 and WebSocket over raw sockets (`wire.py`) and serves the dialects of OpenAI, Anthropic and
Gemini (`answers_….py`), as JSON, as server-sent events and as WebSocket messages.

What it answers depends on the request alone:
- tools offered, and no tool result yet: a tool call, of `calls` for the tools that stand there; otherwise one
  whose arguments echo the names that it can see;
- otherwise a text that ends with the names that it can see;
- the model `fail-401` or `fail-429`: that error, in the provider's own shape;
- the model `lockstep`: each event of a stream only when `gate` was released for it.

It does not check credentials, and knows nothing of Bauta.
"""

import json
import socket
import socketserver
import threading

import answers_anthropic
import answers_gemini
import answers_openai
from script import Events, Script, dump
from wire import WEBSOCKET, Recorder, Request, WebSocket, read_request

ERRORS = {
    "fail-401": (401, "Incorrect API key provided.", "authentication_error", {}),
    "fail-429": (429, "Rate limit reached.", "rate_limit_error", {"retry-after": "7"}),
}


class Provider:
    """`with Provider(names) as provider:` serves on `provider.url` until the block ends.

    `names`: those that it echoes when it sees them. `calls`: what to call an agent's tool with, by the tool's
    name. `websockets`: whether it takes upgrades, or answers them with 426. `told`: what it tells beside a name that
    it sees.
    """

    def __init__(self, names=(), calls=(), websockets=True, told=()):
        self.script = Script(list(names), dict(calls), dict(told))
        self.websockets = websockets
        self.gate = threading.Semaphore(0)
        self._requests, self._connections = [], []
        self._lock = threading.Lock()
        provider = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                recorder = Recorder(self.request)
                with provider._lock:
                    provider._connections.append(recorder)
                try:
                    while provider._serve_one(recorder):
                        pass
                except (ConnectionError, BrokenPipeError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def take(self):
        """What arrived since the last call: the requests, and every byte in one string.

        The bytes are those of the wire, and what they carried where that is not found in them: bodies whose
        chunks are put together, decoded bodies, messages of a WebSocket.
        """
        with self._lock:
            requests, self._requests = self._requests, []
            wire = b"\n".join(filter(None, (recorder.drain() for recorder in self._connections)))
        carried = [part for request in requests for part in {request.body, request.content} if part not in wire]
        return requests, b"\n".join([wire, *carried])

    def _record(self, request):
        with self._lock:
            self._requests.append(request)

    def _serve_one(self, recorder):
        request = read_request(recorder)
        if request is None:
            return False
        self._record(request)
        if request.header("upgrade") and self.websockets:
            self._converse(WebSocket(recorder, request), request)
            return False
        if request.header("upgrade"):
            status, headers, payload = 426, {}, dump({"error": {"type": "upgrade_refused", "message": "no WebSocket here"}})
        else:
            status, headers, payload = self._answer(request)
        self._send(recorder.sock, request, status, headers, payload)
        return True

    def _converse(self, websocket, upgrade):
        """Each `response.create` of the Responses API is answered with the events that its stream would have."""
        while (message := websocket.receive()) is not None:
            self._record(Request(WEBSOCKET, upgrade.target, upgrade.headers, message))
            for event in answers_openai.responses(self.script, json.loads(message) | {"stream": True}).bodies:
                websocket.send(json.dumps(event, ensure_ascii=False))

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
        in_lockstep = b'"lockstep"' in request.content
        for event in payload.wire():
            # The SDKs keep pings to themselves, so nobody could release the next event.
            if in_lockstep and not event.startswith(b"event: ping"):
                self.gate.acquire()
            sock.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        sock.sendall(b"0\r\n\r\n")

    def _answer(self, request):
        """Status, further headers, and the body: bytes, or the events of a stream."""
        for dialect in (answers_gemini, answers_anthropic, answers_openai):
            route = dialect.route(request, self.url)
            if route is not None:
                break
        else:
            return 404, {}, dump({"error": {"type": "not_found_error", "message": "no such route"}})
        is_json = request.content and (request.header("content-type") or "").startswith("application/json")
        asked = request.json() if is_json and not request.is_upload else {}
        if asked.get("model") in ERRORS:
            status, message, kind, headers = ERRORS[asked["model"]]
            return status, headers, dump({"type": "error", "error": {"type": kind, "code": kind, "message": message}})
        answer = route(self.script, asked)
        headers, answer = answer if isinstance(answer, tuple) else ({}, answer)
        return 200, headers, answer if isinstance(answer, Events) else dump(answer)
