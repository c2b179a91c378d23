"""Shards on a fleet: each is a task run that runs a shard where there is room, and is tried again where it fails."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed, Failed

from flows.machines import committed_head
from flows.stage_processes import Ran, StageProcesses
from flows.stage_tasks import as_ran
from flows.workers import Request, Workers, number_online
from prosam.output.shards import ImageShard

POOLS: Mapping[str, str] = {"gpu": "prosam/shard-gpu", "cpu": "prosam/shard-cpu"}
HERE = "here"

_RETRIES, _DELAY = 2, 5.0  # further attempts of a shard; seconds before each
_HOPELESS = 3  # shards that have failed while none was done
_EVERY = 10.0  # seconds between two looks at who is online


@dataclass(frozen=True)
class ShardJob:
    """What a worker needs to know of a shard; plain text, since it travels as JSON.

    Attributes:
        folder: of the shards, as each machine finds it.
        shard: the shard's name.
        commit: the commit of the code, as a full SHA-1.
    """

    folder: str
    shard: str
    commit: str


class Fleet:
    """The workers of the pools that are online, or this machine.

    Workers may come and go: as many shards run at once as workers are online, in whichever pool has room.
    """

    def __init__(self, root: Path, folder: str, *, where: Literal["auto", "here", "workers"], jobs: int):
        """Look who is online; nothing runs yet.

        Args:
            root: root of this clone.
            folder: of the shards.
            where: where shards run: here, on workers, or (auto) on workers if one is online.
            jobs: shards at once on this machine.

        Raises:
            InputError: shards would run on workers, but the code differs from the commit.
        """
        self._folder, self._jobs = folder, jobs
        self._processes, self._workers = StageProcesses(root), Workers()
        self._lock, self._running = threading.Lock(), Counter[str]()
        self._looked, self._online = 0.0, dict[str, int]()
        self._here = where == "here"
        if where == "auto":
            self._here = not any(self.capacity().values())
        self._commit = "" if self._here else committed_head(root)

    def capacity(self) -> dict[str, int]:
        """The number of shards that each pool can run at once; this flow itself takes a place in the pool cpu."""
        if self._here:
            return {HERE: self._jobs}
        with self._lock:
            if not self._online or time.monotonic() - self._looked > _EVERY:
                with suppress(httpx.TransportError, httpx.HTTPStatusError):  # a server that is away comes back
                    self._online = {pool: max(0, number_online(pool) - (pool == "cpu")) for pool in POOLS}
                self._looked = time.monotonic()
            return dict(self._online)

    def compute(self, shard: str, tell: Callable[[str], None]) -> State:
        """Run a shard to its end, where there is most room.

        Returns:
            Completed, or Failed with the reason.
        """
        capacity = self.capacity()
        with self._lock:
            pool = max(capacity, key=lambda name: capacity[name] - self._running[name])
            self._running[pool] += 1
        try:
            return self._compute_here(shard, tell) if pool == HERE else self._hand_over(shard, pool, tell)
        finally:
            with self._lock:
                self._running[pool] -= 1

    def stop(self) -> None:
        """End all shards that run, here and on workers; what is done stays."""
        self._processes.stop()
        self._workers.stop()

    def _compute_here(self, shard: str, tell: Callable[[str], None]) -> State:
        return shard_state(self._processes, self._folder, shard, tell)

    def _hand_over(self, shard: str, pool: str, tell: Callable[[str], None]) -> State:
        def is_deserted() -> bool:
            capacity = self.capacity()
            return not capacity[pool] and any(capacity.values())

        job = ShardJob(self._folder, shard, self._commit)
        ended = self._workers.run_once(Request(POOLS[pool], {"job": asdict(job)}, shard), tell, is_deserted)
        if ended.is_completed():
            return Completed(message=ended.message)
        return Failed(message=f"on a worker of pool {pool}: {ended.name}: {ended.message}")


def shard_state(processes: StageProcesses, folder: str, shard: str, tell: Callable[[str], None]) -> State:
    """Run a shard in a process of this machine, to its end.

    Args:
        processes: runs it.
        folder: of the shards.
        shard: its name.
        tell: called with each line that it prints.
    """
    lines = list[str]()

    def note(line: str) -> None:
        tell(line)
        lines.append(line)

    code = processes.run_module("prosam.cli.shards", ["segment", folder, shard], note)
    if not code:
        said = next((line for line in lines if line.startswith(f"{shard}: ")), "")
        return Completed(message=said.removeprefix(f"{shard}: ") or "was done already")
    reason = next((line for line in lines if line.startswith("error:")), f"ended with status {code}")
    return Failed(message=reason)


@task(retries=_RETRIES, retry_delay_seconds=_DELAY, cache_policy=NO_CACHE, persist_result=False)
def run_shard(fleet: Fleet, shard: str) -> State:
    """Run a shard; a Failed state makes Prefect run it again."""
    state = fleet.compute(shard, get_run_logger().info)
    if state.is_failed():
        get_run_logger().warning(state.message)
    return state


def run_shards(fleet: Fleet, shards: Sequence[ImageShard], tell: Callable[[Ran, ImageShard], None]) -> list[Ran]:
    """Run shards, as many at once as the fleet has room for. One that fails for good leaves the others running.

    If the first ones all fail, the fault is not theirs, and no more are begun.

    Args:
        fleet: runs them.
        shards: to run.
        tell: called with each that has ended.

    Returns:
        How each ended that was begun.
    """
    left, ended = list(reversed(shards)), list[Ran]()
    running: dict[Future[Ran], ImageShard] = {}
    named: Any = run_shard
    try:
        while left or running:
            failed = sum(ran.state == "Failed" for ran in ended)
            if failed >= _HOPELESS and failed == len(ended):
                left.clear()
            while left and len(running) < sum(fleet.capacity().values()):
                shard = left.pop()
                future: PrefectConcurrentFuture[State] = named.with_options(
                    name="shard", task_run_name=shard.name
                ).submit(fleet, shard.name)
                running[as_ran(shard.name, future)] = shard
            if not running:
                time.sleep(1)
                continue
            for done in wait(running, timeout=_EVERY, return_when=FIRST_COMPLETED).done:
                shard = running.pop(done)
                ended.append(done.result())
                tell(ended[-1], shard)
    except BaseException:  # the run was cancelled, so all shards that were started must end
        fleet.stop()
        raise
    return ended
