"""The exception for wrong input, and suggestions for its message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """The user's input is wrong. The message is one line: which file or key, what is wrong, what to do.

    Command-line entry points print the message and exit with status 2; they show no traceback.
    """


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A question with the closest choice and a trailing space; empty if no choice is close."""
    close = difflib.get_close_matches(name, list(choices), 1)
    return f"did you mean {close[0]!r}? " if close else ""


def unknown_name(what: str, name: str, choices: Iterable[str]) -> str:
    """The message that a name is not one of the choices, with the closest choice and all choices."""
    choices = list(choices)
    return f"unknown {what} {name!r}; {did_you_mean(name, choices)}choose from {', '.join(choices)}"
