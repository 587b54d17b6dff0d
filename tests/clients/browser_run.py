"""Real browser clients, the real binary, Debian's Chromium, a local site: who gets to know the password?

    python browser_run.py BINARY MODULES [CLIENT …]      only the clients whose name holds a word
    python browser_run.py --control MODULES [CLIENT …]   without Bauta: only the control cases

MODULES is the folder in which `npm ci` was run with `node/package-lock.json`.

Each client (`browser_clients.py`) does the same twice. Straight at Chromium it types the real values: this is the control,
in which every way of reading must show the value and every picture its colour, or the test could not see what Bauta lets
through. Through Bauta it types names: the site must get the real values all the same, the client must read names, and
neither what crossed the wire to it (`browser_relay.py`) nor its pictures may hold a value. What has to do with no secret
must come out the same both times.

Under `loopback.py` nothing can call anybody else. The last line is `N passed, N failed`.
"""

import json
import re
import signal
import sys
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import browser_others as others
import browser_use_run
from browser_chromium import Chromium
from browser_clients import CLIENTS, FLOWS, SPELLINGS, StepError
from browser_relay import Relay
from browser_sidecar import BrowserSidecar
from browser_site import Site
from browser_told import SHOWN, Told, seen
from harness import Report

PASSWORD = 'Tr0ub&dor"3/ö-q7'
USER, HOST = "alice.meier+ops", "@example.com"
SECRETS = {"x_username": USER + HOST, "x_account": USER, "x_password": PASSWORD}
# While a client types, not even this much of the password may come back to it.
BEGINNING = PASSWORD[:5].encode()
TYPING = {"Input.insertText", "Input.dispatchKeyEvent", "Input.imeSetComposition"}
# What is read without the client, of the list of pages.
LISTING = "read /json/list"
# Two cores.
AT_ONCE = 2


def typed(turn, real):
    """What the client types: user and password."""

    def name(key):
        return SECRETS[key] if real else SPELLINGS[turn.spelling].format(key)

    if turn.form in others.KEYS:
        password = others.keys(turn.form) if real else SPELLINGS[turn.spelling].format(others.KEYS[turn.form])
        return {"user": name("x_username"), "password": password}
    return {"user": name("x_account") + HOST if turn.around else name("x_username"), "password": name("x_password")}


class Bench:
    """A client at a browser, with all that is between and around them."""

    def __init__(self, report, client, site, relay):
        self.report, self.client, self.site, self.relay = report, client, site, relay
        self.told = Told(SECRETS)

    def case(self, name, test, *arguments):
        self.report.case(self.client.name, name, test, *arguments)

    def step(self, running, step, **given):
        """What the client made of a step, and what it was told on the wire."""
        self.relay.take()
        outcome = self.listing() if step == LISTING else running.call(step, **given)
        return outcome, self.relay.take()

    def listing(self):
        with urllib.request.urlopen(f"{self.relay.url}/json/list", timeout=60) as answer:
            return json.load(answer)

    def log_in(self, running, turn, real):
        """A login that the site found right; what the typing and the rest told, each."""
        self.site.logins()
        outcome, typing = self.step(running, "type", url=turn.url(self.site), way=turn.way, **turn.more, **typed(turn, real))
        try:
            _, after = self.step(running, "submit", **turn.more)
        except StepError as error:
            raise AssertionError(f"{error}; the site was sent {self.sent()}") from error
        assert self.sent() == ["the right values"], f"the site was sent {self.sent()}"
        return outcome, typing, after

    def sent(self):
        """The logins that the site saw, without their values."""
        return ["the right values" if each.right else self.shape(each) for each in self.site.peek()]

    def shape(self, login):
        user = "the user" if login.user == self.site.user else f"the user {login.user!r}"
        return f"{user} and " + ("the password" if login.password == PASSWORD else f"the password {login.password!r}")


# --- at Chromium itself ---------------------------------------------------------------------------------


def run_control(report, client, site, modules):
    """What the flows told."""
    flows = {}
    with Chromium() as chromium, Relay(chromium.url) as relay:
        bench = Bench(report, client, site, relay)
        with client.start(modules, relay.url, chromium.folder) as running:
            for turn in client.turns:
                bench.case(f"control: logs in: {turn}", control_login, bench, running, turn)
            bench.case("control: elsewhere", control_elsewhere, bench, running)
            bench.case("control: shown", bench.log_in, running, client.turns[0], True)
            for step in [*running.steps, LISTING]:
                if step.startswith("read "):
                    bench.case(f"control: {step}", control_read, bench, running, step)
                elif step.startswith("picture "):
                    bench.case(f"control: {step}", control_picture, bench, running, step)
                elif step == "print":
                    bench.case(f"control: {step}", bench.step, running, step)
        with client.start(modules, relay.url, chromium.folder) as running:
            bench.case("control: all flows", all_flows, client, running)
            for step in [*flow_steps(running), *client.denied]:
                bench.case(f"control: {step}", keep, flows, step, running, site.home)
    return flows


def all_flows(client, running):
    """Each flow is tested, or the client offers nothing for it."""
    missing = {flow for flow in FLOWS if f"flow {flow}" not in running.steps}
    assert missing == set(client.lacks), f"no steps for {missing}"
    for flow, lack in client.lacks.items():
        offered = [tool for tool in running.call("offers") if re.search(lack.words, tool, re.IGNORECASE)]
        assert not offered, f"for {flow} ({lack.why}) there is now {offered}"


def flow_steps(running):
    return [step for step in running.steps if step.startswith("flow ")]


def keep(flows, step, running, home):
    flows[step] = running.call(step, home=home)


def control_login(bench, running, turn):
    outcome, typing, after = bench.log_in(running, turn, True)
    if turn.form in others.KEYS:
        assert others.KEYS[turn.form] in others.leaks(typing + after, outcome), "the value is not found on the wire"
    else:
        assert found(typing + after), "the value is not found on the wire"


def control_elsewhere(bench, running):
    for url in elsewhere(bench.site):
        for way in bench.client.ways:
            bench.step(running, "refused", url=url, password=PASSWORD, way=way)


def control_read(bench, running, step):
    outcome, messages = bench.step(running, step)
    assert found(messages, outcome), f"the value is not found: {json.dumps(outcome)[:2000]}"


def found(messages, *outcome):
    """Whether the value is there, read anew: what an earlier step told does not stand for this one."""
    return Told({"x_password": PASSWORD}).leaks(messages, *outcome)


def control_picture(bench, running, step):
    _, messages = bench.step(running, step)
    assert any(colour > SHOWN for colour in seen(messages)), f"no picture shows the colour: {seen(messages)}"


def elsewhere(site):
    return [f"{site.other}/login/plain", f"{site.cross}/login/plain"]


# --- through Bauta --------------------------------------------------------------------------------------


def run_masked(report, client, site, modules, binary, flows):
    with BrowserSidecar(binary, {site.home: SECRETS | others.SECRETS}) as sidecar:
        with Relay(sidecar.browser) as relay:
            bench = Bench(report, client, site, relay)
            with client.start(modules, relay.url, sidecar.folder) as running:
                for turn in client.turns:
                    bench.case(f"p2: logs in: {turn}", masked_login, bench, running, turn)
                bench.case("p2: refused elsewhere", refused_elsewhere, bench, running)
                bench.case("p1: shown", bench.log_in, running, client.turns[0], False)
                for step in [*running.steps, LISTING]:
                    if step.startswith("read "):
                        bench.case(f"p1: {step}", masked_read, bench, running, step)
                    elif step.startswith("picture "):
                        bench.case(f"p1: {step}", masked_picture, bench, running, step)
                    elif step == "print":
                        bench.case("p1: print after fill", printed, bench, running)
            with client.start(modules, relay.url, sidecar.folder) as running:
                for step in flow_steps(running):
                    bench.case(f"as at Chromium: {step}", unaffected, bench, running, step, flows)
                for step, told in client.denied.items():
                    bench.case(f"denied: {step}", denied, bench, running, step, told)
            bench.case("p1: nothing else on the wire", nothing_left, bench)
    report.case(client.name, "p5: audit", audited, sidecar, site, client.turns)
    report.case(client.name, "p3: output and exit", stopped_in_order, sidecar)


def masked_login(bench, running, turn):
    outcome, typing, after = bench.log_in(running, turn, False)
    if outcome is not None:
        # Some show a password as dots, as people see it.
        assert "x_username" in json.dumps(outcome), outcome
    leaked = bench.told.leaks(typing + after, outcome)
    if turn.form in others.KEYS:
        assert outcome[1] == others.KEYS[turn.form], outcome
        leaked |= others.leaks(typing + after, outcome)
    assert not leaked, f"told: {sorted(leaked)}"
    early = [message for message in typing if BEGINNING in message]
    assert not early, "the beginning of the password came back while typing"


def refused_elsewhere(bench, running):
    """On another origin typing itself is an error that names what was refused, and the site gets nothing."""
    typed = [(way, "x_password") for way in bench.client.ways]
    plain = [way for way in bench.client.ways if way not in bench.client.rewords]
    for way in plain[:1]:
        typed += [(way, "{{x_password}}"), (way, "x_password@example.com")]
    for url in elsewhere(bench.site):
        for way, text in typed:
            bench.relay.take()
            try:
                told = running.call("refused", url=url, password=text, way=way)
            except StepError as error:
                said = str(error)
            else:
                raise AssertionError(f"{way}, {text}: not refused: {told}")
            messages = bench.relay.take()
            if way in bench.client.rewords:
                said = b"\n".join(messages).decode(errors="replace")
            assert "x_password was not typed: " in said, f"{way}, {text}: {said}"
            assert not bench.told.leaks(messages)
        # It takes those that try again their own patience to give up.
        typed = typed[-1:]
    for name in ("other", "cross"):
        leaked = Told({"x_password": PASSWORD}).leaks([bench.site.received(name)])
        assert not leaked, f"{name} received the password"


def masked_read(bench, running, step):
    outcome, messages = bench.step(running, step)
    leaked = bench.told.leaks(messages, outcome)
    assert not leaked, f"told: {sorted(leaked)}\n{json.dumps(outcome)[:3000]}"
    names = Told({"x_password": "x_password"}).leaks(messages, outcome)
    assert names, f"not named: {json.dumps(outcome)[:3000]}"


def masked_picture(bench, running, step):
    _, messages = bench.step(running, step)
    shown = seen(messages)
    assert shown and not any(shown), f"pixels in the colour of values: {shown}"


def printed(bench, running):
    try:
        bench.step(running, "print")
    except StepError:
        return
    raise AssertionError("a page that shows a value was printed")


def unaffected(bench, running, step, flows):
    assert step in flows, "the control failed"
    outcome = running.call(step, home=bench.site.home)
    assert outcome == flows[step], f"expected {flows[step]}, got {outcome}"


def denied(bench, running, step, told):
    try:
        running.call(step, home=bench.site.home)
    except StepError as error:
        assert told in str(error), error
        return
    raise AssertionError("it was not denied")


def nothing_left(bench):
    """What came between the steps, and in the flows."""
    leaked = bench.told.leaks(bench.relay.take())
    assert not leaked, f"told: {sorted(leaked)}"


def audited(sidecar, site, turns):
    events = [json.loads(line) for line in sidecar.audit.splitlines()]
    used = [event for event in events if event["event"] == "substitute"]
    # The first is done once more.
    logins = Counter(others.KEYS.get(turn.form, "x_password") for turn in [*turns, turns[0]])
    uses = Counter(event["key"] for event in used)
    assert logins <= uses, f"{uses} for {logins}\n{sidecar.audit[-4000:]}"
    for event in used:
        assert event["channel"] == "browser" and event["method"] in TYPING, event
        assert event["target"].startswith(f"{site.home} frame "), event
    refused = [event for event in events if event["event"] == "refuse" and event["key"] == "x_password"]
    places = {event["target"].split(" ")[0] for event in refused}
    assert {site.other, site.cross} <= places, f"refusals at {places}"
    leaked = Told(SECRETS).leaks([sidecar.audit.encode()]) | others.leaks(sidecar.audit.encode().splitlines())
    assert not leaked, f"in the audit log: {sorted(leaked)}"


def stopped_in_order(sidecar):
    assert sidecar.exit_code == 0, f"exit code {sidecar.exit_code}\n{sidecar.output[-4000:]}"
    leaked = Told(SECRETS).leaks([sidecar.output.encode()])
    assert not leaked, f"printed: {sorted(leaked)}"


# --- all of it ------------------------------------------------------------------------------------------


def run_client(report, client, modules, binary):
    with Site(SECRETS["x_username"], PASSWORD, others.ACCEPTED) as site:
        flows = run_control(report, client, site, modules)
        site.received("other"), site.received("cross")
        if binary:
            run_masked(report, client, site, modules, binary, flows)


def main(binary, modules, *words):
    # An order to stop unwinds the stack, so that what was started is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary = None if binary == "--control" else binary
    started = time.monotonic()
    clients = [client for client in CLIENTS if chosen(client.name, words)]
    report = Report([], [*(client.name for client in clients), browser_use_run.NAME])
    with ThreadPoolExecutor(AT_ONCE) as pool, ExitStack() as stack:
        stack.callback(pool.shutdown, cancel_futures=True)
        runs = []
        # One case after the other, and none of them short: it begins first.
        if chosen(browser_use_run.NAME, words):
            runs.append(pool.submit(report.group, browser_use_run.NAME, browser_use_run.run, report, binary))
        runs += [pool.submit(report.group, client.name, run_client, report, client, modules, binary) for client in clients]
        for run in runs:
            run.result()
    print(f"in {time.monotonic() - started:.0f} s")
    return report.close()


def chosen(name, words):
    return not words or any(word in name for word in words)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
