"""Progress with an ETA: a bar on a terminal, elsewhere a plain line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from tqdm import tqdm

_Item = TypeVar("_Item")
_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts towards a total, as a context manager.

    Example:
        with Progress("embeddings", total=1600, unit="image") as progress:
            progress.advance(64, shard=3)
    """

    def __init__(self, name: str, total: int, unit: str = "it", done: int = 0, *, shown: bool = True):
        """Start counting.

        Args:
            name: of the work, shown first.
            total: the count when the work is complete.
            unit: of the count.
            done: count from an earlier start; it does not enter the rate.
            shown: False for silence, if another process shows the same progress.
        """
        self._shown = shown
        self._name, self._total, self._unit, self._initial = name, total, unit, done
        self._done = done
        self._start = self._last_line = time.monotonic()
        self._bar = None
        if shown and sys.stderr.isatty():
            self._bar = tqdm(total=total, desc=name, unit=unit, initial=done, dynamic_ncols=True)

    def advance(self, count: int = 1, **figures: float | str) -> None:
        """Increase the count, and show figures beside the bar."""
        self._done += count
        shown = {k: f"{v:.3g}" if isinstance(v, float) else str(v) for k, v in figures.items()}
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES and self._done < self._total:
            self._print_line(shown)

    def _print_line(self, figures: dict[str, str]) -> None:
        if not self._shown:
            return
        self._last_line = time.monotonic()
        elapsed = self._last_line - self._start
        fresh = self._done - self._initial
        words = [f"{self._name}: {self._done}/{self._total} {self._unit}", f"{elapsed:.0f} s"]
        if fresh > 0 and self._done < self._total:
            words.append(f"ETA {elapsed / fresh * (self._total - self._done):.0f} s")
        words += [f"{k} {v}" for k, v in figures.items()]
        print(", ".join(words), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None:
            self._print_line({})


def track(items: Iterable[_Item], name: str, total: int, unit: str = "it", *, shown: bool = True) -> Iterator[_Item]:
    """Iterate with progress."""
    with Progress(name, total, unit, shown=shown) as progress:
        for item in items:
            yield item
            progress.advance()
