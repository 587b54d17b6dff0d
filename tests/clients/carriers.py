"""The secrets of the client tests, and the ways in which a text may carry their values.

A carrier makes a text of the values. It is what an agent would paste into a conversation: a settings file,
the output of a command, a header that it caught.
"""

import base64
import html
import json
import quopri
import re
import unicodedata
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
    # Registered with its accents apart, as some keyboards and file systems write them.
    "x_decomposed": unicodedata.normalize("NFD", "Crème-Brûlée à 7 heures"),
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


def broken(text, width, line_end):
    return line_end.join(text[i : i + width] for i in range(0, len(text), width))


def b64_wide(text):
    return base64.b64encode(text.encode("utf-16-le")).decode()


def quoted(text):
    return quopri.encodestring(text.encode(), quotetabs=True).decode()


def quoted_narrow(text):
    units = re.findall("=..|.", quoted(text).replace("=\n", "").replace("\n", "=0A"))
    return "".join(unit + ("=\n" if n % 7 == 6 else "") for n, unit in enumerate(units))


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
    "form": lambda s: urllib.parse.urlencode(numbered(s)),
    "hex, \\x": lambda s: listed(s, lambda v: "".join(f"\\x{byte:02X}" for byte in v.encode())),
    "quoted-printable": lambda s: listed(s, quoted),
    "quoted-printable, CRLF": lambda s: listed(s, quoted).replace("\n", "\r\n"),
    "quoted-printable, broken within": lambda s: listed(s, quoted_narrow),
    "base64, UTF-16": lambda s: listed(s, b64_wide),
    "base64, UTF-16, wrapped": lambda s: listed(s, lambda v: broken(b64_wide(v), 20, "\n")),
    "base64, narrow, indented": lambda s: listed(s, lambda v: broken(b64(v), 12, "\r\n    ")),
    "NFC": lambda s: listed(s, lambda v: unicodedata.normalize("NFC", v)),
    "NFD": lambda s: listed(s, lambda v: unicodedata.normalize("NFD", v)),
    "NFD, JSON, ASCII": lambda s: nest([unicodedata.normalize("NFD", v) for v in s.values()], 1),
    "indented": lambda s: listed(s, lambda v: v.replace("\n", "\n        ")),
    "indented, CRLF, tabs": lambda s: listed(s, lambda v: v.replace("\n", "\r\n\t\t")),
    "line by line, numbered": lambda s: listed(s, lambda v: "\n".join(f"{n}\t{x}" for n, x in enumerate(v.split("\n")))),
    "base64 of base64 of base64": lambda s: listed(s, lambda v: b64(b64(b64(v)))),
    "hex of base64 of percent": lambda s: listed(s, lambda v: b64(urllib.parse.quote(v, safe="")).encode().hex()),
    "quoted-printable of HTML": lambda s: listed(s, lambda v: quoted(html.escape(v))),
    "base64 of quoted-printable": lambda s: listed(s, lambda v: b64(quoted(v))),
    "percent of hex, \\x": lambda s: listed(s, lambda v: "".join(f"%5Cx{byte:02x}" for byte in v.encode())),
    "hex of percent": lambda s: listed(s, lambda v: urllib.parse.quote(v, safe="").encode().hex()),
}

# Secrets that hold in any case (`ignore_case`), and what people make of them.
ANY_CASE = {"x_mail": "Alice.Meier@Example.com", "x_customer": "Kd-Nr-ä17-öLkännchen", "x_code": "aB3dE5fG7hJ9"}

ANY_CASE_CARRIERS = {
    "as it is": lambda s: listed(s, str),
    "upper": lambda s: listed(s, str.upper),
    "lower": lambda s: listed(s, str.lower),
    "swapped": lambda s: listed(s, str.swapcase),
    "swapped, JSON, ASCII": lambda s: nest([v.swapcase() for v in s.values()], 2),
    "upper, percent": lambda s: listed(s, lambda v: urllib.parse.quote(v.upper(), safe="")),
    "lower, base64": lambda s: listed(s, lambda v: b64(v.lower(), b"#")),
    "upper, hex": lambda s: listed(s, lambda v: v.upper().encode().hex()),
}

HARMLESS = (
    "The site https://app.example.com/login greets 🎭 naïve users; \\u0041 \\n \"quoted\" <b>&amp;</b> %41 100%.\n"
    "aGVsbG8gd29ybGQsIG5vdGhpbmcgdG8gc2VlIGhlcmU= 68656c6c6f x_username {{x_password}} tok-5566-778"
)
