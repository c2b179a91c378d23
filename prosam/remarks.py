"""What was left out or reinterpreted while files were read: collected, and said once with a count.

A page of a TIFF that is not read, a 16-bit range that is stretched, a mask that covers everything: none of these is an
error, but nobody should have to find them out. Readers call `remark`. A command collects the remarks and prints them as
a line for each kind; without a command, as in Python, a remark is a warning.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_NAMED = 3

_LOCK = Lock()
_collections: list[Remarks] = []  # the innermost is last


class Remark(UserWarning):
    """A remark that no command collects."""


class Remarks:
    """Remarks of several readers, in order and without repetition. Several threads may add to one."""

    def __init__(self) -> None:
        """Begin without remarks."""
        self._files: dict[str, dict[str, None]] = {}
        self._said: set[tuple[str, str]] = set()

    def add(self, what: str, name: str) -> None:
        """Keep a remark; see `remark`."""
        with _LOCK:
            if (what, name) not in self._said:
                self._files.setdefault(what, {}).setdefault(name)

    def pairs(self) -> list[tuple[str, str]]:
        """What was remarked, and on which file; for other processes."""
        with _LOCK:
            return [(what, name) for what, names in self._files.items() for name in names]

    def lines(self) -> list[str]:
        """One line for each kind of remark, with the number of its files and the first of them.

        Files are sorted, because threads meet them in any order.
        """
        lines = []
        for what, names in self._files.items():
            first = ", ".join(sorted(names)[:_NAMED])
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            lines.append(f"{first}{more}: {what}" if len(names) == 1 else f"{len(names)} files: {what}: {first}{more}")
        return lines

    def say(self) -> None:
        """Print the lines on standard error; what has been said once is not said again."""
        for line in self.lines():
            print(f"note: {printable(line)}", file=sys.stderr)
        self._said.update(self.pairs())
        self._files.clear()


def printable(text: str) -> str:
    """A text from outside, such as a file's name, without signs that would steer a terminal; line ends stay."""
    return "".join(sign if sign.isprintable() or sign in "\n\t " else repr(sign)[1:-1] for sign in text)


def remark(what: str, name: str) -> None:
    """Say what was left out of a file, or how it was understood.

    Args:
        what: in words that fit every file of the kind, such as `only the first page is read`.
        name: of the file.
    """
    if _collections:
        _collections[-1].add(what, name)
    else:
        warnings.warn(f"{name}: {what}", Remark, stacklevel=3)


def say_remarks() -> None:
    """Print what the command has remarked so far, for instance before work that takes hours."""
    if _collections:
        _collections[-1].say()


@contextmanager
def collecting() -> Iterator[Remarks]:
    """Collect the remarks of all threads of this process."""
    remarks = Remarks()
    _collections.append(remarks)
    try:
        yield remarks
    finally:
        _collections.remove(remarks)
