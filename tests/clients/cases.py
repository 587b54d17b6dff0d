"""Cases of their own: what an exchange with any carrier does not show."""

import gzip
import http.client
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import anthropic
import brotli
import openai
import zstandard

import readings
from carriers import CARRIERS, HARMLESS, SECRETS
from clients import list_models
from exchange import MODEL
from harness import NAMES, unaffected
from not_yet import expected, landed
from script import CALL_ID, TEXT, TOOL
from scripted_provider import ERRORS
from sdk_openai import chat

SHORT = {"x_username": "admin", "x_password": "hunter2"}
SHORT_SITE = "admin.example.com"


def models(bench):
    """Model lists: requests without a body."""
    unaffected(bench, lambda clients, _: list_models(clients))


def odd_places(bench):
    """Header, query, object key, number, and a field of no known shape."""
    key, account, user = SECRETS["x_api_key"], SECRETS["x_account"], SECRETS["x_username"]
    bench.through.openai.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Hello."}],
        extra_headers={"X-Trace": f"run {key};{user}"},
        extra_query={"trace": key, "user": user},
        extra_body={"customer": int(account), "labels": {key: [1.5, {user: None}]}},
    )
    (request,), raw = bench.provider.take()
    assert not readings.leaks(raw, SECRETS), raw.decode()
    assert request.header("x-trace") == "run x_api_key;x_username"
    assert request.target == "/v1/chat/completions?trace=x_api_key&user=x_username"
    body = request.json()
    assert body["customer"] == "x_account"
    assert body["labels"] == {"x_api_key": [1.5, {"x_username": None}]}


def lockstep_openai(bench, clients):
    """The provider sends an event only when the client has received the one before. No clock is involved."""
    bench.provider.gate = Semaphore(1)
    said = [{"role": "user", "content": CARRIERS["plain"](SECRETS)}]
    text = ""
    for chunk in clients.openai.chat.completions.create(model="lockstep", messages=said, stream=True):
        text += chunk.choices[0].delta.content or ""
        bench.provider.gate.release()
    assert text.startswith(TEXT)


def lockstep_anthropic(bench, clients):
    bench.provider.gate = Semaphore(1)
    said = [{"role": "user", "content": CARRIERS["plain"](SECRETS)}]
    text = ""
    for event in clients.anthropic.messages.create(model="lockstep", max_tokens=9, messages=said, stream=True):
        text += event.delta.text if event.type == "content_block_delta" else ""
        bench.provider.gate.release()
    assert text.startswith(TEXT)


def provider_errors(bench):
    """The provider's own errors reach the client as they are: status, body, headers."""
    for model, (status, *_) in ERRORS.items():
        said = {"model": model, "messages": [{"role": "user", "content": "Hello."}]}
        calls = (
            (openai.APIStatusError, lambda c: c.openai.chat.completions.create(**said)),
            (openai.APIStatusError, lambda c: c.openai.chat.completions.create(stream=True, **said)),
            (anthropic.APIStatusError, lambda c: c.anthropic.messages.create(max_tokens=9, **said)),
        )
        for kind, call in calls:
            errors = []
            for clients in (bench.direct, bench.through):
                try:
                    call(clients)
                except kind as error:
                    errors.append(error)
            one, other = errors
            assert one.status_code == other.status_code == status
            assert type(one) is type(other)
            assert one.response.content == other.response.content
            assert one.response.headers.get("retry-after") == other.response.headers.get("retry-after")
            assert one.request_id == other.request_id == "req_scripted"


def unknown_coding(bench):
    """What cannot be read is refused, with an error that both SDKs can read, and reaches nobody."""
    coded = {"extra_headers": {"content-encoding": "x-secret-squeeze"}}
    said = {"model": MODEL, "messages": [{"role": "user", "content": SECRETS["x_api_key"]}]}
    for kind, call in (
        (openai.APIStatusError, lambda: bench.through.openai.chat.completions.create(**said, **coded)),
        (anthropic.APIStatusError, lambda: bench.through.anthropic.messages.create(max_tokens=9, **said, **coded)),
    ):
        try:
            call()
        except kind as error:
            assert error.status_code == 415, error
            assert json.loads(error.response.content)["error"]["message"], error
        else:
            raise AssertionError("it was passed on")
    requests, raw = bench.provider.take()
    assert not requests and not raw, raw


CODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    # As Codex sends it: a frame that does not say how long it is.
    "zstd": zstandard.ZstdCompressor(write_content_size=False).compress,
}


def compressed(bench, sidecar, coding):
    """A coded body is read and masked; one without an occurrence goes on as it came."""
    for text, names in ((CARRIERS["plain"](SECRETS), set(NAMES)), (HARMLESS, None)):
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": text}]}).encode()
        coded = CODERS[coding](body)
        answered = post(sidecar, coded, {"content-type": "application/json", "content-encoding": coding})
        requests, raw = bench.provider.take()
        assert not readings.leaks(raw, SECRETS)
        if answered == expected(f"coding: {coding}"):
            assert not requests and not raw
            continue
        if expected(f"coding: {coding}"):
            raise landed(f"coding: {coding}")
        assert answered == 200, answered
        (request,) = requests
        if names is None:
            assert (request.body, request.header("content-encoding")) == (coded, coding)
        else:
            assert readings.leaks(raw, NAMES) == names and request.json()["model"] == MODEL


def post(sidecar, body, headers):
    connection = http.client.HTTPConnection(sidecar.url.removeprefix("http://"), timeout=60)
    connection.request("POST", "/openai/v1/chat/completions", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def many_at_once(bench):
    """Sixteen agents' threads share the clients: none sees another's answer, no value slips through a race."""
    carried = [CARRIERS[name] for name in ("plain", "JSON, 1 level", "base64", "percent")]

    def one(turn):
        return chat(bench.through, f"Turn {turn}. {carried[turn % len(carried)](SECRETS)}")

    with ThreadPoolExecutor(16) as pool:
        assert all(list(pool.map(one, range(96))))
    requests, raw = bench.provider.take()
    assert len(requests) == 96
    assert {request.json()["messages"][1]["content"].split()[1] for request in requests} == {f"{n}." for n in range(96)}
    assert not readings.leaks(raw, SECRETS)


def large(bench):
    """Two megabytes of command output, values strewn in: exactly they change."""
    filler = json.dumps({"line": HARMLESS, "n": list(range(40))}, ensure_ascii=False)
    parts = []
    for turn in range(4000):
        parts.append(f"{turn} {filler[: 300 + turn % 211]}")
        if turn % 97 == 0:
            parts.append(f" {SECRETS['x_api_key']} and {SECRETS['x_phrase']} ")
    text = "\n".join(parts)
    chat(bench.direct, text)
    (sent,), _ = bench.provider.take()
    chat(bench.through, text)
    (arrived,), _ = bench.provider.take()
    expected = sent.body
    for name in ("x_api_key", "x_phrase"):
        assert SECRETS[name].encode() in expected
        expected = expected.replace(SECRETS[name].encode(), name.encode())
    assert arrived.body == expected


def documented_example(bench):
    """Values `admin` and `hunter2` on https://admin.example.com: gone, and nothing else is."""
    said = "Open https://admin.example.com/login and log in: admin / hunter2. Not the administrator."
    goal = "Open https://admin.example.com/login and log in: x_username / x_password. Not the administrator."
    tool = {"type": "function", "function": {"name": TOOL, "parameters": {"type": "object", "properties": {}}}}
    call = {"id": CALL_ID, "type": "function", "function": {"name": TOOL, "arguments": "{}"}}
    history = [
        {"role": "user", "content": said},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": CALL_ID, "content": said},
    ]
    bench.through.openai.chat.completions.create(model=MODEL, messages=history, tools=[tool], metadata={"admin": "no"})
    (request,), _ = bench.provider.take()
    assert request.json()["messages"] == replaced(history, said, goal), request.body.decode()
    assert request.json()["metadata"] == {"admin": "no"}

    answer = bench.through.openai.responses.create(model=MODEL, input=[{"role": "user", "content": said}])
    assert "x_username, x_password" in answer.output_text, answer.output_text
    (request,), _ = bench.provider.take()
    assert request.json()["input"] == [{"role": "user", "content": goal}], request.body.decode()

    user = {"role": "user", "content": [{"type": "text", "text": said}]}
    answer = bench.through.anthropic.messages.create(model=MODEL, max_tokens=9, messages=[user])
    assert answer.content[0].text.startswith(TEXT)
    (request,), _ = bench.provider.take()
    assert request.json()["messages"] == replaced([user], said, goal), request.body.decode()


def replaced(history, said, goal):
    return json.loads(json.dumps(history).replace(said, goal))


def documented_exchange(bench, exchange):
    """The same values and site in every exchange and at every depth."""
    exchange(bench.through, "Open https://admin.example.com/login and log in: admin / hunter2.")
    requests, _ = bench.provider.take()
    raw = b"\n".join(request.body for request in requests)
    leaked = readings.leaks(raw, SHORT, whole_words=SHORT, but_for=[SHORT_SITE])
    assert not leaked, f"{leaked}\n{raw.decode()}"
    assert b"https://admin.example.com/login and log in: x_username / x_password." in raw, raw.decode()


def structural_words(bench):
    """A value that is a word of the protocol is masked in what people say, not in the protocol."""
    said = [{"role": "user", "content": "The user is user."}]
    bench.through.openai.chat.completions.create(model=MODEL, messages=said, user="me")
    bench.through.anthropic.messages.create(model=MODEL, max_tokens=9, messages=said)
    requests, _ = bench.provider.take()
    for request in requests:
        goal = "The x_group is x_group."
        assert request.json()["messages"] == [{"role": "user", "content": goal}], request.body.decode()
    assert requests[0].json()["user"] == "me"


def stopped_in_order(sidecar, secrets):
    """P3: SIGTERM ends it with 0, and nothing that it printed holds a value."""
    assert sidecar.exit_code == 0, f"exit code {sidecar.exit_code}\n{sidecar.output}"
    leaked = readings.leaks(sidecar.output.encode(), secrets)
    assert not leaked, f"printed: {sorted(leaked)}"


