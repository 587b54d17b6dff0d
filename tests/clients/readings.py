"""Every reading of recorded bytes, and whether one of them holds a value.

Written from the definition of a reading alone and sharing nothing with the masker under test: a chain of
at most three decoders out of JSON escapes (up to six levels count as one decoder), percent (once or
twice), HTML entities, base64 (both alphabets, every alignment, wrapped, as UTF-8 or UTF-16LE), hex and
quoted-printable. It is stricter than the masker needs to be: it reads escapes everywhere, in and outside
of JSON strings, and it does not stop at limits.

`python readings.py` runs its self-test: encodings that it must find are planted by encoders written apart
from the decoders, and bytes that hold nothing must be found empty. It ends with `N passed, N failed`.
"""

import base64
import gzip
import html
import json
import random
import re
import sys
import unicodedata
import urllib.parse
import zlib

import zstandard

DEPTH = 3
JSON_LEVELS = 6
# Fragments that a decoder cuts out of a text are joined with a byte that no value and no encoding holds.
CUT = b"\x00"
LINE = 16
ARMOUR = re.compile("-----.*-----")

JSON_SIMPLE = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f"}
JSON_ESCAPE = re.compile(
    rb"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\([\"\\/bfnrt])"
)


def json_once(text):
    def one(match):
        high, low, unit, simple = match.groups()
        if simple:
            return JSON_SIMPLE.get(simple, simple)
        if high:
            code = 0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00)
        else:
            code = int(unit, 16)
        return chr(code).encode("utf-8", "surrogatepass")

    return JSON_ESCAPE.sub(one, text)


def json_escapes(text):
    for _ in range(JSON_LEVELS):
        previous, text = text, json_once(text)
        if text == previous:
            return
        yield text


PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")


def percent(text):
    for plus in (text, text.replace(b"+", b" ")):
        once = PERCENT.sub(lambda m: bytes([int(m[1], 16)]), plus)
        yield once
        yield PERCENT.sub(lambda m: bytes([int(m[1], 16)]), once)


def html_entities(text):
    if b"&" in text:
        yield html.unescape(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogatepass")


# A wrapped run may hold its line breaks as they are, or as the JSON escapes that they become in a string.
BREAK = rb"(?:\r?\n[ \t]*|(?:\\r)?\\n)"
BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{4,}(?:%s[A-Za-z0-9+/_-]+)*" % BREAK)
UNWRAP = re.compile(BREAK)


def base64_runs(text):
    plain, wide = [], []
    for match in BASE64_RUN.finditer(text):
        # Unwrapped, and line by line: a newline between two runs need not be a wrap.
        for run in {UNWRAP.sub(b"", match[0]), *UNWRAP.split(match[0])}:
            run = run.replace(b"-", b"+").replace(b"_", b"/")
            for offset in range(4):
                part = run[offset:]
                part = part[: len(part) - (len(part) % 4 == 1)]
                if len(part) < 2:
                    continue
                decoded = base64.b64decode(part + b"=" * (-len(part) % 4))
                plain.append(decoded)
                wide += [decoded[i:].decode("utf-16-le", "ignore").encode("utf-8", "ignore") for i in (0, 1)]
    if plain:
        yield CUT.join(plain)
        yield CUT.join(wide)


HEX_RUN = re.compile(rb"(?:\\x[0-9a-fA-F]{2})+|[0-9a-fA-F]{2,}")


def hex_runs(text):
    found = []
    for match in HEX_RUN.finditer(text):
        run = match[0].replace(b"\\x", b"")
        for offset in (0, 1):
            part = run[offset:]
            found.append(bytes.fromhex(part[: len(part) // 2 * 2].decode()))
    if found:
        yield CUT.join(found)


# A soft break may be followed by what a transport padded the line with (RFC 2045 section 6.7).
SOFT_BREAK = re.compile(rb"=[ \t]*\r?\n")
QUOTED = re.compile(rb"=([0-9a-fA-F]{2})")


def quoted_printable(text):
    if b"=" in text:
        yield QUOTED.sub(lambda m: bytes([int(m[1], 16)]), SOFT_BREAK.sub(b"", text))


DECODERS = (json_escapes, percent, html_entities, base64_runs, hex_runs, quoted_printable)


# Brotli has no mark by which it is known: the scripted provider decodes it where a header tells it.
COMPRESSED = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(31)),
    (b"\x78", lambda: zlib.decompressobj(15)),
    (b"\x28\xb5\x2f\xfd", lambda: zstandard.ZstdDecompressor().decompressobj()),
)


def compressed(text):
    """What the bytes hold if they are a compressed body; a transfer that hides one is not a way out."""
    for marker, decoder in COMPRESSED:
        at = text.find(marker)
        while at >= 0:
            try:
                yield decoder().decompress(text[at:])
            except (zlib.error, zstandard.ZstdError):
                pass
            at = text.find(marker, at + 1)


def readings(text):
    """Every distinct reading of `text`, the text itself first."""
    seen = set()
    layer = [text, *compressed(text)]
    for depth in range(DEPTH + 1):
        following = []
        for current in layer:
            if current in seen:
                continue
            seen.add(current)
            yield current
            if depth < DEPTH:
                following += [decoded for decoder in DECODERS for decoded in decoder(current)]
        layer = following


def needles(value):
    """Patterns of the spellings under which a value counts: both normal forms; other line ends, and lines that
    are indented; each long line alone.

    The lines in which PEM names what it holds are in every key, and no secret.
    """
    forms = {re.escape(value)}
    for form in ("NFC", "NFD"):
        lines = unicodedata.normalize(form, value).replace("\r\n", "\n").split("\n")
        forms.add("\r?\n[ \t]*".join(map(re.escape, lines)))
        alone = {line.strip() for line in lines}
        forms |= {re.escape(line) for line in alone if len(line) >= LINE and not ARMOUR.fullmatch(line)}
    return forms


def leaks(text, secrets, whole_words=(), but_for=(), any_case=False):
    """The keys of `secrets` (key to value) whose value some reading of `text` holds.

    Keys in `whole_words` count only as whole words. `but_for`: texts in which a value may stand. `any_case`: upper
    and lower case are the same.
    """
    wanted = {}
    for key, value in secrets.items():
        edges = (rb"(?<![\w])%s(?![\w])" if key in whole_words else rb"%s")
        for needle in needles(folded(value) if any_case else value):
            wanted.setdefault(key, []).append(re.compile(edges % needle.encode()))
    found = set()
    for reading in readings(text):
        for allowed in but_for:
            reading = reading.replace(allowed.encode(), CUT)
        if any_case:
            reading = folded(reading.decode("utf-8", "replace")).encode()
        found |= {key for key, patterns in wanted.items() if any(p.search(reading) for p in patterns)}
        if len(found) == len(wanted):
            break
    return found


def folded(text):
    return "".join(char.lower() for char in text)


# --- self-test ---------------------------------------------------------------------------------------


def escape_some(text, rng):
    """A JSON string's inside with a random way to write each character."""
    out = []
    for char in text:
        usual = json.dumps(char, ensure_ascii=False)[1:-1]
        units = "".join(f"\\u{int.from_bytes(char.encode('utf-16-be')[i : i + 2], 'big'):04x}" for i in (0, 2))
        if len(char.encode("utf-16-be")) == 2:
            units = units[:6]
        out.append(rng.choice([usual, units, units.upper().replace("\\U", "\\u")]))
    return "".join(out)


def percent_some(text, rng):
    encoded = "".join(f"%{byte:02X}" if byte > 127 or rng.random() < 0.5 else chr(byte) for byte in text.encode())
    # A bare percent sign must not be read as the start of an escape.
    return encoded if "%" not in text else urllib.parse.quote(text, safe="")


def entities_some(text, rng):
    def one(char):
        return rng.choice([f"&#{ord(char)};", f"&#x{ord(char):x};", f"&#0{ord(char)};", html.escape(char)])

    return "".join(one(char) for char in text)


def base64_some(text, rng):
    data = rng.choice([b"", b"u", b"us", b"usr:"]) + text.encode() + rng.choice([b"", b"!", b"ab"])
    if rng.random() < 0.2:
        data = text.encode("utf-16-le")
    encoded = rng.choice([base64.b64encode, base64.urlsafe_b64encode])(data).decode()
    if rng.random() < 0.3:
        encoded = encoded.rstrip("=")
    if rng.random() < 0.2:
        encoded = "\n".join(encoded[i : i + 20] for i in range(0, len(encoded), 20))
    return encoded


def hex_some(text, rng):
    encoded = text.encode().hex()
    return rng.choice([encoded, encoded.upper(), "".join(f"\\x{encoded[i : i + 2]}" for i in range(0, len(encoded), 2))])


def quoted_some(text, rng):
    """Lines end softly here and there, within a word too."""
    soft = rng.choice(["=\n", "=\r\n", "= \n"])
    safe = [33 <= byte <= 126 and byte != 61 and rng.random() < 0.8 for byte in text.encode()]
    units = [chr(byte) if kept else f"={byte:02X}" for byte, kept in zip(text.encode(), safe)]
    return "".join(unit + (soft if rng.random() < 0.1 else "") for unit in units)


ENCODERS = (escape_some, percent_some, entities_some, base64_some, hex_some, quoted_some)
VALUES = (
    "sk-live-9fQ2xT7mZpL4",
    'pä$$"w\\ord/🎭 7{}',
    "line one of a note\nline two of a note",
    "nabcdef-u0041-x41",
    "100%&amp;+a=b",
    "パスワード秘密の値",
)


def planted(rounds, seed):
    """Texts that hold a value under a random chain of encoders, and the value."""
    rng = random.Random(seed)
    for _ in range(rounds):
        value = rng.choice(VALUES)
        chain = [rng.choice(ENCODERS) for _ in range(rng.randrange(DEPTH + 1))]
        text = value
        for encode in chain:
            text = encode(text, rng)
        around = rng.choice(['{"content":"%s"}', "GET /v1/%s HTTP/1.1", "see %s.", "<p>%s</p>"])
        yield around.replace("%s", text).encode(), value, [encode.__name__ for encode in chain]


def self_test():
    passed, failed = 0, []

    def check(name, good):
        nonlocal passed
        passed += bool(good)
        if not good:
            failed.append(name)
            print(f"FAIL {name}")

    for text, value, chain in planted(2000, seed=7):
        check(f"finds {value!r} under {chain} in {text!r}", leaks(text, {"key": value}))
    deep = VALUES[1]
    for _ in range(JSON_LEVELS):
        deep = json.dumps(deep)
    check("finds six levels of JSON", leaks(deep.encode(), {"key": VALUES[1]}))
    check("finds a gzip body", leaks(b"POST / HTTP/1.1\r\n\r\n" + gzip.compress(VALUES[0].encode()), {"key": VALUES[0]}))
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(VALUES[0].encode())
    check("finds a zstd body", leaks(b"POST / HTTP/1.1\r\n\r\n" + packed, {"key": VALUES[0]}))
    wide = base64.b64encode(VALUES[1].encode("utf-16-le"))
    check("finds UTF-16 in base64", leaks(b"see " + wide, {"key": VALUES[1]}))
    check("finds indented lines", leaks(b"  line one of a note\r\n\t  line two of a note", {"key": VALUES[2]}))
    short = "line one\nline two\n"
    check("finds short indented lines", leaks(b"key: |\n  line one\n  line two\n", {"key": short}))
    upper = VALUES[1].upper().encode()
    check("finds another case", leaks(upper, {"key": VALUES[1]}, any_case=True) and not leaks(upper, {"key": VALUES[1]}))
    check("finds the one normal form by the other", leaks(VALUES[1].encode(), {"key": unicodedata.normalize("NFD", VALUES[1])}))
    check("finds another normal form", leaks(unicodedata.normalize("NFD", VALUES[1]).encode(), {"key": VALUES[1]}))
    check("finds other line ends", leaks(VALUES[2].replace("\n", "\r\n").encode(), {"key": VALUES[2]}))
    check("finds one long line", leaks(b"x line two of a note x", {"key": VALUES[2]}))
    innocent = json.dumps({"role": "user", "content": "x_password x_api_key " + base64.b64encode(bytes(range(256))).decode()})
    check("finds nothing in nothing", not leaks(innocent.encode(), {str(i): v for i, v in enumerate(VALUES)}))
    check("words: the word", leaks(b"user admin logs in", {"key": "admin"}, whole_words={"key"}))
    check("words: a longer word", not leaks(b"administrator", {"key": "admin"}, whole_words={"key"}))
    site = ["admin.example.com"]
    check("words: the site", not leaks(b"https://admin.example.com/", {"key": "admin"}, {"key"}, site))
    check("words: beside the site", leaks(b"admin at https://admin.example.com/", {"key": "admin"}, {"key"}, site))
    return passed, len(failed)


if __name__ == "__main__":
    good, bad = self_test()
    print(f"{good} passed, {bad} failed")
    sys.exit(bool(bad))
