"""Progress in bytes, shown in megabytes."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from prosam.progress import Progress

_MEGABYTE = 10**6


class ByteProgress:
    """Counts bytes towards a total, as a context manager; silent below ten megabytes or without a total."""

    def __init__(self, name: str, total: int | None, done: int = 0):
        """Start counting.

        Args:
            name: of the work, shown first.
            total: number of bytes; None if unknown.
            done: bytes that exist from an earlier start.
        """
        self._bytes, self._shown = done, done // _MEGABYTE
        self._progress = None
        if total is not None and total >= 10 * _MEGABYTE:
            self._progress = Progress(name, total // _MEGABYTE, "MB", self._shown)

    def advance(self, count: int) -> None:
        """Count more bytes."""
        self._bytes += count
        fresh = self._bytes // _MEGABYTE - self._shown
        if self._progress is not None and fresh:
            self._progress.advance(fresh)
            self._shown += fresh

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.__exit__(kind, error, trace)


def bytes_in_words(count: int) -> str:
    """A number of bytes in readable form: '512 bytes', '3.4 MB', '13.5 GB'."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
