"""Rounds in which two processes do the same at once."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from tests.chaos.forked import Circumstances, Fork, stage
from tests.chaos.kills import TASKS, compared, start_over, undisturbed
from tests.chaos.rounds import Generator, Outcome, Site, leftovers
from tests.chaos.workshop import TRAIN

_SLOW = 0.02


def together_round(site: Site, rng: Generator) -> Outcome:
    """Two of a command, two fetches, or a promotion beside a training."""
    way = str(rng.choice(["same", "same", "fetch", "promote beside train"]))
    if way == "fetch":
        return fetch_twice(site, rng)
    if way == "promote beside train":
        return promote_beside_train(site, rng)
    return twice(site, rng, str(rng.choice([name for name in TASKS if name != "promote"])))


def twice(site: Site, rng: Generator, name: str) -> Outcome:
    """Start a command twice; what it writes must be what one writes."""
    task = TASKS[name]
    expected, seconds = undisturbed(site, name, task)
    later = float(rng.uniform(0, seconds))
    did = f"{name}: twice, {later:.2f} s apart"
    with site.copy() as copy:
        start_over(copy, task)
        forks = []
        for delay in (0.0, later):
            time.sleep(delay)
            forks.append(Fork(copy, task.work, Circumstances(slow=_SLOW, seed=int(rng.integers(1 << 31)))))
        for ended in [fork.wait() for fork in forks]:
            if ended.fault or ended.status != 0:
                return Outcome(did, ended.fault or f"exit {ended.status}: {ended.printed[-800:]}")
        return Outcome(did, compared(copy, task, expected))


def promote_beside_train(site: Site, rng: Generator) -> Outcome:
    """Promote while the run is trained again: the model in use is the old or the new one, and whole."""
    task = TASKS["promote"]
    with site.copy() as copy:
        start_over(copy, task)
        training = Fork(copy, stage(*TRAIN), Circumstances(slow=_SLOW, seed=int(rng.integers(1 << 31))))
        later = float(rng.uniform(0, 3))
        time.sleep(later)
        promoting = Fork(copy, task.work, Circumstances(slow=_SLOW, seed=int(rng.integers(1 << 31))))
        did = f"promote {later:.2f} s after a training began"
        trained, promoted = training.wait(), promoting.wait()
        for ended in (trained, promoted):
            if ended.fault:
                return Outcome(did, ended.fault)
        if trained.status != 0:
            return Outcome(did, f"train: exit {trained.status}: {trained.printed[-500:]}")
        if promoted.status == 2:  # it says why
            return Outcome(did, noticed=True)
        expected, _ = undisturbed(site, "promote", task)
        return Outcome(did, compared(copy, task, expected))


def fetch_twice(site: Site, rng: Generator) -> Outcome:
    """Two first fetches of one file."""
    content = np.random.default_rng(int(rng.integers(1 << 31))).bytes(int(rng.integers(1, 3_000_000)))
    did = f"fetch: {len(content)} bytes, twice at once"
    with site.copy() as copy:
        (copy / "served").mkdir()
        (copy / "served" / "weights.bin").write_bytes(content)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(copy / "served")))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            work = _fetching(f"http://127.0.0.1:{server.server_port}/weights.bin", hashlib.sha256(content).hexdigest())
            forks = [Fork(copy, work, Circumstances(slow=_SLOW, seed=int(rng.integers(1 << 31)))) for _ in range(2)]
            ends = [fork.wait() for fork in forks]
        finally:
            server.shutdown()
            server.server_close()
        for ended in ends:
            if ended.fault or ended.status != 0:
                return Outcome(did, ended.fault or f"exit {ended.status}: {ended.printed[-800:]}")
        if (copy / "fetched" / "weights.bin").read_bytes() != content:
            return Outcome(did, "the file has other bytes")
        left = leftovers(copy / "fetched")
        return Outcome(did, f"left over: {left}" if left else None)


def _fetching(url: str, sha256: str) -> Callable[[], Any]:
    def work() -> None:
        from prosam.fetching.remote_file import RemoteFile
        from prosam.fetching.transfer import fetch

        fetch(RemoteFile("weights.bin", (url,), sha256=sha256), Path("fetched"))

    return work


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
