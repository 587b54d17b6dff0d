"""Runs a command on a terminal of its own and types into it.

Standard input: {"argv": [...], "folder": "...", "steps": [{"await": "text", "type": "text" | "signal": N | "hang_up": true}]}
Standard output: {"code", "said", "echoed": [whether the terminal echoed at each step], "restored", "left": bytes nobody read}
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios

PATIENCE = 30


def main():
    task = json.load(sys.stdin)
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    child = subprocess.Popen(
        task["argv"], cwd=task["folder"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    said, echoed, seen = b"", [], 0
    for step in task["steps"]:
        while (at := said.find(step["await"].encode(), seen)) < 0:
            more = receive(master)
            if not more:
                break
            said += more
        seen = max(at, seen) + len(step["await"])
        echoed.append(bool(termios.tcgetattr(slave)[3] & termios.ECHO))
        if "signal" in step:
            child.send_signal(step["signal"])
        elif "hang_up" in step:
            os.close(slave)
            os.close(master)
            json.dump({"code": child.wait(PATIENCE), "said": said.decode()}, sys.stdout)
            return
        else:
            os.write(master, step["type"].encode())
    code = child.wait(PATIENCE)
    while readable(master, 0):
        said += os.read(master, 65536)
    left = int.from_bytes(fcntl.ioctl(slave, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
    json.dump({
        "code": code, "said": said.decode(), "echoed": echoed, "restored": termios.tcgetattr(slave) == before, "left": left,
    }, sys.stdout)


def readable(fd, seconds):
    return bool(select.select([fd], [], [], seconds)[0])


def receive(fd):
    if not readable(fd, PATIENCE):
        sys.exit("the command said nothing more")
    return os.read(fd, 65536)


main()
