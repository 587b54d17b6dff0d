"""What a client was told, judged: whether some reading of it holds a value, and whether a picture shows one.

`readings.py` takes seconds for what a browser tells in a second, most of which it told before. So a message is taken apart
into its strings, each of which is read once; what is no JSON is read whole.
"""

import json

import readings
from browser_pixels import STARTS, coloured, pictures

# A document for printing, in base64. Bauta does not open it: it must not have been told at all.
PRINTED = "JVBER"
# Far below what the shortest of the site's texts covers, far above what stray colours do.
SHOWN = 100


class Told:
    """Keeps what was read already, for the secrets (key to value) of one run."""

    def __init__(self, secrets):
        self.secrets, self._read = secrets, set()
        self._shortest = min(len(value) for value in secrets.values())

    def leaks(self, messages, *told):
        """The keys of the values that are in some reading of the messages, or of what the client made of them."""
        found, parts = set(), []
        for message in messages:
            found |= {key for key, value in self.secrets.items() if value.encode() in message}
            parts += self._strings(message)
        for each in told:
            parts += self._strings(json.dumps(each).encode())
        return found | readings.leaks("\0".join(parts).encode("utf-8", "surrogatepass"), self.secrets)

    def _strings(self, message):
        try:
            strings = leaves(json.loads(message))
        except ValueError:
            strings = [message.decode("utf-8", "replace")]
        for string in strings:
            # No reading is longer than what is read, so what is shorter than every value holds none.
            if len(string) >= self._shortest and string not in self._read and not string.startswith((*STARTS, PRINTED, "data:image/")):
                self._read.add(string)
                yield string


def leaves(value):
    """Every string and key of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value


def seen(messages):
    """Of each picture in the messages, whether it shows text in the colour of values."""
    shown = []
    for message in messages:
        try:
            value = json.loads(message)
        except ValueError:
            continue
        shown += [coloured(picture) for picture in pictures(value)]
    return shown
