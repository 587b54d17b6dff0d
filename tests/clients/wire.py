"""The wire as the scripted provider sees it: every byte kept, HTTP/1.1 and WebSocket read from raw sockets.

What is kept is what arrived, before anything tidied it up. Beside the bytes stand the readings that only the
framing allows: chunks put together, content codings decoded, WebSocket messages unmasked and inflated.
"""

import base64
import gzip
import hashlib
import json
import struct
import threading
import zlib
from dataclasses import dataclass, field

import brotli
import zstandard

WEBSOCKET = "WEBSOCKET"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
# What DEFLATE leaves out at the end of a message, RFC 7692 section 7.2.1.
TAIL = b"\x00\x00\xff\xff"

DECODERS = {
    "identity": lambda body: body,
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    # Frames need not say how long they are.
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


@dataclass
class Request:
    """One request, or one message of a WebSocket (then `method` is `WEBSOCKET`).

    `body` is what the framing carried, `content` the body with its content codings decoded.
    """

    method: str
    target: str
    headers: list
    body: bytes
    content: bytes = field(init=False)

    def __post_init__(self):
        self.content = self.body
        codings = [c.strip().lower() for c in (self.header("content-encoding") or "").split(",") if c.strip()]
        if self.body and self.method != WEBSOCKET:
            for coding in reversed(codings):
                self.content = DECODERS[coding](self.content)

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self):
        return json.loads(self.content)

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    def parts(self):
        """Of a multipart body, exactly framed: name, file name and content of each part."""
        kind = self.header("content-type") or ""
        assert kind.startswith("multipart/form-data"), kind
        boundary = kind.split("boundary=", 1)[1].split(";")[0].strip('"').encode()
        first, *parts, last = (b"\r\n" + self.content).split(b"\r\n--" + boundary)
        assert not first and last.strip() == b"--", "broken multipart framing"
        found = []
        for part in parts:
            head, blank, content = part.partition(b"\r\n\r\n")
            assert blank and head.startswith(b"\r\n"), "broken multipart framing"
            (shown,) = [line for line in head.decode().split("\r\n") if line.lower().startswith("content-disposition:")]
            names = dict(item.strip().split("=", 1) for item in shown.split(";")[1:])
            found.append((names["name"].strip('"'), names.get("filename", "").strip('"') or None, content))
        return found

    def contents(self):
        """The body, or the parts of a multipart body: what each is, and its bytes."""
        if (self.header("content-type") or "").startswith("multipart/"):
            return [((name, filename), content) for name, filename, content in self.parts()]
        return [(self.method, self.body)]

    def check(self):
        """Whether the request is well formed to its receiver: JSON, JSON lines, multipart, or text."""
        kind = (self.header("content-type") or "").split(";")[0]
        if self.content and (self.method == WEBSOCKET or kind == "application/json" and not self.is_upload):
            self.json()
        elif kind.startswith("multipart/"):
            for _, filename, content in self.parts():
                if (filename or "").endswith(".jsonl"):
                    for line in content.splitlines():
                        json.loads(line)
        elif self.content:
            self.content.decode()

    @property
    def is_upload(self):
        """Raw file bytes, which Gemini's clients call JSON or whatever the file is."""
        return "upload" in (self.header("x-goog-upload-command") or "")


class Recorder:
    """Reads a socket and keeps all that it read, until it is drained."""

    def __init__(self, sock):
        self.sock, self._seen, self._start = sock, bytearray(), 0
        self._lock = threading.Lock()

    def drain(self):
        """What arrived since the last time, framing and all."""
        with self._lock:
            raw = bytes(self._seen)
            del self._seen[: self._start]
            self._start = 0
            return raw

    def _more(self):
        data = self.sock.recv(65536)
        with self._lock:
            self._seen += data
        return bool(data)

    def until(self, mark):
        while True:
            with self._lock:
                end = self._seen.find(mark, self._start)
                if end >= 0:
                    taken = bytes(self._seen[self._start : end])
                    self._start = end + len(mark)
                    return taken
            if not self._more():
                return None

    def exactly(self, count):
        while True:
            with self._lock:
                end = self._start + count
                if len(self._seen) >= end:
                    taken = bytes(self._seen[self._start : end])
                    self._start = end
                    return taken
            if not self._more():
                return None


def read_request(recorder):
    """The next request, or `None` at the connection's end. Chunked bodies are put together."""
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
    return Request(method, target, headers, body)


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


class WebSocket:
    """The server's side of one WebSocket (RFC 6455), with permessage-deflate (RFC 7692) where it is offered."""

    def __init__(self, recorder, request):
        self.recorder = recorder
        key = request.header("sec-websocket-key") + GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade"]
        lines.append(f"sec-websocket-accept: {accept}")
        self.deflate = "permessage-deflate" in (request.header("sec-websocket-extensions") or "")
        if self.deflate:
            lines.append("sec-websocket-extensions: permessage-deflate")
            self.inflater, self.deflater = zlib.decompressobj(-15), zlib.compressobj(wbits=-15)
        recorder.sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def receive(self):
        """The next message, unmasked and inflated; `None` when the client closes. Pings are answered."""
        whole, coded = b"", False
        while (head := self.recorder.exactly(2)) is not None:
            final, compressed, opcode = head[0] & 0x80, head[0] & 0x40, head[0] & 0x0F
            size = head[1] & 0x7F
            assert head[1] & 0x80, "a client masks its frames"
            assert not compressed or self.deflate, "compressed without agreement"
            if size > 125:
                extended = self.recorder.exactly(2 if size == 126 else 8)
                size = int.from_bytes(extended, "big")
            mask, payload = self.recorder.exactly(4), self.recorder.exactly(size)
            if payload is None:
                return None
            key = (mask * (size // 4 + 1))[:size]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
            if opcode == PING:
                self._frame(PONG, payload)
            elif opcode == CLOSE:
                self._frame(CLOSE, payload)
                return None
            elif opcode != PONG:
                whole, coded = whole + payload, coded or compressed
                if final:
                    return self.inflater.decompress(whole + TAIL) if coded else whole
        return None

    def send(self, text):
        payload, flag = text.encode(), 0
        if self.deflate:
            payload = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
            payload, flag = payload.removesuffix(TAIL), 0x40
        self._frame(TEXT | flag, payload)

    def _frame(self, first, payload):
        size = len(payload)
        length = struct.pack("!B", size) if size < 126 else struct.pack("!BH", 126, size)
        if size > 0xFFFF:
            length = struct.pack("!BQ", 127, size)
        self.recorder.sock.sendall(bytes([0x80 | first]) + length + payload)
