"""The sidecar with a browser channel, for which it starts Chromium itself."""

import json

from browser_chromium import ARGUMENTS
from sidecar import Sidecar

BROWSER = """
[browser]
listen = "127.0.0.1:0"
folder = {folder}

[browser.launch]
executable = "chromium"
headless = true
args = {arguments}
"""

# Nobody: a client of the browser alone asks no model.
NO_MODEL = "http://127.0.0.1:9"


class BrowserSidecar(Sidecar):
    """As `Sidecar`; `browser` is the URL for clients, `folder` the one for downloads and uploads, `audit` the log in the end."""

    CHANNELS = {"model", "browser"}

    def __init__(self, binary, secrets, upstream=NO_MODEL):
        super().__init__(binary, upstream, secrets)
        self.folder, self.audit = None, ""

    def config(self, folder):
        self.folder = folder / "folder"
        self.folder.mkdir()
        # TOML writes such strings and lists of them as JSON does.
        return super().config(folder) + BROWSER.format(folder=json.dumps(str(self.folder)), arguments=json.dumps(ARGUMENTS))

    @property
    def browser(self):
        return self.urls["browser"]

    def kept(self, folder):
        log = folder / "data" / "audit-memory.log"
        self.audit = log.read_text() if log.exists() else ""
