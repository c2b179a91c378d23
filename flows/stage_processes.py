"""Stages as processes; each is run by DVC's command for a single stage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.gpus import NONE, Gpus
from flows.graph import DVC

State = Literal["Completed", "Restored", "Skipped", "Failed"]
TIMED_OUT = 124  # exit status of a command that was ended at its time limit, as with timeout(1)
NOT_CACHED = "DVC has no result of the stage for this clone's inputs"

_LEASH = [sys.executable, "-S", str(Path(__file__).with_name("leash.py"))]
_NO_SHELL = shutil.which("false") or "/bin/false"  # DVC runs a stage's command by $SHELL, and this one runs nothing
_NOISE = ("Running stage", "> ", "Updating lock file", "To track the changes", "\tgit add", "To enable auto staging",
          "\tdvc config core.autostage", "Use `dvc push`", "Stage '")  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """How a stage ended.

    Attributes:
        stage: name of the stage.
        state: Completed, Restored (from DVC's cache), Skipped (nothing had changed) or Failed.
        seconds: wall time, including DVC's own.
        reason: the line that says why the stage failed; empty otherwise.
    """

    stage: str
    state: State
    seconds: float
    reason: str = ""


class StageProcesses:
    """Runs stages as processes, and ends them all when asked to.

    They also end when this process is killed, each with all processes that it has started: see `flows/leash.py`.
    """

    def __init__(self, root: Path, gpus: Gpus = NONE):
        """Begin with nothing running.

        Args:
            root: root of the repository.
            gpus: the GPUs to assign to stages.
        """
        self._root, self._gpus = root, gpus
        self._processes: set[subprocess.Popen[str]] = set()
        self._lock, self._stopped = threading.Lock(), False

    def reproduce(
        self, stage: str, tell: Callable[[str], None], options: Sequence[str] = (), *, restore_only: bool = False
    ) -> Ran:
        """Let DVC skip, restore or run a stage, to its end.

        Args:
            stage: name of the stage.
            tell: called with each line as soon as the stage prints it; DVC's own messages are left out.
            options: further options of `dvc repro`, such as --pull.
            restore_only: do not run the stage. If DVC would run it, it has Failed with the reason NOT_CACHED.
        """
        start, state, reason = time.monotonic(), "Skipped", ""

        def read(line: str) -> None:
            nonlocal state, reason
            if line.startswith("Running stage"):
                state = "Completed"
            elif "is cached" in line or line.startswith("Pulling data for"):
                state = "Restored"
            if restore_only and state == "Completed":  # the lines after it come from DVC's vain attempt
                return
            if line.strip() and not line.startswith(_NOISE):
                tell(line)
                if _is_error(line) and not reason:
                    reason = line

        command = [*DVC, "--wait-for-lock", "repro", "--single-item", *options, stage]
        with self._gpus.dealt(stage) as environment:
            code = self._run(command, read, environment | ({"SHELL": _NO_SHELL} if restore_only else {}))
        seconds = time.monotonic() - start
        if restore_only and state == "Completed":
            return Ran(stage, "Failed", seconds, NOT_CACHED)
        if code:
            why = "was stopped" if self._stopped else reason or f"dvc ended with status {code}"
            return Ran(stage, "Failed", seconds, why)
        return Ran(stage, state, seconds)

    def run(self, words: Sequence[str], tell: Callable[[str], None], *, limit_s: float | None = None) -> int:
        """Run a command of DVC to its end.

        Args:
            words: words of the command, without `dvc`.
            tell: called with each line of its output.
            limit_s: seconds after which the command is ended.

        Returns:
            The exit status; 143 if it was stopped before it began, TIMED_OUT if it was ended at its time limit.
        """
        return self._run([*DVC, *words], tell, limit_s=limit_s)

    def run_module(self, module: str, words: Sequence[str], tell: Callable[[str], None]) -> int:
        """Run `python -m module words` to its end; see `run`."""
        return self._run([sys.executable, "-u", "-m", module, *words], tell)

    def _run(
        self,
        command: Sequence[str],
        tell: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
        limit_s: float | None = None,
    ) -> int:
        with self._lock:  # so that `stop` misses no process
            if self._stopped:
                return 143
            process = subprocess.Popen(
                [*_LEASH, *command],
                cwd=self._root,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # so that Ctrl-C reaches this process alone
            )
            self._processes.add(process)
        timed_out = threading.Event()
        with _called_after(limit_s, lambda: (timed_out.set(), process.terminate())):
            code = self._follow(process, tell)
        return TIMED_OUT if timed_out.is_set() else code

    def _follow(self, process: subprocess.Popen[str], tell: Callable[[str], None]) -> int:
        try:
            for line in process.stdout or ():
                tell(line.rstrip())
            return process.wait()
        finally:
            with self._lock:
                self._processes.discard(process)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def stop(self) -> None:
        """End all running processes, including their children, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.terminate()


@contextmanager
def _called_after(seconds: float | None, call: Callable[[], object]) -> Iterator[None]:
    """Call a function if the block takes longer than a number of seconds."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, call)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_error(line: str) -> bool:
    return line.startswith(("error:", "ERROR:"))
