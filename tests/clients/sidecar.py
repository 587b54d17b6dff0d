"""Starts the real binary beside a scripted provider, and stops it again."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

# All that it can say is said, so that what it says can be searched for values.
CONFIG = """\
[log]
level = "trace"

[model]
listen = "127.0.0.1:0"
mask_responses = {masks_answers}

[[model.provider]]
name = "openai"
upstream = "{upstream}"

[[model.provider]]
name = "anthropic"
upstream = "{upstream}"

[[model.provider]]
name = "gemini"
upstream = "{upstream}"
"""

# Lines are written as for a terminal.
COLOUR = re.compile("\x1b\\[[0-9;]*m")
READY = re.compile(r'listening channel="(\w+)" .*\b127\.0\.0\.1:([1-9][0-9]*)')
# Far above what a start or a drain takes: it is met only by a process that hangs.
PATIENCE = 60


class Sidecar:
    """`with Sidecar(binary, provider.url, secrets) as sidecar:` runs `bauta serve` until the block ends.

    `secrets` is the document of `--secrets`; `masks_answers`: whether what comes back is masked too. Afterwards `exit_code` and `output` tell how it ended and all
    that it printed.
    """

    # What must listen before it is ready.
    CHANNELS = {"model"}

    def __init__(self, binary, upstream, secrets, masks_answers=False):
        self.binary, self.upstream, self.secrets, self.masks_answers = binary, upstream, secrets, masks_answers
        self.output, self.exit_code, self.urls = "", None, {}

    @property
    def url(self):
        return self.urls.get("model")

    def config(self, folder):
        return CONFIG.format(upstream=self.upstream, masks_answers=str(self.masks_answers).lower())

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="bauta-clients-")
        folder = Path(self._folder.name)
        (folder / "bauta.toml").write_text(self.config(folder))
        secrets = folder / "secrets.json"
        secrets.touch(mode=0o600)
        secrets.write_text(json.dumps(self.secrets))
        self._process = subprocess.Popen(
            [self.binary, "serve", "--config", folder / "bauta.toml", "--secrets", secrets],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": self._folder.name, "RUST_BACKTRACE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(PATIENCE) or not self.CHANNELS <= set(self.urls):
            self.__exit__()
            raise RuntimeError(f"bauta serve did not say where it listens; it printed:\n{self.output}")
        return self

    def _read(self):
        for line in self._process.stdout:
            self.output += line
            found = READY.search(COLOUR.sub("", line))
            if found:
                self.urls.setdefault(found[1], f"http://127.0.0.1:{found[2]}")
            if self.CHANNELS <= set(self.urls):
                self._ready.set()
        # The output ended: nobody needs to wait any longer.
        self._ready.set()

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        try:
            self.exit_code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()
        self._reader.join(PATIENCE)
        self.kept(Path(self._folder.name))
        self._folder.cleanup()

    def kept(self, folder):
        """What is to be read of its folder before that goes."""
