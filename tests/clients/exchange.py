"""What the exchanges of all SDKs share.

An exchange is what an agent does with an SDK. It gets the clients and a text, carries the text to the model,
and returns the texts that the model ended with. It asserts that the SDK was content: types, usage, tool
calls. It must behave alike with the provider itself and through Bauta; what went over the wire is for
the caller to judge.

The exchanges of a Python SDK are the functions of `sdk_….py`; those of the npm packages are the functions
of `node/exchanges.mjs`, under the same rules.
"""

import json

from script import TEXT

MODEL = "scripted-1"
PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}


def content(text):
    assert text.startswith(TEXT), text
    return text


def call_arguments(raw):
    arguments = json.loads(raw) if isinstance(raw, str) else raw
    assert arguments["command"] == "login", arguments
    return json.dumps(arguments, ensure_ascii=False)
