"""The site that the browser clients use, on three origins of loopback: it knows a user's real password.

`home` is the origin the secrets belong to, `other` another origin of the same site (in one process with it), `cross`
an origin of another site (a process of its own). Each serves every page and keeps every byte that it receives.

- `/login/WAY`: a login form, WAY of `LOGINS`; what arrives is compared with the real values, in the forms of `OTHERS` those of
  another kind than a password, and only if it is right the answer leads to
- `/shown/N`: a page that shows the password back wherever a page can, in a colour that stands nowhere else;
- `/flow/…`: pages without secrets, for everything else that clients do.
"""

import html
import json
import socketserver
import threading
import urllib.parse
from dataclasses import dataclass, field

from wire import Recorder, WebSocket, read_request

# What shows a value is written in it; `browser_pixels.py` looks for it.
COLOUR = "#f0f"
FILE = b"".join(b"line %d of a report, na\xc3\xafve edition\n" % n for n in range(200))
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"

FORM = """\
<form id=login method=post action=/login>
<label>User <input id=user name=user></label> <label>Password <input id=password name=password type=password></label>
<input type=hidden name=way value="{way}"><button id=submit>Log in</button></form>"""

# A form whose script sends what it keeps of the input events, as frameworks do.
SCRIPTED = """\
<form id=login><label>User <input id=user></label> <label>Password <input id=password type=password></label>
<button id=submit>Log in</button></form>
<script>
  const state = { user: "", password: "", way: "scripted" };
  for (const name of ["user", "password"])
    document.getElementById(name).addEventListener("input", (event) => (state[name] = event.target.value));
  document.getElementById("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch("/login", { method: "POST", body: new URLSearchParams(state) });
    location.href = answer.url;
  });
</script>"""

SHADOW = """\
<div id=host></div>
<script>
  const root = document.getElementById("host").attachShadow({ mode: "%s" });
  root.innerHTML = `%s`;
</script>"""

# A field of another kind in the password's place.
OTHER = """\
<form id=login method=post action=/login>
<label>User <input id=user name=user></label> {field}
<input type=hidden name=way value="{way}"><button id=submit>Log in</button></form>"""

# A box for each digit of a one-time code: the focus goes on when one is typed.
BOXES = """\
<fieldset>%s</fieldset><input type=hidden name=password>
<script>
  const boxes = [...document.querySelectorAll("fieldset input")];
  boxes.forEach((box, place) => (box.oninput = () => box.value && boxes[place + 1]?.focus()));
  document.getElementById("login").onsubmit = () =>
    (document.getElementsByName("password")[0].value = boxes.map((box) => box.value).join(""));
</script>"""
BOX = '<input {id} size=1 maxlength=1 inputmode=numeric autocomplete=one-time-code aria-label="Digit {digit}">'

EDITABLE = """\
<div id=password contenteditable role=textbox aria-label=Password></div><input type=hidden name=password>
<script>
  document.getElementById("login").onsubmit = () =>
    (document.getElementsByName("password")[0].value = document.getElementById("password").textContent);
</script>"""

OTHERS = {
    "boxes": BOXES % "".join(BOX.format(id="" if digit else "id=password", digit=digit + 1) for digit in range(6)),
    "date": "<label>Birthday <input id=password name=password type=date></label>",
    "editable": EDITABLE,
    "pin": "<label>PIN <input id=password name=password type=password inputmode=numeric maxlength=4></label>",
}

# The frames are as wide as a page, so that what clients click is in view.
FRAME = '<iframe id=inner src="{origin}/login/plain" width=700 height=200></iframe>'

SHOWN = """\
<title>Account of {user}, {password}</title>
<style>body {{ font: 16px sans-serif; background: #fff; color: #000 }}
.secret {{ color: {colour}; font: bold 28px monospace }}</style>
<h1 id=confirmed>Welcome, the password was right</h1>
<p id=text class=secret>{password}</p>
<p id=split class=secret><b>{begin}</b><i>{end}</i></p>
<p id=attribute data-note="{password}" title="{password}">An attribute</p>
<!-- {password} -->
<input id=field class=secret aria-label=Field value="{password}" size=40>
<input id=hidden type=password aria-label=Hidden value="{password}">
<textarea id=area class=secret aria-label=Area cols=40>{password}</textarea>
<div id=editable class=secret contenteditable role=textbox aria-label=Editable>{password}</div>
<a id=link href="/api/{number}?p={quoted}">A link</a>
<div id=open></div><div id=closed></div>
<iframe id=near src="/frame/{number}" width=500 height=60></iframe>
<iframe id=far src="{cross}/frame/{number}" width=500 height=60></iframe>
<button id=alert>Alert</button> <button id=throw>Throw</button> <button id=log>Log</button>
<button id=call>Call</button>
<script>
  const password = {script};
  for (const mode of ["open", "closed"])
    document.getElementById(mode).attachShadow({{ mode }}).innerHTML =
      `<style>p {{ color: {colour}; font: bold 28px monospace }}</style><p></p>`;
  document.getElementById("open").shadowRoot.querySelector("p").textContent = password;
  document.cookie = "kept=" + encodeURIComponent(password);
  localStorage.setItem("kept", password);
  sessionStorage.setItem("kept", JSON.stringify({{ password }}));
  document.getElementById("alert").onclick = () => alert("The password is " + password);
  document.getElementById("throw").onclick = () => {{ throw new Error("bad password " + password); }};
  document.getElementById("log").onclick = () => console.log("session of", password, {{ password, list: [password] }});
  document.getElementById("call").onclick = async () => {{
    const headers = {{ "x-note": encodeURIComponent(password) }};
    const answer = await fetch("/api/{number}", {{ method: "POST", body: JSON.stringify({{ password }}), headers }});
    await answer.text();
    const socket = new WebSocket("{socket}/socket/{number}");
    socket.onmessage = (event) => {{ socket.send(event.data); document.title = "called " + event.data; }};
  }};
</script>"""

FLOWS = {
    "/flow/start": """<title>Start</title><h1>Start</h1><a id=next href=/flow/next>Next</a>
<a id=report href=/flow/report.txt download>Report</a> <a id=tab href=/flow/next target=_blank>In a tab</a>
<button id=popup onclick="window.open('/flow/next', 'small', 'width=300,height=200')">Pop up</button>
<iframe id=near src=/flow/inner></iframe><iframe id=far src="{cross}/flow/inner"></iframe>""",
    "/flow/next": "<title>Next</title><h1>Next</h1><p id=words>A second page, naïve café 🎭.</p><a id=back href=/flow/start>Back</a>",
    "/flow/inner": "<p id=inside>A framed page</p>",
    "/flow/upload": """<title>Upload</title><form id=form method=post enctype=multipart/form-data>
<label>File <input id=file name=file type=file></label><button id=send>Send</button></form>""",
    "/flow/dialog": """<title>Dialogs</title><button id=ask>Ask</button><p id=told></p><script>
document.getElementById("ask").onclick = () => {{
  alert("Mind the gap."); const sure = confirm("Sure?"); const name = prompt("Name?", "nobody");
  document.getElementById("told").textContent = JSON.stringify([sure, name]);
}};</script>""",
    "/flow/call": """<title>Calls</title><p id=told></p><script>
fetch("/flow/data").then((answer) => answer.text(), String).then((text) => (document.getElementById("told").textContent = text));
</script>""",
    "/flow/form": """<title>Form</title><form id=form action=/flow/formed>
<input id=name name=name aria-label=Name> <input id=box name=box type=checkbox aria-label=Box>
<select id=kind name=kind aria-label=Kind><option>one<option>two</select>
<textarea id=note name=note aria-label=Note></textarea><button id=send>Send</button></form>""",
}
LOGINS = ("plain", "scripted", "open", "closed", "near", "far", *OTHERS)


@dataclass
class Login:
    """What was sent to `/login`, and whether it was right."""

    origin: str
    way: str
    user: str
    password: str
    right: bool


@dataclass
class Origin:
    url: str
    server: socketserver.ThreadingTCPServer
    connections: list = field(default_factory=list)


class Site:
    """`with Site(user, password) as site:` serves `site.home`, `site.other` and `site.cross` until the block ends.

    `others`: for each form of `OTHERS`, what tells the values that are right in it now.
    """

    def __init__(self, user, password, others=None):
        self.user, self.password, self.others = user, password, others or {}
        self._logins, self._lock = [], threading.Lock()
        self._origins = {name: self._open(name, host) for name, host in self._hosts()}
        self.home, self.other, self.cross = (self._origins[name].url for name in ("home", "other", "cross"))

    def _hosts(self):
        return (("home", "127.0.0.1"), ("other", "127.0.0.1"), ("cross", "localhost"))

    def _open(self, name, host):
        site = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                recorder = Recorder(self.request)
                with site._lock:
                    site._origins[name].connections.append(recorder)
                try:
                    while site._serve(name, recorder):
                        pass
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        server = Server(("127.0.0.1", 0), Handler)
        return Origin(f"http://{host}:{server.server_address[1]}", server)

    def __enter__(self):
        for origin in self._origins.values():
            threading.Thread(target=origin.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        for origin in self._origins.values():
            origin.server.shutdown()
            origin.server.server_close()

    def logins(self):
        """The logins since the last call."""
        with self._lock:
            logins, self._logins = self._logins, []
            return logins

    def peek(self):
        """The logins since `logins` was called."""
        with self._lock:
            return list(self._logins)

    def received(self, name):
        """What one origin received since the last call."""
        with self._lock:
            return b"\n".join(filter(None, (recorder.drain() for recorder in self._origins[name].connections)))

    def _serve(self, name, recorder):
        request = read_request(recorder)
        if request is None:
            return False
        if request.header("upgrade"):
            self._converse(WebSocket(recorder, request))
            return False
        status, headers, body = self._answer(name, request)
        lines = [f"HTTP/1.1 {status} Scripted", f"content-length: {len(body)}", "cache-control: no-store"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        recorder.sock.sendall("\r\n".join([*lines, "", ""]).encode() + (b"" if request.method == "HEAD" else body))
        return True

    def _converse(self, websocket):
        websocket.send(self.password)
        while websocket.receive() is not None:
            pass

    def _answer(self, name, request):
        path = request.path
        if path == "/login":
            return self._log_in(name, request)
        if path.startswith("/login/"):
            return page(f"<title>Log in</title>{self._form(path.removeprefix('/login/'))}")
        if path.startswith("/shown/"):
            return page(self._shown(path.rsplit("/", 1)[1]), {"set-cookie": f"session={quoted(self.password)}; HttpOnly"})
        if path.startswith("/frame/"):
            style = f"<style>p {{ color: {COLOUR}; font: bold 28px monospace; margin: 0 }}</style>"
            return page(f"{style}<p id=framed>{html.escape(self.password)}</p>")
        if path.startswith("/api/"):
            body = {"password": self.password, "notes": [f"user:{self.password}@host"]}
            return 200, {"content-type": JSON, "x-kept": quoted(self.password)}, json.dumps(body).encode()
        return self._flow(path, request)

    def _form(self, way):
        if way in OTHERS:
            return OTHER.format(way=way, field=OTHERS[way])
        form = FORM.format(way=way)
        if way in ("open", "closed"):
            return SHADOW % (way, form)
        if way in ("near", "far"):
            return FRAME.format(origin=self.home)
        return SCRIPTED if way == "scripted" else form

    def _log_in(self, name, request):
        fields = dict(urllib.parse.parse_qsl(request.content.decode(), keep_blank_values=True))
        sent = [fields.get(key, "") for key in ("way", "user", "password")]
        way, user, password = sent
        right = user == self.user and password in (self.others[way]() if way in self.others else [self.password])
        with self._lock:
            self._logins.append(Login(name, *sent, right))
            number = len(self._logins)
        if not right:
            return page("<title>No</title><h1 id=denied>That was wrong</h1>")
        return 303, {"location": f"/shown/{number}?p={quoted(self.password)}&by={sent[0]}"}, b""

    def _shown(self, number):
        password, half = self.password, len(self.password) // 2
        return SHOWN.format(
            user=html.escape(self.user),
            password=html.escape(password),
            begin=html.escape(password[:half]),
            end=html.escape(password[half:]),
            script=json.dumps(password).replace("<", "\\u003c"),
            quoted=quoted(password),
            colour=COLOUR,
            cross=self.cross,
            socket=self.home.replace("http", "ws", 1),
            number=number,
        )

    def _flow(self, path, request):
        if path == "/flow/report.txt":
            return 200, {"content-type": TEXT, "content-disposition": "attachment; filename=report.txt"}, FILE
        if path == "/flow/data":
            return 200, {"content-type": TEXT}, f"from the server, {request.header('x-added') or 'nothing added'}".encode()
        if path == "/flow/formed":
            told = dict(urllib.parse.parse_qsl(request.target.partition("?")[2]))
            return page(f"<title>Formed</title><p id=told>{html.escape(json.dumps(told, sort_keys=True))}</p>")
        if path == "/flow/upload" and request.method == "POST":
            ((_, filename, content),) = request.parts()
            told = {"name": filename, "size": len(content)}
            return page(f"<title>Uploaded</title><p id=told>{html.escape(json.dumps(told))}</p>")
        if path in FLOWS:
            return page(FLOWS[path].format(cross=self.cross))
        return 404, {"content-type": TEXT}, b"no such page"


def page(body, headers=()):
    return 200, {"content-type": HTML, **dict(headers)}, f"<!doctype html><meta charset=utf-8>{body}".encode()


def quoted(text):
    return urllib.parse.quote(text, safe="")
