"""Of processes that start the same work together, one does it and the others wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def one_at_a_time(lock_file: Path, what: str) -> Iterator[None]:
    """Hold a lock, which the system releases when a process ends or is killed.

    Args:
        lock_file: locked; it stays there, empty.
        what: is named to a user who has to wait.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{what}: another process is at it; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
