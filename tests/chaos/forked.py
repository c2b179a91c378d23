"""Work in a fork of this process, which has torch imported already: a round then takes a fraction of a second.

The fork may be killed at a chosen moment. Windows between two steps of a write are a few microseconds wide, so no kill
would hit them; in a fork they are made wider.
"""

from __future__ import annotations

import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STEPS = ("replace", "rename", "fsync", "link", "unlink")
_LIMIT = 240  # seconds; whatever takes longer hangs
_TRACES = ("Traceback (most recent call last)", "error: unexpected:")


@dataclass(frozen=True)
class Ended:
    """How a fork ended.

    Attributes:
        status: exit status of the command, or minus the signal that ended the process; None if it hung.
        value: what the work returned.
        printed: stdout and stderr together.
        seconds: how long it took.
    """

    status: int | None
    value: Any
    printed: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL

    @property
    def fault(self) -> str | None:
        """What no input and no machine may cause: a traceback, a hang, or the end of the interpreter."""
        if self.status is None:
            return f"hangs: {self.printed[-500:]}"
        if any(trace in self.printed for trace in _TRACES):
            return f"traceback: {self.printed[-1500:]}"
        if self.status < 0 and not self.killed:
            return f"ended by {signal.Signals(-self.status).name}: {self.printed[-500:]}"
        return None


def slow_steps(seed: int, longest: float) -> None:
    """Make the steps of this process's writes wait before and after, for up to `longest` seconds."""
    rng = random.Random(seed)
    for name in _STEPS:
        setattr(os, name, _waiting(getattr(os, name), rng, longest))


def _waiting(step: Callable[..., Any], rng: random.Random, longest: float) -> Callable[..., Any]:
    def waiting(*args: Any, **kwargs: Any) -> Any:
        time.sleep(rng.uniform(0, longest))
        result = step(*args, **kwargs)
        time.sleep(rng.uniform(0, longest))
        return result

    return waiting


@dataclass(frozen=True)
class Circumstances:
    """What a fork meets, beside its work.

    Attributes:
        kill_after: seconds; None for never.
        slow: seconds that each step of a write waits, at most.
        seed: of the waiting.
        file_size: bytes that a file may have; a write beyond them fails as on a full disk.
        before: called in the fork before its work.
    """

    kill_after: float | None = None
    slow: float = 0
    seed: int = 0
    file_size: int | None = None
    before: Callable[[], None] | None = None


class Fork:
    """A running fork of this process."""

    def __init__(self, folder: Path, work: Callable[[], Any], circumstances: Circumstances = Circumstances()):
        """Start it.

        Args:
            folder: becomes its current folder.
            work: returns something that can be pickled.
            circumstances: what it meets.
        """
        self._kill_after, self._started = circumstances.kill_after, time.monotonic()
        self._printed, self._value = (Path(tempfile.mkstemp(prefix="prosam-chaos-")[1]) for _ in range(2))
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._live(folder, work, circumstances)

    def _live(self, folder: Path, work: Callable[[], Any], circumstances: Circumstances) -> None:
        status = 70
        try:
            os.setpgid(0, 0)
            with self._printed.open("wb") as printed:
                os.dup2(printed.fileno(), 1)
                os.dup2(printed.fileno(), 2)
            os.chdir(folder)
            if circumstances.slow:
                slow_steps(circumstances.seed, circumstances.slow)
            if circumstances.before is not None:
                circumstances.before()
            if circumstances.file_size is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (circumstances.file_size, circumstances.file_size))
            value = None
            try:
                value, status = work(), 0
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            sys.stdout.flush()
            sys.stderr.flush()
            if circumstances.file_size is None:
                self._value.write_bytes(pickle.dumps(value))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def wait(self) -> Ended:
        """Wait for its end; kill it when its time has come."""
        status, limit = None, self._started + _LIMIT
        kill_at = limit if self._kill_after is None else self._started + self._kill_after
        hung = True
        while True:
            ended, code = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                status, hung = os.waitstatus_to_exitcode(code), False
                break
            if time.monotonic() >= min(kill_at, limit):
                hung = kill_at >= limit
                with suppress(ProcessLookupError):  # on a busy machine, its group may not exist yet
                    os.killpg(self.pid, signal.SIGKILL)
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                status = -signal.SIGKILL
                break
            time.sleep(0.001)
        printed = self._printed.read_text(encoding="utf-8", errors="replace")
        content = self._value.read_bytes()
        self._printed.unlink()
        self._value.unlink()
        value = pickle.loads(content) if content and status == 0 else None
        return Ended(None if hung else status, value, printed, time.monotonic() - self._started)


def forked(folder: Path, work: Callable[[], Any], circumstances: Circumstances = Circumstances()) -> Ended:
    """Do some work in a fork, and wait for its end."""
    return Fork(folder, work, circumstances).wait()


def command(*words: str) -> Callable[[], Any]:
    """The work of `prosam ...`."""

    def run() -> None:
        from prosam.cli.main import main

        sys.argv = ["prosam", *words]
        main()

    return run


def stage(name: str, *words: str) -> Callable[[], Any]:
    """The work of `python -m tasks.NAME ...`."""

    def run() -> None:
        import importlib

        from prosam.cli import console

        module = importlib.import_module(f"tasks.{name}")
        sys.argv = [f"tasks.{name}", *words]
        console.run(getattr(module, name))

    return run
