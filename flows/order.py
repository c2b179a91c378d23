"""Runs stages in the order of the DAG, several at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from graphlib import TopologicalSorter

from flows.stage_processes import Ran


def run_in_order(
    needs: Mapping[str, set[str]], start: Callable[[str], Future[Ran]], jobs: int, *, stop_at_failure: bool
) -> list[Ran]:
    """Run stages, each as soon as the stages it needs have ended.

    Args:
        needs: each stage with the stages it needs, which are all keys as well.
        start: starts a stage; its future never raises.
        jobs: stages at once, 1 or more.
        stop_at_failure: whether to start no more stages once one has failed. Otherwise all are started, including those
            that need a failed one.

    Returns:
        How each stage ended, in order of completion.

    Raises:
        ValueError: jobs is less than 1.
    """
    if jobs < 1:
        raise ValueError(f"{jobs} jobs at once would never end")
    waiting = TopologicalSorter(needs)
    waiting.prepare()
    ended, failed = list[Ran](), False
    ready: list[str] = []
    running: set[Future[Ran]] = set()
    while waiting.is_active() and not (failed and not running):
        ready += sorted(waiting.get_ready(), key=list(needs).index)
        while ready and not failed and len(running) < jobs:  # no stage is queued, since a failure could not stop it
            running.add(start(ready.pop(0)))
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            ended.append(future.result())
            failed |= stop_at_failure and ended[-1].state == "Failed"
            waiting.done(ended[-1].stage)
    return ended
