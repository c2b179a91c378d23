"""Reading in threads what will be wanted next."""

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
    """Yield what is read, in order, while threads read up to `ahead` more; what fails is raised in its place.

    Args:
        wanted: gone through in the calling thread.
        read: called in the threads.
        ahead: how many are read or being read beyond the one that is asked for.
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
    finally:  # whoever stops asking does not wait for the rest
        for future in waiting:
            future.cancel()
