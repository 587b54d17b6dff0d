"""The secrets of the client tests, and the ways in which a text may carry their values.

A carrier makes a text of the values. It is what an agent would paste into a conversation: a settings file,
the output of a command, a header that it caught.
"""

import base64
import html
import json
import urllib.parse

PEM = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZzqXf1Yb8fKJHn3Q
tD0mVh9d5u2yXcR7pLw1sEoA3kGhRANCAAQ4yJ6nTbWzSxUe9vFMdPiKlCq0rOa8
-----END PRIVATE KEY-----"""

SITE = "https://app.example.com"

SECRETS = {
    "x_username": "alice.meier+ops@example.com",
    "x_password": 'pä$$"w\\ord/🎭 7{}',
    "x_api_key": "sk-live-9fQ2xT7mZpL4vN8bR1cW",
    "x_phrase": "パスワード秘密の値",
    "x_regex": "a+b(c)*[d]^$|e?.{2}",
    # Begin as an escape does, so that a backslash before them is easy to misread.
    "x_newline": "nabcdef-ghijk",
    "x_unit": "u0041bcd-efgh",
    # One is a part of the other.
    "x_short_token": "tok-5566-7788",
    "x_long_token": "tok-5566-7788-99aa",
    "x_account": "987654321012",
    "x_private_key": PEM,
}

DOCUMENT = {SITE: SECRETS}


def escape_all(text):
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))


def numbered(secrets):
    return {f"f{n}": value for n, value in enumerate(secrets.values())}


def listed(secrets, encode):
    return "\n".join(f"{n}: {encode(value)}" for n, value in enumerate(secrets.values()))


def nest(value, levels, **options):
    for _ in range(levels):
        value = json.dumps(value, **options)
    return value


def b64(text, prefix=b"", encode=base64.b64encode):
    return encode(prefix + text.encode()).decode()


def wrapped(text):
    return base64.encodebytes(b"padding so that the run is longer than one line " * 2 + text.encode()).decode()


CARRIERS = {
    "plain": lambda s: listed(s, str),
    "between emoji": lambda s: listed(s, lambda v: f"🎭{v}🎭"),
    "crlf": lambda s: listed(s, lambda v: v.replace("\n", "\r\n")),
    "JSON, 1 level": lambda s: nest(s | {"note": list(s.values())}, 1, ensure_ascii=False),
    "JSON, 2 levels": lambda s: nest(list(s.values()), 2, ensure_ascii=False),
    "JSON, 3 levels, ASCII": lambda s: nest(list(s.values()), 3),
    # With the output's own level and the body's, these are the six that a reading goes down.
    "JSON, 4 levels": lambda s: nest(list(s.values()), 4),
    "every character escaped": lambda s: listed(s, lambda v: f'"{escape_all(v)}"'),
    "slashes escaped": lambda s: listed(s, lambda v: json.dumps(v).replace("/", "\\/")),
    "percent": lambda s: listed(s, lambda v: urllib.parse.quote(v, safe="")),
    "percent, every byte": lambda s: listed(s, lambda v: "".join(f"%{byte:02x}" for byte in v.encode())),
    "percent, twice": lambda s: listed(s, lambda v: urllib.parse.quote(urllib.parse.quote(v, safe=""), safe="")),
    "form, %20": lambda s: urllib.parse.urlencode(numbered(s), quote_via=urllib.parse.quote),
    "HTML": lambda s: listed(s, html.escape),
    "HTML, numeric": lambda s: listed(s, lambda v: "".join(f"&#x{ord(char):X};" for char in v)),
    "base64": lambda s: listed(s, b64),
    "base64, one byte in": lambda s: listed(s, lambda v: b64(v, b"#")),
    "base64, two bytes in": lambda s: listed(s, lambda v: b64(v, b"#:")),
    "base64, URL-safe, unpadded": lambda s: listed(s, lambda v: b64(v, b"", base64.urlsafe_b64encode).rstrip("=")),
    "base64, wrapped": lambda s: listed(s, wrapped),
    "Basic credentials": lambda s: listed(s, lambda v: f"Authorization: Basic {b64(v, b'user:')}"),
    "hex": lambda s: listed(s, lambda v: v.encode().hex()),
    "base64 of JSON": lambda s: b64(json.dumps(s)),
    "base64 of JSON in JSON": lambda s: json.dumps({"kept": b64(json.dumps({"v": json.dumps(s)}))}),
    "percent of base64": lambda s: listed(s, lambda v: urllib.parse.quote(b64(v), safe="")),
    "hex of percent": lambda s: listed(s, lambda v: urllib.parse.quote(v, safe="").encode().hex()),
}

# Readings that the engine does not follow yet; SECURITY.md states them as limits. They are part of the control, which shows
# that the decoder sees them, and move up once the engine reads them.
NOT_READ = {
    # `+` is a space in a body that is a form or in a query, but not in a form's text inside a JSON string.
    "form": lambda s: urllib.parse.urlencode(numbered(s)),
    # `\\xHH` is not among the decoders yet.
    "hex, \\x": lambda s: listed(s, lambda v: "".join(f"\\x{byte:02X}" for byte in v.encode())),
}

HARMLESS = (
    "The site https://app.example.com/login greets 🎭 naïve users; \\u0041 \\n \"quoted\" <b>&amp;</b> %41 100%.\n"
    "aGVsbG8gd29ybGQsIG5vdGhpbmcgdG8gc2VlIGhlcmU= 68656c6c6f x_username {{x_password}} tok-5566-778"
)
