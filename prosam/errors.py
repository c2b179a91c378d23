"""The one exception that a user's input can cause."""

from __future__ import annotations


class InputError(Exception):
    """Something the user gave is wrong. Its message is one line: which file or key, what is wrong, what to do.

    Command-line entry points print the message and exit with status 2; they show no traceback.
    """
