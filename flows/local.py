"""`dvc repro`, with several stages at once on this machine: `python -m flows.local --jobs 2`.

Every stage runs as `dvc --wait-for-lock repro --single-item`, so DVC decides what is skipped, restored from its cache
or run, and the bytes are those of `dvc repro`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Annotated

import typer

from flows.graph import DVC, DvcError, dependencies, out_of_date
from prosam.errors import InputError
from prosam.params import PARAMS_FILE, load_params


@dataclass(frozen=True)
class Ran:
    """How a stage ended.

    Attributes:
        stage: its name.
        state: Completed, Restored (from DVC's cache), Skipped (nothing had changed) or Failed.
        seconds: wall time, DVC's own included.
    """

    stage: str
    state: str
    seconds: float


class Runner:
    """Runs stages as processes of their own, and ends them all when asked to."""

    def __init__(self, root: Path):
        self._root = root
        self._processes: set[subprocess.Popen[str]] = set()
        self._lock, self._stopped = threading.Lock(), False

    def run(self, stage: str) -> Ran:
        """Run one stage to its end, passing on what it prints, each line behind its name."""
        start = time.monotonic()
        with self._lock:  # so that `stop` misses no process
            if self._stopped:
                return Ran(stage, "Failed", 0.0)
            process = subprocess.Popen(
                [*DVC, "--wait-for-lock", "repro", "--single-item", stage],
                cwd=self._root,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # its own process group: dvc and the stage below it end together
            )
            self._processes.add(process)
        state = "Skipped"
        for line in process.stdout or ():
            if line.startswith("Running stage"):
                state = "Completed"
            elif "is cached" in line:
                state = "Restored"
            if line.strip() and not line.startswith(_NOISE):
                print(f"{stage}: {line.rstrip()}", flush=True)
        failed = process.wait() != 0
        with self._lock:
            self._processes.discard(process)
        return Ran(stage, "Failed" if failed else state, time.monotonic() - start)

    def stop(self) -> None:
        """End all that runs, children included, and start nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                try:
                    os.killpg(process.pid, signal.SIGTERM)
                except ProcessLookupError:
                    continue


_NOISE = ("Running stage", "> ", "Updating lock file", "To track the changes", "\tgit add", "To enable auto staging",
          "\tdvc config core.autostage", "Use `dvc push`", "Stage '")  # fmt: skip


def _dag(root: Path) -> dict[str, set[str]]:
    """The DAG, also where a kill has left a dvc.lock that DVC cannot read, for DVC writes that file in place.

    Without it nothing is lost but the time of a look into DVC's cache, from which the stages are restored.
    """
    lock = root / "dvc.lock"
    try:
        return dependencies(root)
    except DvcError as error:
        if lock.name not in str(error) or not lock.exists():
            raise
        aside = lock.replace(root / "dvc.lock.damaged")
    print(
        f"{lock.name} was unreadable, as after a kill; it is {aside.name} now, and DVC's cache is asked instead",
        flush=True,
    )
    return dependencies(root)


def run_all(root: Path, jobs: int) -> list[Ran]:
    """Run whatever is out of date, each stage as soon as those it needs are done.

    Args:
        root: of the repository.
        jobs: stages at once.

    Returns:
        What ran, in order of completion. After a failure nothing new is started.
    """
    needs = _dag(root)
    stale = out_of_date(root, needs)
    waiting = TopologicalSorter({stage: needs[stage] & stale for stage in needs if stage in stale})
    waiting.prepare()
    runner, ended, failed = Runner(root), list[Ran](), False
    ready: list[str] = []
    running: set[Future[Ran]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting.is_active() and not (failed and not running):
                ready += waiting.get_ready()
                while ready and not failed and len(running) < jobs:  # none queued: a failure could not call it back
                    running.add(pool.submit(runner.run, ready.pop(0)))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    ended.append(future.result())
                    failed |= ended[-1].state == "Failed"
                    waiting.done(ended[-1].stage)
        except KeyboardInterrupt:
            runner.stop()
            raise
    return ended


def local(
    jobs: Annotated[int, typer.Option(min=1, help="Stages at once.")] = 2,
) -> None:
    """Run whatever is out of date, several stages at once; the same as `dvc repro`, sooner.

    Example: python -m flows.local --jobs 2
    """
    start = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started ends too
    try:
        load_params(PARAMS_FILE)  # before DVC, which would have deleted a stage's outputs when its command refuses
        ended = run_all(Path.cwd(), jobs)
    except (DvcError, InputError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        print("stopped; finished stages are kept, and unfinished ones go on where they can", file=sys.stderr)
        raise typer.Exit(130) from None
    for ran in ended:
        print(f"{ran.state:>9}  {ran.seconds:6.1f} s  {ran.stage}")
    failures = [ran.stage for ran in ended if ran.state == "Failed"]
    if failures:
        print(f"error: {', '.join(failures)} failed; the reason stands above", file=sys.stderr)
        raise typer.Exit(1)
    print(f"{len(ended)} stages, {time.monotonic() - start:.0f} s" if ended else "nothing has changed")


if __name__ == "__main__":
    typer.run(local)
