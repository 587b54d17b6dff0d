"""A whole browser-use agent, with its browser and its model behind the same sidecar.

It is told its task in names. The model, which is scripted, answers in names; the site must get the real values, the agent
must find what it typed in the fields, and neither the model nor the agent may be told a value. The control is the same
agent at Chromium and at the provider itself, told the real values.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from browser_chromium import Chromium
from browser_model import AgentScript
from browser_relay import Relay
from browser_sidecar import BrowserSidecar
from browser_site import Site
from browser_told import SHOWN, Told, seen
from browser_clients import SPELLINGS
from scripted_provider import Provider

NAME = "browser-use"
PROGRAM = Path(__file__).parent / "browser_agent.py"
PATIENCE = 120
SECRETS = {"x_username": "alice.meier+ops@example.com", "x_password": 'Tr0ub&dor"3/ö-q7'}
# Nothing is to be asked of anybody but the model and the browser.
QUIET = ("ANONYMIZED_TELEMETRY", "BROWSER_USE_CLOUD_SYNC", "BROWSER_USE_VERSION_CHECK", "BROWSER_USE_CLOUD_HINTS")


def run(report, binary):
    with Site(*SECRETS.values()) as site:
        report.case(NAME, "control", control, site)
        if binary:
            for spelling in ("bare", "tags"):
                report.case(NAME, f"p1: {spelling}", masked, site, binary, SPELLINGS[spelling])


def log_in(site, browser, model, user, password):
    """What the agent told of its run."""
    with tempfile.TemporaryDirectory(prefix="bauta-agent-", ignore_cleanup_errors=True) as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "BROWSER_USE_CONFIG_DIR": f"{home}/config"}
        environment |= {name: "false" for name in QUIET}
        task = f"Log in at {site.home}/login/plain as {user} with the password {password}, and tell what the account's page says."
        command = [sys.executable, PROGRAM, browser, model, task]
        outcome = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, timeout=PATIENCE)
    assert outcome.returncode == 0, outcome.stderr[-4000:]
    told = json.loads(outcome.stdout.splitlines()[-1])
    assert told["done"] and not told["errors"], f"{told}\n{outcome.stderr[-4000:]}"
    return told, outcome.stdout + outcome.stderr


def provider(site, names, user, password):
    provider = Provider(names)
    provider.script = AgentScript(names, f"{site.home}/login/plain", user, password)
    return provider


def right(site):
    logins = site.logins()
    assert [login.right for login in logins] == [True], [(login.user, login.password) for login in logins]


def control(site):
    """The agent logs in, and both its model and its browser show it the password, in text and in pictures."""
    user, password = SECRETS.values()
    with ExitStack() as stack:
        chromium = stack.enter_context(Chromium())
        relay = stack.enter_context(Relay(chromium.url))
        model = stack.enter_context(provider(site, [], user, password))
        log_in(site, relay.url, f"{model.url}/v1", user, password)
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
        model = stack.enter_context(provider(site, list(SECRETS), user, password))
        sidecar = stack.enter_context(BrowserSidecar(binary, {site.home: SECRETS}, model.url))
        relay = stack.enter_context(Relay(sidecar.browser))
        told, output = log_in(site, relay.url, f"{sidecar.url}/openai/v1", user, password)
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
