"""What the scripted provider says, in no provider's dialect."""

import json
import re
from dataclasses import dataclass, field

TEXT = "Fertig: naïve café 🎭 \"quoted\" back\\slash\nsecond line."
CALL_ID = "call_7f3a"
TOOL = "run_command"
# Tokens in and out, whatever is said.
USAGE = (17, 5)
VECTOR = [0.25, -1.5, 3.0]
# In JSON of ASCII too.
TOLD = re.compile(r"((?:⟦|\\u27e6).*?(?:⟧|\\u27e7))", re.DOTALL)


@dataclass
class Script:
    """The names that the provider echoes when it sees them, and what it calls the tools of agents with.

    `told`: what it says beside a name that it sees.
    """

    names: list
    calls: dict
    told: dict = field(default_factory=dict)

    def seen(self, asked):
        """The names that stand in a request, as a model would read them."""
        text = json.dumps(asked, ensure_ascii=False)
        return [f"{name} ⟦{self.told[name]}⟧" if name in self.told else name for name in self.names if name in text]

    def text(self, asked):
        return f"{TEXT} Seen: {', '.join(self.seen(asked)) or 'nothing'}."

    def call(self, offered, asked):
        """The tool to call out of those whose names are offered, and its arguments."""
        for name, arguments in self.calls.items():
            if name in offered:
                return name, arguments
        return TOOL, {"command": "login", "with": self.seen(asked)}


class Events:
    """The events of a stream: JSON bodies, and how each is written as a server-sent event."""

    def __init__(self, bodies, named=True, end=None):
        self.bodies, self.named, self.end = list(bodies), named, end

    def wire(self):
        for body in self.bodies:
            name = b"event: %s\n" % body["type"].encode() if self.named else b""
            yield name + b"data: " + dump(body) + b"\n\n"
        if self.end is not None:
            yield b"data: " + self.end + b"\n\n"


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def pieces(text, size=5):
    """Some characters at a time, and what is told as a whole: over several events nobody finds it."""
    out = []
    for n, part in enumerate(TOLD.split(text)):
        step = max(len(part), 1) if n % 2 else size
        out += [part[i : i + step] for i in range(0, len(part), step)]
    return out
