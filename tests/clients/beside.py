"""`bauta run`: a command whose only way to a model is its environment, and which has no real key in it.

The parent's environment holds the real key. It must not reach the command; what reaches the command is the name. The
provider must get the real one all the same, in the header in which its clients send it, and nowhere else.
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import readings
from agents import CODEX_ARGUMENTS, HIDDEN, LEGIBLE, NAMES, PATIENCE, PROMPT, Outcome, RUNNING, end_session, ended, notes
from carriers import SITE
from scripted_provider import Provider
from wire import WEBSOCKET

REAL = {"x_openai_key": "sk-proj-7Kq2Vx9TzLm4Rb8WcN1y", "x_anthropic_key": "sk-ant-api03-5Jd8QpXw2MfYv6Ht"}
REAL |= {"x_gemini_key": "AIzaSyD4k9Lm2Xc7Vb1Nq8Wz"}
HEADERS = {"authorization": "Bearer {}", "x-api-key": "{}", "x-goog-api-key": "{}"}

CONFIG = """\
[[model.provider]]
name = "openai"
upstream = "{url}"
secret = "x_openai_key"

[[model.provider]]
name = "anthropic"
upstream = "{url}"
secret = "x_anthropic_key"

[[model.provider]]
name = "gemini"
upstream = "{url}"
secret = "x_gemini_key"
"""

# Reads nothing but its environment, as an agent of one's own would.
AGENT = """\
import os, pathlib
import anthropic, openai
from google import genai

pathlib.Path("environment.txt").write_text("".join(f"{name}={value}\\n" for name, value in os.environ.items()))
text = pathlib.Path("notes.txt").read_text()
said = [{"role": "user", "content": text}]
answer = openai.OpenAI().chat.completions.create(model="scripted-1", messages=said)
print(answer.choices[0].message.content)
answer = anthropic.Anthropic().messages.create(model="scripted-1", max_tokens=64, messages=said)
print(answer.content[0].text)
google = genai.Client()
print(google.models.generate_content(model="scripted-1", contents=text).text)
"""

# What the agents' tools are called with.
SHOW = "cat notes.txt; env > environment.txt"

# Counts what Ctrl-C does to it, then says so.
COUNTS = """\
import signal, sys, time
interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(1))
print("ready", flush=True)
while not interrupts:
    # A pause would miss one that comes right before it.
    time.sleep(0.05)
# A second one would come at once, if it came.
time.sleep(1)
print(f"{len(interrupts)} interrupts", flush=True)
sys.exit(9)
"""


@contextmanager
def place():
    """A home, a folder to work in, and one for Bauta."""
    with tempfile.TemporaryDirectory(prefix="bauta-run-", ignore_cleanup_errors=True) as folder:
        folder = Path(folder)
        for name in ("home", "home/tmp", "work", "bauta"):
            (folder / name).mkdir()
        (folder / "work" / "notes.txt").write_text(notes())
        yield folder


def surroundings(folder):
    """The parent's environment, which holds what a developer's shell holds."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder / "home" / "tmp")}
    environment |= {"LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1"}
    environment["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = "1"
    keys = {"OPENAI_API_KEY": REAL["x_openai_key"], "ANTHROPIC_API_KEY": REAL["x_anthropic_key"]}
    return environment | keys | {"GEMINI_API_KEY": REAL["x_gemini_key"], "DEPLOY_TOKEN": HIDDEN["x_api_key"]}


def prepare(folder, url):
    (folder / "bauta" / "bauta.toml").write_text(CONFIG.format(url=url))
    secrets = folder / "bauta" / "secrets.json"
    secrets.touch(mode=0o600)
    secrets.write_text(json.dumps({SITE: HIDDEN, url: REAL}))
    return ["--config", folder / "bauta" / "bauta.toml"], secrets


def beside(binary, folder, options, command):
    """Runs a command to its end."""
    process = RUNNING.start(
        [binary, "run", *options, "--", *command],
        cwd=folder / "work",
        env=surroundings(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return ended(process)


def judge(folder, outcome, log, keys):
    """Values became names, names became the credentials, and both left a trace."""
    assert outcome.content(LEGIBLE), outcome.told()
    leaked = readings.leaks(outcome.raw, HIDDEN)
    assert not leaked, f"got through: {sorted(leaked)}\n{outcome.told()}"
    kept = readings.leaks(outcome.raw, {name: name for name in NAMES})
    assert kept == set(NAMES), f"not named: {sorted(set(NAMES) - kept)}\n{outcome.told()}"

    for request in outcome.requests:
        # Claude Code looks whether anybody is there, without a credential.
        if request.method not in (WEBSOCKET, "HEAD"):
            sent = {request.header(name) for name in HEADERS} - {None}
            expected = {shape.format(REAL[key]) for key in keys for shape in HEADERS.values()}
            assert len(sent) == 1 and sent <= expected, f"{request.method} {request.target} came with other credentials"
        assert not readings.leaks(request.content, REAL), f"a credential in a body\n{outcome.told()}"

    environment = (folder / "work" / "environment.txt").read_text()
    for name, value in (HIDDEN | REAL).items():
        assert value not in environment, f"{name} stands in the environment"
        assert value not in log, f"{name} stands in the audit log"
    # What it was given it may show, such as the file that it was asked for.
    assert not any(value in outcome.output for value in REAL.values())
    assert "x_openai_key" in environment and "DEPLOY_TOKEN" not in environment
    assert "not handed on to the command: ANTHROPIC_API_KEY, DEPLOY_TOKEN, GEMINI_API_KEY, OPENAI_API_KEY" in outcome.output
    events = [json.loads(line) for line in log.splitlines()]
    for key in keys:
        used = [event for event in events if event["event"] == "substitute" and key in json.dumps(event)]
        assert used, f"no use of {key} in the audit log\n{log}"
    assert any(event["event"] == "mask" for event in events), log


def python(binary):
    """An agent of three SDKs, with the secrets in the vault."""
    with place() as folder, Provider(NAMES) as provider:
        options, secrets = prepare(folder, provider.url)
        (folder / "work" / "agent.py").write_text(AGENT)
        imported = [binary, "secret", "import", *options, secrets]
        subprocess.run(imported, check=True, capture_output=True, env=surroundings(folder), timeout=PATIENCE)
        secrets.unlink()
        code, output = beside(binary, folder, options, [sys.executable, "agent.py"])
        outcome = Outcome(code, output, *provider.take())
        judge(folder, outcome, (folder / "bauta" / "data" / "audit.log").read_text(), list(REAL))


def codex(binary, modules):
    """Codex, which reads no base URL from its environment."""
    calls = {"exec_command": {"cmd": SHOW}, "shell_command": {"command": SHOW}}
    arguments = [*CODEX_ARGUMENTS[:-1], "-m", "gpt-5", CODEX_ARGUMENTS[-1]]
    whole_agent(binary, Path(modules, "node_modules", ".bin", "codex"), arguments, calls, "x_openai_key")


def claude(binary, modules):
    """Claude Code, which gets one more variable by name."""
    calls = {"Bash": {"command": SHOW, "description": "Shows the notes"}}
    arguments = ["-p", PROMPT, "--model", "claude-sonnet-4-5", "--allowedTools", "Bash"]
    program = Path(modules, "node_modules", ".bin", "claude")
    whole_agent(binary, program, arguments, calls, "x_anthropic_key", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")


def whole_agent(binary, program, arguments, calls, key, *named):
    """An agent that reads the notes by a tool, with the secrets in a file."""
    with place() as folder, Provider(NAMES, calls) as provider:
        options, secrets = prepare(folder, provider.url)
        handed_on = [word for name in named for word in ("--env", name)]
        code, output = beside(binary, folder, [*options, "--secrets", secrets, *handed_on], [program, *arguments])
        outcome = Outcome(code, output, *provider.take())
        (log,) = (folder / "bauta" / "data").glob("audit-run-*.log")
        judge(folder, outcome, log.read_text(), [key])


def ctrl_c(binary):
    """At a terminal, what is typed reaches the command once, and its exit code is ours."""
    with place() as folder, Provider() as provider:
        options, secrets = prepare(folder, provider.url)
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(folder / "work")
            command = [binary, "run", *options, "--secrets", secrets, "--", sys.executable, "-c", COUNTS]
            os.execve(binary, [str(each) for each in command], surroundings(folder))
        output, typed, patience = b"", False, time.monotonic() + PATIENCE
        while True:
            if not select.select([terminal], [], [], max(0, patience - time.monotonic()))[0]:
                os.killpg(process, signal.SIGKILL)
                output += b"\nIt did not end in time."
                break
            try:
                more = os.read(terminal, 4096)
            except OSError:
                more = b""
            if not more:
                break
            output += more
            # Its echo may come late.
            if b"ready" in output and not typed:
                typed = True
                os.write(terminal, b"\x03")
        os.close(terminal)
        _, status = os.waitpid(process, 0)
        said = output.decode(errors="replace")
        assert re.search(r"(?<!\d)1 interrupts", said), said
        assert os.waitstatus_to_exitcode(status) == 9, said
