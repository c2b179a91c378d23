"""The exception for wrong input, and suggestions for its message."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_SHOWN = 20

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class InputError(Exception):
    """The user's input is wrong. The message is one line: which file or key, what is wrong, what to do.

    Command-line entry points print the message and exit with status 2; they show no traceback.
    """


class Faults:
    """What is wrong with many files or entries, collected so that one run names all of it."""

    def __init__(self) -> None:
        """Begin without faults."""
        self._messages: list[str] = []

    def add(self, message: object) -> None:
        """Keep a message, or an error with its message."""
        self._messages.append(str(message))

    def add_all(self, other: Faults) -> None:
        """Keep all messages of another collection."""
        self._messages += other._messages

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep an InputError that is raised inside instead of raising it."""
        try:
            yield
        except InputError as error:
            self.add(error)

    def __len__(self) -> int:
        return len(self._messages)

    def check(self, where: object) -> None:
        """Raise an InputError if there are faults: a single fault as it is, otherwise the first 20 and their number.

        Args:
            where: the file or folder that holds what is wrong.
        """
        if not self._messages:
            return
        if len(self._messages) == 1:
            raise InputError(self._messages[0])
        more = len(self._messages) - _SHOWN
        lines = [*self._messages[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise InputError(f"{where}: {len(self._messages)} faults:" + "".join(f"\n  {line}" for line in lines))


def result_or_error(function: Callable[[_Item], _Result], item: _Item) -> _Result | InputError:
    """The result of a function, or the InputError that it raises; picklable with `functools.partial`."""
    try:
        return function(item)
    except InputError as error:
        return error


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A question with the closest choice and a trailing space; empty if no choice is close."""
    close = difflib.get_close_matches(name, list(choices), 1)
    return f"did you mean {close[0]!r}? " if close else ""


def unknown_name(what: str, name: str, choices: Iterable[str]) -> str:
    """The message that a name is not one of the choices, with the closest choice and all choices."""
    choices = list(choices)
    return f"unknown {what} {name!r}; {did_you_mean(name, choices)}choose from {', '.join(choices)}"
