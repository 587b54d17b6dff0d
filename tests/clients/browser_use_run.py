"""A whole browser-use agent, with its browser and its model behind the same sidecar.

It is told its task in names. The model, which is scripted, answers in names; the site must get the real values, the agent
must find what it typed in the fields, and neither the model nor the agent may be told a value. The control is the same
agent at Chromium and at the provider itself, told the real values. A second script needs no secret: what comes of it must be
the same both times.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from browser_chromium import Chromium
from browser_clients import FLOWS, SPELLINGS, Lack
from browser_model import STEPS, AgentScript
from browser_model import flows as flow_plan
from browser_model import log_in as login_plan
from browser_relay import Relay
from browser_sidecar import BrowserSidecar
from browser_site import Site
from browser_told import SHOWN, Told, seen
from scripted_provider import Provider

NAME = "browser-use"
PROGRAM = Path(__file__).parent / "browser_agent.py"
PATIENCE = 120
# How often the flows are begun.
TRIES = 5
SECRETS = {"x_username": "alice.meier+ops@example.com", "x_password": 'Tr0ub&dor"3/ö-q7'}
LACKS = {"interception": Lack("an agent has no action that holds or changes requests", "route|intercept|request|block|mock")}
# Nothing is to be asked of anybody but the model and the browser.
QUIET = ("ANONYMIZED_TELEMETRY", "BROWSER_USE_CLOUD_SYNC", "BROWSER_USE_VERSION_CHECK", "BROWSER_USE_CLOUD_HINTS")


def run(report, binary):
    with Site(*SECRETS.values()) as site:
        report.case(NAME, "control", control, site)
        report.group(NAME, all_flows, report, site, binary)
        if binary:
            for spelling in ("bare", "tags"):
                report.case(NAME, f"p1: {spelling}", masked, site, binary, SPELLINGS[spelling])


def act(task, browser, model, folder):
    """What the agent told of its run."""
    with tempfile.TemporaryDirectory(prefix="bauta-agent-", ignore_cleanup_errors=True) as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "BROWSER_USE_CONFIG_DIR": f"{home}/config"}
        environment |= {name: "false" for name in QUIET}
        command = [sys.executable, PROGRAM, browser, model, folder, task]
        outcome = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, timeout=PATIENCE)
    assert outcome.returncode == 0, outcome.stderr[-4000:]
    return json.loads(outcome.stdout.splitlines()[-1]), outcome.stdout + outcome.stderr


def succeeded(told, said):
    assert told["done"] and not told["errors"], f"{told}\n{said[-4000:]}"


def log_in(site, browser, model, folder, user, password):
    task = f"Log in at {site.home}/login/plain as {user} with the password {password}, and tell what the account's page says."
    told, said = act(task, browser, model, folder)
    succeeded(told, said)
    return told, said


def provider(names, plan):
    provider = Provider(names)
    provider.script = AgentScript(names, plan)
    return provider


def login_provider(site, names, user, password):
    return provider(names, login_plan(names, f"{site.home}/login/plain", user, password))


def right(site):
    logins = site.logins()
    assert [login.right for login in logins] == [True], [(login.user, login.password) for login in logins]


def control(site):
    """The agent logs in, and both its model and its browser show it the password, in text and in pictures."""
    user, password = SECRETS.values()
    with ExitStack() as stack:
        chromium = stack.enter_context(Chromium())
        relay = stack.enter_context(Relay(chromium.url))
        model = stack.enter_context(login_provider(site, [], user, password))
        log_in(site, relay.url, f"{model.url}/v1", chromium.folder, user, password)
        right(site)
        requests, _ = model.take()
        messages = relay.take()
    bodies = [request.content for request in requests]
    for told in (messages, bodies):
        assert Told(SECRETS).leaks(told) == set(SECRETS)
        assert any(colour > SHOWN for colour in seen(told)), seen(told)


def masked(site, binary, spelling):
    user, password = (spelling.format(key) for key in SECRETS)
    with ExitStack() as stack:
        model = stack.enter_context(login_provider(site, list(SECRETS), user, password))
        sidecar = stack.enter_context(BrowserSidecar(binary, {site.home: SECRETS}, model.url))
        relay = stack.enter_context(Relay(sidecar.browser))
        told, output = log_in(site, relay.url, f"{sidecar.url}/openai/v1", sidecar.folder, user, password)
        right(site)
        requests, raw = model.take()
        messages = relay.take()
    # The model was shown the names where the page shows the values.
    assert told["result"] == f"Seen: {', '.join(SECRETS)}.", told
    bodies = [request.content for request in requests]
    extract = [body for body in bodies if b"agent_output" not in body]
    assert extract and all(b"x_password" in body for body in extract), extract
    for kind, what in (("client", messages), ("model", bodies), ("agent", [output.encode(), raw])):
        leaked = Told(SECRETS).leaks(what)
        assert not leaked, f"the {kind} was told {sorted(leaked)}"
        assert not any(seen(what)), f"the {kind} was shown pictures with pixels in the colour of values: {seen(what)}"
    assert seen(messages) and seen(bodies)
    events = [json.loads(line) for line in sidecar.audit.splitlines()]
    used = [event for event in events if event["event"] == "substitute" and event["channel"] == "browser"]
    assert {event["key"] for event in used} == set(SECRETS), sidecar.audit[-4000:]
    assert sidecar.exit_code == 0 and not Told(SECRETS).leaks([sidecar.output.encode()]), sidecar.output[-4000:]


# --- without secrets ------------------------------------------------------------------------------------


class Blind(AssertionError):
    """The agent did not learn the address of a tab: on a busy machine browser-use misses it, at Chromium itself too."""


def all_flows(report, site, binary):
    expected, offered = seeing(flows_at_chromium, site)
    report.case(NAME, "control: all flows", every_flow, expected, offered)
    if binary:
        found = seeing(flows_through_bauta, site, binary)
        for flow in STEPS:
            report.case(NAME, f"as at Chromium: flow {flow}", same, found[flow], expected[flow])


def seeing(run, *arguments):
    """The first run, each with a new browser, in which the agent knew its tabs."""
    for _ in range(TRIES - 1):
        try:
            return run(*arguments)
        except Blind:
            pass
    return run(*arguments)


def flows_at_chromium(site):
    with Chromium() as chromium, Provider([]) as model:
        model.script = flow_script(site, chromium.folder)
        return do_flows(site, chromium.url, f"{model.url}/v1", chromium.folder), model.script.offered


def flows_through_bauta(site, binary):
    # The script names files of the folder, which is there only once the sidecar is.
    with Provider([]) as model, BrowserSidecar(binary, {site.home: SECRETS}, model.url) as sidecar:
        model.script = flow_script(site, sidecar.folder)
        return do_flows(site, sidecar.browser, f"{sidecar.url}/openai/v1", sidecar.folder)


def flow_script(site, folder):
    return AgentScript([], flow_plan(site.home, str(mine(folder))))


def mine(folder):
    return folder / "mine.txt"


def do_flows(site, browser, model, folder):
    """What each flow told, in words that do not depend on ports and places."""
    mine(folder).write_text("what is mine\n")
    told, said = act(f"Try what there is at {site.home}/flow/start.", browser, model, folder)
    if any("" in step["tabs"] for step in told["steps"]):
        raise Blind(f"{told}\n{said[-4000:]}")
    succeeded(told, said)
    steps, flows = iter(told["steps"]), {}
    for flow, count in STEPS.items():
        flows[flow] = [plain(next(steps), site, folder) for _ in range(count)]
    flows["download"].append((folder / "report.txt").read_text())
    return flows


def plain(step, site, folder):
    text = json.dumps(step).replace(site.home, "HOME").replace(str(folder), "FOLDER")
    # Elements have numbers of the browser's, and a tab goes by the end of its own; a printed page says when it was.
    return json.loads(re.sub(r"(tab_id: |#)[0-9A-F]{4}\b|(index )\d+|[\d,]+( bytes)", r"\1\2N\3", text))


def every_flow(expected, offered):
    """The flows did what they are for, and what is not tested the agent has no action for."""
    assert set(FLOWS) == set(STEPS) | set(LACKS)
    said = {flow: json.dumps(told) for flow, told in expected.items()}
    assert "A second page" in said["navigation"] and "of a report" in said["download"], said
    assert "mine.txt" in said["upload"] and "HOME/flow/next" in said["tabs"] and "%PDF-" in said["print"], said
    assert {"navigate", "upload_file", "save_as_pdf"} <= offered, offered
    for flow, lack in LACKS.items():
        found = [action for action in offered if re.search(lack.words, action)]
        assert not found, f"for {flow} ({lack.why}) there is now {found}"


def same(found, expected):
    # Whether a page has its title already when a step looks is a matter of moments.
    found, expected = (
        [{**step, "title": None} if isinstance(step, dict) else step for step in steps] for steps in (found, expected)
    )
    assert found == expected, f"expected {expected}, got {found}"
