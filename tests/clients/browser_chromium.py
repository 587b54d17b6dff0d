"""Debian's Chromium on its own, for the control: what a client gets when nobody stands between."""

import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

# Nothing but loopback has a name, and the browser calls nobody on its own account.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,1400",
    # A page that comes back out of this cache tells no `load`, which Playwright waits for.
    "--disable-back-forward-cache",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
PATIENCE = 60


class Chromium:
    """`with Chromium() as browser:` listens on `browser.url`; `browser.folder` is where it may keep downloads."""

    def __enter__(self):
        self._place = tempfile.TemporaryDirectory(prefix="bauta-chromium-", ignore_cleanup_errors=True)
        self.folder = Path(self._place.name, "folder")
        self.folder.mkdir()
        # Where it keeps what nobody told it where to.
        Path(self._place.name, "Downloads").symlink_to(self.folder)
        profile = Path(self._place.name, "profile")
        self._process = subprocess.Popen(
            ["chromium", "--headless", *ARGUMENTS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            env={"PATH": os.environ["PATH"], "HOME": self._place.name, "TMPDIR": self._place.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.url, ready = None, threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(PATIENCE) or self.url is None:
            self.__exit__()
            raise RuntimeError("chromium did not say where it listens")
        return self

    def _read(self, ready):
        for line in self._process.stderr:
            if line.startswith("DevTools listening on ws://"):
                self.url = "http://" + line.split("ws://", 1)[1].split("/", 1)[0]
                ready.set()
        ready.set()

    def __exit__(self, *_):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._reader.join(PATIENCE)
        self._place.cleanup()
