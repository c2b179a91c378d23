"""Reading and working ahead in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Wanted = TypeVar("_Wanted")
_Read = TypeVar("_Read")


def read_ahead(
    wanted: Iterable[_Wanted], read: Callable[[_Wanted], _Read], ahead: int, readers: ThreadPoolExecutor
) -> Iterator[_Read]:
    """Yield read(item) for each item, in order, while threads read up to `ahead` items more.

    An exception of `read` is raised at the position of its item.

    Args:
        wanted: the items; iterated in the calling thread.
        read: called in the threads.
        ahead: how many items beyond the current one are read or being read.
        readers: the threads.
    """
    waiting: deque[Future[_Read]] = deque()
    try:
        for one in wanted:
            waiting.append(readers.submit(read, one))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # a caller that stops early does not wait for the rest
        for future in waiting:
            future.cancel()


def mapped(work: Callable[[_Wanted], _Read], wanted: Iterable[_Wanted], workers: int) -> Iterator[_Read]:
    """Yield work(item) for each item, in order, while as many threads work on further items.

    Args:
        work: called in the threads; with one worker, in the calling thread when a result is asked for.
        wanted: the items; iterated in the calling thread.
        workers: number of threads.
    """
    if workers == 1:
        yield from map(work, wanted)
        return
    with ThreadPoolExecutor(workers) as threads:
        yield from read_ahead(wanted, work, workers, threads)
