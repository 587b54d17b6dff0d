"""Real SDKs, the real binary, a scripted provider: does a value get through, and are the clients content?

    python run.py PATH-TO-BAUTA [WORD …]     only the cases whose name holds a WORD
    python run.py --control [WORD …]         without Bauta: only the control cases

Each exchange runs twice with each carrier. Straight to the provider it is the control: the decoder of
`readings.py` must find every value there, or it could not find one that Bauta lets through. Through Bauta
it must find none, but every name in its place. The last line is `N passed, N failed`.
"""

import gzip
import http.client
import json
import signal
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import anthropic
import openai

import readings
from carriers import CARRIERS, DOCUMENT, HARMLESS, NOT_READ, SECRETS
from exchanges import EXCHANGES, MODEL, Clients, chat, list_models
from scripted_provider import CALL_ID, ERRORS, TEXT, TOOL, Provider
from sidecar import Sidecar

NAMES = {name: name for name in SECRETS}
# Set anew by every hop, or by the SDKs on every call.
OWN_HEADERS = {"host", "connection"}
SHORT = {"x_username": "admin", "x_password": "hunter2"}
SHORT_SITE = "admin.example.com"


class Report:
    """Counts cases; a failing one is told with its trace, and the run goes on."""

    def __init__(self, words):
        self.words, self.passed, self.failed = words, 0, 0
        # What a failed case left behind is not the next one's.
        self.before = lambda: None

    def case(self, name, test, *arguments):
        if self.words and not any(word in name for word in self.words):
            return
        self.before()
        try:
            test(*arguments)
            self.passed += 1
        except Exception:  # noqa: BLE001  Any failure is this case's failure.
            self.failed += 1
            print(f"FAIL {name}\n{traceback.format_exc(limit=-6)}", flush=True)

    def group(self, name, run, *arguments):
        """Cases that share a sidecar; counts only if it could not be set up."""
        try:
            run(*arguments)
        except Exception:  # noqa: BLE001
            self.failed += 1
            print(f"FAIL {name}\n{traceback.format_exc(limit=-6)}", flush=True)

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return bool(self.failed) or not self.passed


# --- without Bauta -----------------------------------------------------------------------------------


def control(provider, clients, exchange, carry):
    """What the decoder must find: every value, when nobody masks it."""
    exchange(clients, carry(SECRETS))
    requests, raw = provider.take()
    assert requests
    assert readings.leaks(raw, SECRETS) == set(SECRETS)


# --- through Bauta -----------------------------------------------------------------------------------


def masked(provider, clients, exchange, carry):
    told = exchange(clients, carry(SECRETS))
    requests, raw = provider.take()
    assert requests
    for request in requests:
        request.json()
    leaked = readings.leaks(raw, SECRETS)
    assert not leaked, f"got through: {sorted(leaked)}\n{raw.decode(errors='replace')}"
    kept = readings.leaks(raw, NAMES)
    assert kept == set(NAMES), f"not named: {sorted(set(NAMES) - kept)}\n{raw.decode(errors='replace')}"
    if carry is CARRIERS["plain"]:
        # The model reads each name, and its words come back to the client as it said them.
        for text in told:
            assert all(name in text for name in NAMES), text


def only_the_value_changes(provider, direct, through, exchange):
    """Byte for byte: what leaves is what the SDK sends directly, each value's span replaced by its name."""
    text = CARRIERS["plain"](SECRETS)
    exchange(direct, text)
    sent, _ = provider.take()
    exchange(through, text)
    arrived, _ = provider.take()
    assert len(sent) == len(arrived)
    for one, other in zip(sent, arrived):
        expected = one.body
        for name, value in sorted(SECRETS.items(), key=lambda item: -len(item[1])):
            for levels in (3, 2, 1):
                for ascii_only in (False, True):
                    written = value
                    for level in range(levels):
                        written = json.dumps(written, ensure_ascii=ascii_only and level < levels - 1)[1:-1]
                    expected = expected.replace(written.encode(), name.encode())
        assert other.body == expected, f"expected {expected.decode()}\narrived  {other.body.decode()}"


def unaffected(provider, direct, through, exchange):
    """A request without an occurrence arrives byte-identical, and its headers as they were."""
    exchange(direct, HARMLESS)
    sent, _ = provider.take()
    exchange(through, HARMLESS)
    arrived, _ = provider.take()
    assert len(sent) == len(arrived) > 0
    for one, other in zip(sent, arrived):
        assert (one.method, one.target) == (other.method, other.target)
        assert one.body == other.body
        assert own(one) == own(other)


def own(request):
    return sorted((name.lower(), value) for name, value in request.headers if name.lower() not in OWN_HEADERS)


def models(provider, direct, through):
    list_models(direct)
    sent, _ = provider.take()
    list_models(through)
    arrived, _ = provider.take()
    assert [(r.method, r.target, r.body, own(r)) for r in sent] == [(r.method, r.target, r.body, own(r)) for r in arrived]


def odd_places(provider, through):
    """Header, query, object key, number, and a field of no known shape."""
    key, account, user = SECRETS["x_api_key"], SECRETS["x_account"], SECRETS["x_username"]
    through.openai.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Hello."}],
        extra_headers={"X-Trace": f"run {key};{user}"},
        extra_query={"trace": key, "user": user},
        extra_body={"customer": int(account), "labels": {key: [1.5, {user: None}]}},
    )
    (request,), raw = provider.take()
    assert not readings.leaks(raw, SECRETS), raw.decode()
    assert request.header("x-trace") == "run x_api_key;x_username"
    assert request.target == "/v1/chat/completions?trace=x_api_key&user=x_username"
    body = request.json()
    assert body["customer"] == "x_account"
    assert body["labels"] == {"x_api_key": [1.5, {"x_username": None}]}


def lockstep_openai(provider, clients):
    """The provider sends an event only when the client has received the one before. No clock is involved."""
    provider.gate = Semaphore(1)
    said = [{"role": "user", "content": CARRIERS["plain"](SECRETS)}]
    text = ""
    for chunk in clients.openai.chat.completions.create(model="lockstep", messages=said, stream=True):
        text += chunk.choices[0].delta.content or ""
        provider.gate.release()
    assert text.startswith(TEXT)


def lockstep_anthropic(provider, clients):
    provider.gate = Semaphore(1)
    said = [{"role": "user", "content": CARRIERS["plain"](SECRETS)}]
    text = ""
    for event in clients.anthropic.messages.create(model="lockstep", max_tokens=9, messages=said, stream=True):
        text += event.delta.text if event.type == "content_block_delta" else ""
        provider.gate.release()
    assert text.startswith(TEXT)


def provider_errors(provider, direct, through):
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
            for clients in (direct, through):
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


def unknown_coding(provider, through):
    """What cannot be read is refused, with an error that both SDKs can read, and reaches nobody."""
    coded = {"extra_headers": {"content-encoding": "x-secret-squeeze"}}
    said = {"model": MODEL, "messages": [{"role": "user", "content": SECRETS["x_api_key"]}]}
    for kind, call in (
        (openai.APIStatusError, lambda: through.openai.chat.completions.create(**said, **coded)),
        (anthropic.APIStatusError, lambda: through.anthropic.messages.create(max_tokens=9, **said, **coded)),
    ):
        try:
            call()
        except kind as error:
            assert error.status_code == 415, error
            assert json.loads(error.response.content)["error"]["message"], error
        else:
            raise AssertionError("it was passed on")
    requests, raw = provider.take()
    assert not requests and not raw, raw


def compressed(provider, sidecar):
    """A gzip body is read and masked, or refused: never passed unread."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": CARRIERS["plain"](SECRETS)}]})
    connection = http.client.HTTPConnection(sidecar.url.removeprefix("http://"), timeout=60)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    connection.request("POST", "/openai/v1/chat/completions", gzip.compress(body.encode()), headers)
    status = connection.getresponse().status
    connection.close()
    _, raw = provider.take()
    assert not readings.leaks(raw, SECRETS)
    assert status == 415 or readings.leaks(raw, NAMES) == set(NAMES), status


def many_at_once(provider, through):
    """Sixteen agents' threads share the clients: none sees another's answer, no value slips through a race."""
    carried = [CARRIERS[name] for name in ("plain", "JSON, 1 level", "base64", "percent")]

    def one(turn):
        return chat(through, f"Turn {turn}. {carried[turn % len(carried)](SECRETS)}")

    with ThreadPoolExecutor(16) as pool:
        assert all(list(pool.map(one, range(96))))
    requests, raw = provider.take()
    assert len(requests) == 96
    assert {request.json()["messages"][1]["content"].split()[1] for request in requests} == {f"{n}." for n in range(96)}
    assert not readings.leaks(raw, SECRETS)


def large(provider, direct, through):
    """Two megabytes of command output, values strewn in: exactly they change."""
    filler = json.dumps({"line": HARMLESS, "n": list(range(40))}, ensure_ascii=False)
    parts = []
    for turn in range(4000):
        parts.append(f"{turn} {filler[: 300 + turn % 211]}")
        if turn % 97 == 0:
            parts.append(f" {SECRETS['x_api_key']} and {SECRETS['x_phrase']} ")
    text = "\n".join(parts)
    chat(direct, text)
    (sent,), _ = provider.take()
    chat(through, text)
    (arrived,), _ = provider.take()
    expected = sent.body
    for name in ("x_api_key", "x_phrase"):
        assert SECRETS[name].encode() in expected
        expected = expected.replace(SECRETS[name].encode(), name.encode())
    assert arrived.body == expected


def documented_example(provider, through):
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
    through.openai.chat.completions.create(model=MODEL, messages=history, tools=[tool], metadata={"admin": "no"})
    (request,), _ = provider.take()
    assert request.json()["messages"] == replaced(history, said, goal), request.body.decode()
    assert request.json()["metadata"] == {"admin": "no"}

    answer = through.openai.responses.create(model=MODEL, input=[{"role": "user", "content": said}])
    assert "x_username, x_password" in answer.output_text, answer.output_text
    (request,), _ = provider.take()
    assert request.json()["input"] == [{"role": "user", "content": goal}], request.body.decode()

    user = {"role": "user", "content": [{"type": "text", "text": said}]}
    answer = through.anthropic.messages.create(model=MODEL, max_tokens=9, messages=[user])
    assert answer.content[0].text.startswith(TEXT)
    (request,), _ = provider.take()
    assert request.json()["messages"] == replaced([user], said, goal), request.body.decode()


def replaced(history, said, goal):
    return json.loads(json.dumps(history).replace(said, goal))


def documented_exchange(provider, through, exchange):
    """The same values and site in every exchange and at every depth."""
    exchange(through, "Open https://admin.example.com/login and log in: admin / hunter2.")
    requests, _ = provider.take()
    raw = b"\n".join(request.body for request in requests)
    leaked = readings.leaks(raw, SHORT, whole_words=SHORT, but_for=[SHORT_SITE])
    assert not leaked, f"{leaked}\n{raw.decode()}"
    assert b"https://admin.example.com/login and log in: x_username / x_password." in raw, raw.decode()


def structural_words(provider, through):
    """A value that is a word of the protocol is masked in what people say, not in the protocol."""
    said = [{"role": "user", "content": "The user is user."}]
    through.openai.chat.completions.create(model=MODEL, messages=said, user="me")
    through.anthropic.messages.create(model=MODEL, max_tokens=9, messages=said)
    requests, _ = provider.take()
    for request in requests:
        goal = "The x_group is x_group."
        assert request.json()["messages"] == [{"role": "user", "content": goal}], request.body.decode()
    assert requests[0].json()["user"] == "me"


def stopped_in_order(sidecar, secrets):
    """P3: SIGTERM ends it with 0, and nothing that it printed holds a value."""
    assert sidecar.exit_code == 0, f"exit code {sidecar.exit_code}\n{sidecar.output}"
    leaked = readings.leaks(sidecar.output.encode(), secrets)
    assert not leaked, f"printed: {sorted(leaked)}"


# --- the run -----------------------------------------------------------------------------------------


def run_control(report):
    with Provider(NAMES) as provider:
        clients = Clients.direct(provider)
        for exchange in EXCHANGES:
            for carried, carry in (CARRIERS | NOT_READ).items():
                report.case(f"control: {exchange.__name__}, {carried}", control, provider, clients, exchange, carry)
        report.case("control: models", list_models, clients)
        report.case("control: lockstep openai", lockstep_openai, provider, clients)
        report.case("control: lockstep anthropic", lockstep_anthropic, provider, clients)


def run_masked(report, binary):
    with Provider(NAMES) as provider:
        direct = Clients.direct(provider)
        with Sidecar(binary, provider.url, DOCUMENT) as sidecar:
            through = Clients.through(sidecar)
            report.before = provider.take
            for exchange in EXCHANGES:
                for carried, carry in CARRIERS.items():
                    name = f"p1: {exchange.__name__}, {carried}"
                    report.case(name, masked, provider, through, exchange, carry)
                report.case(f"p7: {exchange.__name__} unaffected", unaffected, provider, direct, through, exchange)
            for exchange in SINGLE_TURN:
                name = f"only the value changes: {exchange.__name__}"
                report.case(name, only_the_value_changes, provider, direct, through, exchange)
            report.case("p7: models unaffected", models, provider, direct, through)
            report.case("p1: odd places", odd_places, provider, through)
            report.case("lockstep: openai", lockstep_openai, provider, through)
            report.case("lockstep: anthropic", lockstep_anthropic, provider, through)
            report.case("provider errors pass", provider_errors, provider, direct, through)
            report.case("p6: unknown coding", unknown_coding, provider, through)
            report.case("p6: compressed body", compressed, provider, sidecar)
            report.case("p1: many at once", many_at_once, provider, through)
            report.case("p1: two megabytes", large, provider, direct, through)
        report.case("p3: output and exit", stopped_in_order, sidecar, SECRETS)


def run_short(report, binary):
    with Provider(SHORT) as provider:
        with Sidecar(binary, provider.url, {f"https://{SHORT_SITE}": SHORT}) as sidecar:
            through = Clients.through(sidecar)
            report.before = provider.take
            report.case("documented example", documented_example, provider, through)
            for exchange in EXCHANGES:
                name = f"documented example: {exchange.__name__}"
                report.case(name, documented_exchange, provider, through, exchange)
        password = {"x_password": SHORT["x_password"]}
        report.case("documented example: p3: output and exit", stopped_in_order, sidecar, password)
        with Sidecar(binary, provider.url, {"https://example.com": {"x_group": "user"}}) as sidecar:
            report.case("structural words", structural_words, provider, Clients.through(sidecar))


SINGLE_TURN = [exchange for exchange in EXCHANGES if "tools" not in exchange.__name__]


def main(arguments):
    binary, *words = arguments
    # An order to stop unwinds the stack, so that the sidecars are stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    report = Report(words)
    report.case("readings: self-test", self_test)
    run_control(report)
    if binary != "--control":
        # A sidecar that does not start is one failure, not the end of the report.
        report.group("serve", run_masked, report, binary)
        report.group("serve, short values", run_short, report, binary)
    print(f"in {time.monotonic() - started:.0f} s")
    return report.close()


def self_test():
    passed, failed = readings.self_test()
    assert passed and not failed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
