"""What an agent does with the SDKs for Node: a process that runs the exchanges of `node/exchanges.mjs`."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(__file__).parent / "node" / "exchanges.mjs"


class NodeError(Exception):
    """What an SDK for Node threw, and the HTTP status that it told, if it did."""

    def __init__(self, outcome):
        super().__init__(outcome["error"])
        self.status_code = outcome["status"]


class Node:
    """A Node process whose SDKs talk to these three base URLs. It starts with the first call."""

    def __init__(self, modules, *urls):
        self._command, self._process = ["node", PROGRAM, modules, *urls], None

    def call(self, exchange, text):
        if self._process is None:
            self._start()
        self._process.stdin.write(json.dumps({"exchange": exchange, "text": text}) + "\n")
        self._process.stdin.flush()
        outcome = json.loads(self._process.stdout.readline())
        if "error" in outcome:
            raise NodeError(outcome)
        return outcome["told"]

    def _start(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        self._process = subprocess.Popen(self._command, cwd=tempfile.gettempdir(), **pipes)
        names = json.loads(self._process.stdout.readline())
        assert names == NAMES, f"{PROGRAM.name} has {names}"

    def close(self):
        """The end of its input ends the process."""
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait(60)
            self._process.stdout.close()


def exchange(name):
    def run(clients, text):
        return clients.node.call(name, text)

    run.__name__ = f"node_{name}"
    return run


@dataclass
class Package:
    """The exchanges of one npm package, as the modules `sdk_….py` have them."""

    EXCHANGES: tuple
    SURFACES: tuple = ()


def package(exchanges, surfaces=()):
    return Package(tuple(map(exchange, exchanges)), tuple(map(exchange, surfaces)))


CHAT = ("chat", "chat_tools_streamed", "responses", "responses_tools_streamed", "embeddings")
MESSAGES = ("messages", "messages_tools_streamed", "count_tokens")
GENERATE = ("generate", "generate_tools_streamed", "generate_embeddings")
FILES, UPLOAD = ("files", "files_chunked", "batches"), ("generate_upload",)
NAMES = sorted(CHAT + FILES + MESSAGES + GENERATE + UPLOAD)

openai, anthropic, google = package(CHAT, FILES), package(MESSAGES), package(GENERATE, UPLOAD)
