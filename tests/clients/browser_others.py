"""Secrets of other kinds than a password, each with a form of its own on the site (`browser_site.OTHERS`): a one-time code with a
box for each digit, a date, a text that is typed into an element that can be edited, a PIN.
"""

import base64
import hmac
import json
import re
import time

from browser_told import Told, leaves

# The key that each form takes.
KEYS = {"boxes": "x_code", "date": "x_birthday", "editable": "x_phrase", "pin": "x_pin"}
SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
DATE, PHRASE = "1987-06-05", 'Wörter & "more"/42'
# No number of a process or a port begins so.
PIN = "0739"
SECRETS = {
    "x_code": {"value": SEED, "kind": "totp"},
    "x_birthday": DATE,
    "x_phrase": {"value": PHRASE, "field": "any"},
    "x_pin": PIN,
}
PERIOD, DIGITS = 30, 6


def code(back=0):
    """RFC 6238's code of so many periods ago."""
    counter = int(time.time()) // PERIOD - back
    digest = hmac.digest(base64.b32decode(SEED), counter.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def codes():
    """Those that may be on their way."""
    return [code(back) for back in range(3)]


ACCEPTED = {"boxes": codes, "date": lambda: [DATE], "editable": lambda: [PHRASE], "pin": lambda: [PIN]}


def keys(form):
    """What a person types to enter the real value."""
    year, month, day = DATE.split("-")
    return {"boxes": code(), "date": month + day + year, "editable": PHRASE, "pin": PIN}[form]


def leaks(messages, *outcome):
    """The keys of the values in the messages: those of any length in any reading, short ones as whole words of a text."""
    told = Told({"x_birthday": DATE, "x_phrase": PHRASE, "seed": SEED}).leaks(messages, *outcome)
    short = re.compile(rf"(?<![^\W_])({'|'.join([PIN, *codes()])})(?![^\W_])")
    for message in [*messages, json.dumps(outcome).encode()]:
        try:
            texts = leaves(json.loads(message))
        except ValueError:
            texts = [message.decode("utf-8", "replace")]
        told |= {"x_pin" if found == PIN else "x_code" for text in texts for found in short.findall(text)}
    return told
