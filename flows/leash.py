"""Runs a command that ends with whoever started it: `python flows/leash.py COMMAND...`, with a pipe as stdin.

The command gets a process group of its own. When the other end of the pipe is closed, even by a SIGKILL of the process
that held it, or on SIGTERM, the whole group gets SIGTERM, and SIGKILL if it does not end. Only the standard library is
imported, since this program starts once for each stage.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

GRACE = 10.0  # seconds from SIGTERM to SIGKILL


def main(command: list[str]) -> int:
    """Run the command to its end; return its exit status, or minus the signal that ended it."""
    stopping = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C also reaches the process that started this one, which decides
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_wait_for_end_of_stdin, args=(stopping,), daemon=True).start()
    threading.Thread(target=_end_when, args=(stopping, process), daemon=True).start()
    code = process.wait()
    if stopping.is_set():
        _send(process, signal.SIGKILL)  # for processes of the group that outlived its leader
    return code


def _wait_for_end_of_stdin(stopping: threading.Event) -> None:
    while os.read(0, 1):
        pass
    stopping.set()


def _end_when(stopping: threading.Event, process: subprocess.Popen[bytes]) -> None:
    stopping.wait()
    _send(process, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        _send(process, signal.SIGKILL)


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) & 0xFF)
