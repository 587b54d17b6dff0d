"""A relay between a client and its browser that keeps what the client is told: HTTP answers and WebSocket messages.

It changes nothing but the address in HTTP answers, so that the client comes back through it. Messages are read from the
bytes on the wire afterwards: frames put together, unmasked, inflated.
"""

import http.client
import json
import socket
import socketserver
import threading
import urllib.parse
import zlib

from wire import TAIL, Recorder, read_request


class Relay:
    """`with Relay(url) as relay:` passes `relay.url` on to `url` until the block ends."""

    def __init__(self, url):
        self.target = urllib.parse.urlsplit(url).netloc
        self._streams, self._answers, self._lock = [], [], threading.Lock()
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    while relay._serve(Recorder(self.request)):
                        pass
                except (OSError, http.client.HTTPException):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self._server.server_address[1]
        self.url = f"http://{self.address}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for stream in self._streams:
                stream.cut()

    def take(self):
        """What the client was told since the last call: bodies and messages, in order for each connection."""
        with self._lock:
            told, self._answers = self._answers, []
            for stream in self._streams:
                told += stream.to_client.messages()
            return told

    def sent(self):
        """The messages that the client sent since the last call."""
        with self._lock:
            return [message for stream in self._streams for message in stream.to_browser.messages()]

    def _serve(self, recorder):
        request = read_request(recorder)
        if request is None:
            return False
        headers = {name: value for name, value in request.headers if name.lower() != "host"} | {"Host": self.target}
        if request.header("upgrade"):
            self._upgrade(recorder, request, headers)
            return False
        connection = http.client.HTTPConnection(self.target, timeout=60)
        connection.request(request.method, request.target, request.body or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        with self._lock:
            self._answers += ["\n".join(f"{name}: {value}" for name, value in answer.getheaders()).encode(), body]
        body = body.replace(self.target.encode(), self.address.encode())
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in FRAMING]
        recorder.sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return True

    def _upgrade(self, recorder, request, headers):
        upstream = socket.create_connection(tuple(self.target.rsplit(":", 1)))
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        upstream.sendall("\r\n".join([*lines, "", ""]).encode())
        stream = Stream(recorder.sock, upstream)
        with self._lock:
            self._streams.append(stream)
        stream.run()


# Connections end at the relay, which also knows a body's length.
FRAMING = ("content-length", "transfer-encoding", "connection", "keep-alive")


class Stream:
    """One upgraded connection, passed on byte by byte in both directions."""

    def __init__(self, client, browser):
        self.client, self.browser = client, browser
        self.to_client, self.to_browser = Side(answered=True), Side()

    def run(self):
        back = threading.Thread(target=self._pass, args=(self.client, self.browser, self.to_browser), daemon=True)
        back.start()
        self._pass(self.browser, self.client, self.to_client)
        back.join()
        self.browser.close()

    def _pass(self, source, sink, side):
        try:
            while data := source.recv(1 << 16):
                side.seen(data)
                sink.sendall(data)
        except OSError:
            pass
        self.cut()

    def cut(self):
        for each in (self.client, self.browser):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Side:
    """The bytes of one direction of a WebSocket, and the messages in them. The handshake's answer is a message too."""

    def __init__(self, answered=False):
        self._raw, self._lock, self._answered = bytearray(), threading.Lock(), answered
        self._inflater, self._parts, self._coded = zlib.decompressobj(-15), [], False

    def seen(self, data):
        with self._lock:
            self._raw += data

    def messages(self):
        with self._lock:
            return list(self._whole())

    def _whole(self):
        if self._answered:
            head, blank, rest = bytes(self._raw).partition(b"\r\n\r\n")
            if not blank:
                return
            self._raw, self._answered = bytearray(rest), False
            yield head
        while (frame := self._frame()) is not None:
            first, payload = frame
            if first & 0x0F > 2:
                yield payload
                continue
            self._parts.append(payload)
            # The first frame of a message says whether it is compressed.
            self._coded = self._coded or bool(first & 0x40)
            if first & 0x80:
                whole, self._parts = b"".join(self._parts), []
                yield self._inflater.decompress(whole + TAIL) if self._coded else whole
                self._coded = False

    def _frame(self):
        """First byte and payload of the next frame that has arrived whole."""
        raw = self._raw
        if len(raw) < 2:
            return None
        size, at = raw[1] & 0x7F, 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(raw[2 : 2 + wide], "big"), 2 + wide
        masked = raw[1] & 0x80
        mask, at = bytes(raw[at : at + 4]) if masked else b"", at + (4 if masked else 0)
        if len(raw) < at + size:
            return None
        payload = bytes(raw[at : at + size])
        if masked:
            key = (mask * (size // 4 + 1))[:size]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
        first = raw[0]
        del raw[: at + size]
        return first, payload


def parsed(messages):
    """Those messages that are JSON, as values."""
    for message in messages:
        try:
            yield json.loads(message)
        except ValueError:
            continue
