"""Seconds of named parts of some work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stopwatch:
    """Adds up the seconds of parts. Work that a GPU finishes later counts to the part that waits for it."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._times: dict[str, int] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure one turn of a part."""
        start = perf_counter()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + perf_counter() - start
        self._times[name] = self._times.get(name, 0) + 1

    def mean(self) -> dict[str, float]:
        """Seconds of one turn of each part, in the order of their first turns."""
        return {name: seconds / self._times[name] for name, seconds in self._seconds.items()}
