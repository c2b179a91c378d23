"""Applying a pure function to many items on all CPU cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from typing import TypeVar

from prosam.distributed.cpus import usable_cpus
from prosam.remarks import collecting, remark

Item = TypeVar("Item")
ResultT = TypeVar("ResultT")


def parallel_map(function: Callable[[Item], ResultT], items: Sequence[Item], *, chunk: int) -> Iterator[ResultT]:
    """Yield function(item) for each item, in order; the first exception in a worker is raised here.

    What workers remark is remarked here.

    Args:
        function: picklable, at the top level of its module.
        items: picklable.
        chunk: number of items that a worker takes at once; it should be about a second of work, because starting a
            worker takes as long. Fewer than two chunks are processed in this process.
    """
    workers = min(usable_cpus(), len(items) // chunk)
    if workers < 2:
        yield from map(function, items)
        return
    # Workers are spawned instead of forked because numpy's threads do not survive a fork.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_exit_with_parent)
    try:
        for result, remarks in pool.map(partial(_with_remarks, function), items, chunksize=chunk):
            for what, name in remarks:
                remark(what, name)
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _with_remarks(function: Callable[[Item], ResultT], item: Item) -> tuple[ResultT, list[tuple[str, str]]]:
    with collecting() as remarks:
        result = function(item)
    return result, remarks.pairs()


def _exit_with_parent() -> None:
    """End a worker when the process that started it is killed; otherwise it would wait for work forever."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
