"""Runs cases and counts them, and judges an exchange of any SDK: as the control, and through Bauta."""

import json
import threading
import time
import traceback
from dataclasses import dataclass

import readings
from carriers import CARRIERS, HARMLESS, SECRETS
from not_yet import AROUND, expected, landed

NAMES = {name: name for name in SECRETS}
# Set anew by every hop, or by the SDKs on every call.
OWN_HEADERS = {"host", "connection", "sec-websocket-key", "sec-websocket-extensions"}
FRAMING = {"content-length", "transfer-encoding"}


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0


class Report:
    """Counts cases by client; a failing one is told with its trace, and the run goes on. Threads may share it."""

    def __init__(self, words, clients):
        self.words, self.tallies = words, {client: Tally() for client in clients}
        self._lock = threading.Lock()

    def case(self, client, name, test, *arguments):
        if self.words and not any(word in f"{client}: {name}" for word in self.words):
            return
        self._count(client, name, test, arguments, setup=False)

    def group(self, client, run, *arguments):
        """Cases that share something; counts only if that could not be set up."""
        self._count(client, "could not be set up", run, arguments, setup=True)

    def _count(self, client, name, test, arguments, setup):
        started, problem = time.monotonic(), None
        try:
            test(*arguments)
        except Exception:  # noqa: BLE001  Any failure is this case's failure.
            problem = traceback.format_exc(limit=-6)
        with self._lock:
            tally = self.tallies[client]
            if not setup:
                tally.seconds += time.monotonic() - started
                tally.passed += problem is None
            if problem is not None:
                tally.failed += 1
                print(f"FAIL {client}: {name}\n{problem}", flush=True)

    def close(self):
        passed = failed = 0
        for client, tally in self.tallies.items():
            if tally.passed or tally.failed:
                said = f"{tally.passed} cases" + (f", {tally.failed} FAILED" if tally.failed else "")
                print(f"  {client:24} {said:>12} in {tally.seconds:5.1f} s")
            passed, failed = passed + tally.passed, failed + tally.failed
        print(f"{passed} passed, {failed} failed", flush=True)
        return bool(failed) or not passed


class Bench:
    """A provider, clients that talk to it, and clients that talk to it through Bauta, for a row of cases."""

    def __init__(self, report, client, provider, direct, through=None):
        self.report, self.client, self.provider = report, client, provider
        self.direct, self.through = direct, through

    def case(self, name, test, *arguments):
        self.report.case(self.client, name, self._fresh, test, *arguments)

    def _fresh(self, test, *arguments):
        # What a failed case left behind is not the next one's.
        self.provider.take()
        test(self, *arguments)

    def named(self, client):
        return Bench(self.report, client, self.provider, self.direct, self.through)

    def sent(self, clients, exchange, text):
        """The requests that the exchange makes of the text, and every byte of them."""
        exchange(clients, text)
        requests, raw = self.provider.take()
        assert requests
        for request in requests:
            request.check()
        return requests, raw


# --- without Bauta -----------------------------------------------------------------------------------


def control(bench, exchange, carry, secrets=SECRETS, **options):
    """What the decoder must find: every value, when nobody masks it."""
    _, raw = bench.sent(bench.direct, exchange, carry(secrets))
    found = readings.leaks(raw, secrets, **options)
    assert found == set(secrets), f"not found: {sorted(set(secrets) - found)}\n{raw.decode(errors='replace')}"


# --- through Bauta -----------------------------------------------------------------------------------


def masked(bench, exchange, carry, secrets=SECRETS, **options):
    """No reading of what left holds a value, each value's name is there instead, and the SDK is content."""
    names = {name: name for name in secrets}
    told = exchange(bench.through, carry(secrets))
    requests, raw = bench.provider.take()
    assert requests
    for request in requests:
        request.check()
    leaked = readings.leaks(raw, secrets, **options)
    assert not leaked, f"got through: {sorted(leaked)}\n{raw.decode(errors='replace')}"
    kept = readings.leaks(raw, names)
    assert kept == set(names), f"not named: {sorted(set(names) - kept)}\n{raw.decode(errors='replace')}"
    if carry is CARRIERS["plain"]:
        # The model reads each name, and its words come back to the client as it said them.
        for text in told:
            assert all(name in text for name in names), text


def masked_answers(bench, exchange, says):
    """What the provider tells: without Bauta every value, through Bauta each one's name in its place."""
    text = CARRIERS["plain"](NAMES)
    direct, through = exchange(bench.direct, text), exchange(bench.through, text)
    assert bool(direct) == says and len(direct) == len(through)
    for told in direct:
        assert readings.leaks(told.encode(), SECRETS) == set(SECRETS), told
    for told in through:
        assert not readings.leaks(told.encode(), SECRETS), told
        for name in SECRETS:
            assert f"{name} ⟦{name}⟧" in told, told


def not_read_yet(bench, name, *arguments, **options):
    """A reading that the engine does not follow: `masked` fails, or the carrier moves up."""
    try:
        masked(bench, *arguments, **options)
    except AssertionError as error:
        assert str(error).startswith("got through"), error
    else:
        raise landed(name)


def surface(bench, exchange, carry):
    """As `masked`, or as `not_yet.py` says."""
    gap = expected(exchange.__name__)
    if gap is None:
        return masked(bench, exchange, carry)
    try:
        exchange(bench.through, carry(SECRETS))
    except Exception as error:  # noqa: BLE001  Each SDK has its own.
        assert status(error) == gap, f"expected {gap}, got {error!r}"
        _, raw = bench.provider.take()
        assert not readings.leaks(raw, SECRETS)
    else:
        _, raw = bench.provider.take()
        if gap != AROUND or not readings.leaks(raw, SECRETS):
            raise landed(exchange.__name__)


def status(error):
    """The HTTP status that an SDK's error tells."""
    for told in (error, getattr(error, "response", None)):
        for name in ("status_code", "code"):
            if isinstance(getattr(told, name, None), int):
                return getattr(told, name)
    return None


def only_the_value_changes(bench, exchange):
    """Byte for byte: what leaves is what the SDK sends directly, each value's span replaced by its name."""
    text = CARRIERS["plain"](SECRETS)
    sent, _ = bench.sent(bench.direct, exchange, text)
    arrived, _ = bench.sent(bench.through, exchange, text)
    assert len(sent) == len(arrived)
    for one, other in zip(sent, arrived):
        pairs = list(zip(one.contents(), other.contents(), strict=True))
        assert [kind for (kind, _), _ in pairs] == [kind for _, (kind, _) in pairs]
        for (_, before), (_, after) in pairs:
            for name, value in sorted(SECRETS.items(), key=lambda item: -len(item[1])):
                for written in spellings(value):
                    before = before.replace(written, name.encode())
            assert after == before, f"expected {before.decode()}\narrived  {after.decode()}"


def spellings(value):
    """How SDKs write a value: into JSON, down to three levels, beyond ASCII as it is or escaped; or as it is."""
    for levels in (3, 2, 1):
        for inner in (False, True):
            for outer in (False, True):
                written = value
                for level in range(levels):
                    written = json.dumps(written, ensure_ascii=outer if level == levels - 1 else inner)[1:-1]
                yield written.encode()
    yield value.encode()


def unaffected(bench, exchange):
    """A request without an occurrence arrives byte-identical, and its headers as they were."""
    sent, _ = bench.sent(bench.direct, exchange, HARMLESS)
    arrived, _ = bench.sent(bench.through, exchange, HARMLESS)
    assert len(sent) == len(arrived)
    for one, other in zip(sent, arrived):
        assert comparable(one, one) == comparable(other, one)


def comparable(request, sent):
    """What must not change. The boundary of a multipart body is another one each time; what the client sent in
    chunks may go on with a length.
    """
    ignored = OWN_HEADERS | (FRAMING if sent.header("transfer-encoding") else set())
    headers = sorted((name.lower(), value) for name, value in request.headers if name.lower() not in ignored)
    headers = [(name, value.split("boundary=")[0]) for name, value in headers]
    return request.method, request.target, headers, request.contents()
