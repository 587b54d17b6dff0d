"""The browser clients under test: how each is started, and how it is to log in."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from browser_others import KEYS

HERE = Path(__file__).parent
# Seconds for a step; met only by a client that hangs.
PATIENCE = 90
SPELLINGS = {
    "bare": "{}",
    "tags": "<secret>{}</secret>",
    "braces": "{{{{{}}}}}",
    "percent": "%{}%",
    "dollar": "$[secret:{}]",
    "angles": "<<<{}>>>",
}


@dataclass
class Turn:
    """A login: the form on the site, how the client types, how the names are spelled, and what else the step takes.

    `around`: whether text of the client's own stands beside the name.
    """

    form: str
    way: str
    spelling: str = "bare"
    more: dict = field(default_factory=dict)
    around: bool = False

    def __str__(self):
        return f"{self.form} form, {self.way}, {self.spelling}{', amid text' if self.around else ''}"

    def url(self, site):
        # The far frame is the home origin's, in a page of another site.
        return f"{site.cross if self.form == 'far' else site.home}/login/{self.form}"


# What every client must be seen to do without secrets, by a step `flow …`, unless it has no means of its own for it.
FLOWS = ("navigation", "download", "upload", "interception", "tabs", "print")


@dataclass
class Lack:
    """A flow for which a client has no means: why, and what none of its tools says of itself, as long as that is so."""

    why: str
    words: str


@dataclass
class Client:
    """`rewords`: the ways of typing in which the client tries again, and words what came of it itself.

    `lacks`: the flows for which it has no means. `denied`: steps that Bauta refuses whatever the secrets, and what the client
    makes of that.
    """

    name: str
    program: list
    turns: list
    rewords: tuple = ()
    lacks: dict = field(default_factory=dict)
    denied: dict = field(default_factory=dict)

    @property
    def ways(self):
        return list(dict.fromkeys(turn.way for turn in self.turns))

    def start(self, modules, url, folder):
        return Running([*self.program, modules, url, folder], folder)


def node(name):
    return ["node", HERE / "node" / f"{name}.mjs"]


FRAME, OPEN = {"frame": True}, {"open": True}


def other(way, forms=KEYS, spelling="bare"):
    """A login for each of those forms."""
    return [Turn(form, way, spelling, {"form": form}) for form in forms]


CLIENTS = (
    Client(
        "playwright-core",
        node("browser_playwright"),
        [
            Turn("plain", "fill"),
            Turn("plain", "fill", "braces", around=True),
            Turn("plain", "keys", "tags", around=True),
            Turn("scripted", "slow keys"),
            Turn("open", "insert", "braces"),
            Turn("closed", "keyboard", "percent", {"closed": True}),
            Turn("near", "keyboard", "dollar", FRAME),
            Turn("far", "fill", "angles", FRAME),
            Turn("far", "keys", "bare", FRAME),
            *other("keys"),
            # A text as a whole gets into no box but the first, and into no date: not from a person, that is.
            *other("insert", ("editable", "pin"), "braces"),
        ],
        rewords=("fill", "keys", "slow keys"),
    ),
    Client(
        "puppeteer-core",
        node("browser_puppeteer"),
        [
            Turn("plain", "keys"),
            Turn("plain", "fill", "braces", around=True),
            Turn("scripted", "fill"),
            Turn("open", "slow keys", "bare", OPEN),
            Turn("near", "insert", "percent", FRAME),
            Turn("far", "keys", "tags", FRAME),
            *other("keys"),
        ],
        rewords=("fill",),
    ),
    Client(
        "@playwright/mcp",
        node("browser_playwright_mcp"),
        [
            Turn("plain", "whole"),
            Turn("plain", "slowly", "tags"),
            Turn("open", "form"),
            Turn("near", "slowly", "bare", FRAME),
            Turn("far", "whole", "braces", FRAME),
        ],
        rewords=("whole", "slowly", "form"),
    ),
    Client(
        "chrome-devtools-mcp",
        node("browser_devtools_mcp"),
        [
            Turn("plain", "fill"),
            Turn("scripted", "type", "tags"),
            Turn("open", "form"),
            Turn("near", "type"),
            Turn("far", "fill", "braces"),
        ],
        rewords=("fill", "form"),
        lacks={"print": Lack("it takes pictures, and has no tool that prints", r"pdf|\bprint")},
        denied={"film": "does not support screen recording"},
    ),
    Client(
        "selenium",
        [sys.executable, HERE / "browser_selenium.py"],
        [
            Turn("plain", "keys"),
            Turn("scripted", "actions", "tags"),
            Turn("open", "keys", "braces", OPEN),
            Turn("near", "keys", "bare", FRAME),
            Turn("far", "actions", "percent", FRAME),
            *other("keys"),
        ],
        # Chromedriver's BiDi is a script in a hidden page, which `Target.exposeDevToolsProtocol` lets drive the whole browser.
        denied={"bidi": "Failed to initialize BiDi Mapper"},
    ),
)


class StepError(Exception):
    """What a step failed with, in the client's own words."""


class Running:
    """A client that does one step after another, as `node/browser_steps.mjs` says."""

    def __init__(self, command, folder):
        # Some keep what they download or take among the temporary files: the one folder that Bauta allows.
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "SE_OFFLINE": "true"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        self._process = subprocess.Popen([str(each) for each in command], env=environment, start_new_session=True, cwd=folder, **pipes)
        self.steps = self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """The end of its input ends a client, and it must end by itself."""
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            end(self._process)
            self._process.stdout.close()

    def call(self, step, **given):
        self._process.stdin.write(json.dumps({"step": step, **given}) + "\n")
        self._process.stdin.flush()
        outcome = self._answer()
        if "error" in outcome:
            raise StepError(outcome["error"])
        return outcome["told"]

    def _answer(self):
        alarm = threading.Timer(PATIENCE, end, [self._process])
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        if not line:
            raise StepError("the client ended, or hung")
        return json.loads(line)


def end(process):
    """Ends what is left of a client's session."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
