"""Whole agents: each reads a file with values in it through a tool call, and sends what it read to the model.

The provider's script calls the tool, the agent runs it, and the text that the model ends with must be what the
agent prints. An agent gets a home folder of its own, dummy keys, and a base URL: the provider's own (the control) or
Bauta's.
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import readings
from carriers import SECRETS, SITE
from not_yet import FALLS_BACK, expected, landed
from script import TEXT
from scripted_provider import Provider
from sidecar import Sidecar
from wire import WEBSOCKET

# Seconds. What an agent takes is a tenth of it; it is met only by one that hangs.
PATIENCE = 180
PROMPT = "Show me the file notes.txt."
NAMES = ["x_username", "x_password", "x_api_key", "x_regex", "x_private_key"]
HIDDEN = {name: SECRETS[name] for name in NAMES}
# A model reads these; the key is in base64, and so is its name.
LEGIBLE = [name for name in NAMES if name != "x_api_key"]


def notes():
    """What people keep in such files: plain values, a key file, a header, an address."""
    credentials = base64.b64encode(f"deploy:{SECRETS['x_api_key']}".encode()).decode()
    token = urllib.parse.quote(SECRETS["x_regex"], safe="")
    lines = ["# How to reach the stage, naïve edition 🎭", f"user: {SECRETS['x_username']}"]
    lines += [f"password: {SECRETS['x_password']}", f"curl -H 'Authorization: Basic {credentials}' \\"]
    lines += [f"  'https://app.example.com/deploy?token={token}&dry=1'", SECRETS["x_private_key"], "end", ""]
    return "\n".join(lines)


@dataclass
class Urls:
    """The three dialects' base URLs."""

    openai: str
    anthropic: str
    gemini: str


@dataclass
class Agent:
    """`prepare(home, work, urls)` writes what the agent needs, and returns its arguments and its environment.

    `calls` is what the script calls its tools with, `transport` how it is to talk to the model.
    """

    name: str
    command: str
    prepare: Callable
    calls: dict
    transport: str = "HTTP"
    websockets: bool = True


# --- how each is set up --------------------------------------------------------------------------------

CODEX = """\
model = "gpt-5"
check_for_update_on_startup = false
{provider}
[analytics]
enabled = false
"""

CODEX_OWN = """\
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "{url}"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
supports_websockets = {websockets}
"""


def codex(home, work, urls, websockets="false"):
    provider = CODEX_OWN.format(url=urls.openai, websockets=websockets)
    return codex_with(home, work, provider) | {"SCRIPTED_KEY": "sk-dummy"}


def codex_websocket(home, work, urls):
    return codex(home, work, urls, "true")


def codex_zstd(home, work, urls):
    """Signed in to ChatGPT, by a token that nobody signed: only so it compresses."""
    account = {"chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1", "chatgpt_account_id": "account-1"}
    claims = {"email": "nobody@example.com", "exp": 4102444800, "https://api.openai.com/auth": account}
    token = ".".join(unsigned(part) for part in ({"alg": "none", "typ": "JWT"}, claims)) + ".c2lnbmF0dXJl"
    tokens = {"id_token": token, "access_token": token, "refresh_token": "dummy", "account_id": "account-1"}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    auth = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": now}
    url = f'openai_base_url = "{urls.openai}"\nchatgpt_base_url = "{urls.openai}/backend-api"\n'
    environment = codex_with(home, work, url)
    (home / "codex" / "auth.json").write_text(json.dumps(auth))
    return environment


def unsigned(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def codex_with(home, work, provider):
    (home / "codex").mkdir()
    (home / "codex" / "config.toml").write_text(CODEX.format(provider=provider))
    return {"CODEX_HOME": str(home / "codex")}


CODEX_ARGUMENTS = ["exec", "--skip-git-repo-check", "--sandbox", "danger-full-access"]
CODEX_ARGUMENTS += ["--disable", "plugins", "--disable", "apps", PROMPT]


def opencode(home, work, urls):
    models = {"scripted-1": {"name": "scripted"}}
    options = {"baseURL": urls.openai, "apiKey": "sk-dummy"}
    own = {"npm": "@ai-sdk/openai-compatible", "name": "scripted", "options": options, "models": models}
    settings = {"provider": {"scripted": own}, "model": "scripted/scripted-1", "permission": "allow"}
    (work / "opencode.json").write_text(json.dumps(settings))
    return {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}


def gemini(home, work, urls):
    auth = {"auth": {"selectedType": "gemini-api-key"}}
    settings = {"security": auth, "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False}}
    settings["general"] = {"disableAutoUpdate": True, "enableAutoUpdate": False}
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    return {"GEMINI_API_KEY": "AIza-dummy", "GOOGLE_GEMINI_BASE_URL": urls.gemini, "GEMINI_CLI_TRUST_WORKSPACE": "true"}


def claude(home, work, urls):
    switches = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return {"ANTHROPIC_BASE_URL": urls.anthropic, "ANTHROPIC_API_KEY": "sk-ant-dummy"} | switches


CAT = {"exec_command": {"cmd": "cat notes.txt"}, "shell_command": {"command": "cat notes.txt"}}
BASH = {"bash": {"command": "cat notes.txt", "description": "Shows the notes"}}
AGENTS = (
    Agent("codex, HTTP", "codex", codex, CAT),
    Agent("codex, zstd", "codex", codex_zstd, CAT, "zstd", websockets=False),
    Agent("codex, WebSocket", "codex", codex_websocket, CAT, "WebSocket"),
    Agent("opencode", "opencode", opencode, BASH),
    Agent("gemini-cli", "gemini", gemini, {"read_file": {"file_path": "notes.txt"}}),
    Agent("claude-code", "claude", claude, {"Read": {"file_path": "notes.txt"}}),
)
ARGUMENTS = {
    "codex": CODEX_ARGUMENTS,
    "opencode": ["run", PROMPT],
    "gemini": ["-m", "gemini-2.5-pro", "--yolo", "-p", PROMPT],
    "claude": ["-p", PROMPT, "--model", "claude-sonnet-4-5", "--allowedTools", "Read"],
}


# --- one run -------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """How a run ended, and what reached the provider meanwhile."""

    code: int
    output: str
    requests: list
    raw: bytes

    def transport(self):
        sent = [request for request in self.requests if b"notes.txt" in request.content]
        if any(request.method == WEBSOCKET for request in sent):
            return "WebSocket"
        codings = {request.header("content-encoding") for request in sent}
        return "zstd" if "zstd" in codings else "HTTP" if sent else "none"

    def content(self, seen):
        """The agent ended well, and said what the model said."""
        said = f"{TEXT} Seen: {', '.join(seen) or 'nothing'}."
        words = re.sub(r"\s+", " ", self.output)
        return self.code == 0 and re.sub(r"\s+", " ", said) in words

    def told(self):
        targets = [f"{r.method} {r.target.split('?')[0]}" for r in self.requests]
        return f"exit code {self.code}, requests {targets}\n{self.output[-4000:]}"


class Running:
    """The agents' processes, so that an order to stop ends them too."""

    def __init__(self):
        self._lock, self._process, self._stopped = threading.Lock(), None, False

    def start(self, *arguments, **options):
        with self._lock:
            if self._stopped:
                # Ends this thread alone, and what it holds is put away.
                sys.exit()
            self._process = subprocess.Popen(*arguments, **options)
            return self._process

    def stop(self):
        with self._lock:
            self._stopped = True
            if self._process is not None:
                end_session(self._process)


RUNNING = Running()


def run(agent, modules, provider, urls):
    with tempfile.TemporaryDirectory(prefix="bauta-agent-", ignore_cleanup_errors=True) as folder:
        home, work = Path(folder, "home"), Path(folder, "work")
        for each in (home, work, home / "tmp"):
            each.mkdir()
        (work / "notes.txt").write_text(notes())
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp")}
        environment |= {"LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1"}
        environment |= agent.prepare(home, work, urls)
        command = [Path(modules, "node_modules", ".bin", agent.command), *ARGUMENTS[agent.command]]
        # A session of its own: whatever the agent started ends with it.
        process = RUNNING.start(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return Outcome(*ended(process), *provider.take())


def ended(process):
    """Waits for the end of a process and of its session; the exit code, and what it said."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        end_session(process)
        output = process.communicate()[0] + b"\nIt did not end in time."
    end_session(process)
    return process.returncode, output.decode(errors="replace")


def end_session(process):
    """Ends what the process started in its session, and itself if it still runs."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def control(agent, modules):
    """Without Bauta every value reaches the provider, over the transport that the case is about."""
    with Provider(NAMES, agent.calls, agent.websockets) as provider:
        urls = Urls(f"{provider.url}/v1", provider.url, provider.url)
        outcome = run(agent, modules, provider, urls)
    assert outcome.content([]), outcome.told()
    assert outcome.transport() == agent.transport, outcome.told()
    found = readings.leaks(outcome.raw, HIDDEN)
    assert found == set(NAMES), f"not found: {sorted(set(NAMES) - found)}\n{outcome.told()}"


def masked(agent, modules, binary):
    """Through Bauta none does, every name does instead, and the agent is as content."""
    gap = expected(agent.name)
    with ExitStack() as stack:
        provider = stack.enter_context(Provider(NAMES, agent.calls, agent.websockets))
        sidecar = stack.enter_context(Sidecar(binary, provider.url, {SITE: HIDDEN}))
        urls = Urls(f"{sidecar.url}/openai/v1", f"{sidecar.url}/anthropic", f"{sidecar.url}/gemini")
        outcome = run(agent, modules, provider, urls)
    leaked = readings.leaks(outcome.raw, HIDDEN)
    assert not leaked, f"got through: {sorted(leaked)}\n{outcome.told()}"
    assert not readings.leaks(sidecar.output.encode(), HIDDEN)
    if isinstance(gap, int):
        if outcome.content(LEGIBLE):
            raise landed(agent.name)
        assert str(gap) in outcome.output and outcome.transport() == "none", outcome.told()
        return
    assert outcome.content(LEGIBLE), outcome.told()
    kept = readings.leaks(outcome.raw, {name: name for name in NAMES})
    assert kept == set(NAMES), f"not named: {sorted(set(NAMES) - kept)}\n{outcome.told()}"
    if gap == FALLS_BACK:
        if outcome.transport() == agent.transport:
            raise landed(agent.name)
        return
    assert outcome.transport() == agent.transport, outcome.told()
