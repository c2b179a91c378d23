"""Checks whether the code of a clone is that of its commit."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from pathlib import Path

from prosam.errors import InputError

_CODE = ("prosam/", "tasks/")  # new files count here, since stages depend on whole folders


def head(root: Path) -> str:
    """The commit that is checked out, as a full SHA-1.

    Raises:
        InputError: git fails, for instance because `root` is not a repository.
    """
    return git(root, "rev-parse", "HEAD").strip()


def uncommitted(root: Path, allowed: Collection[str]) -> str | None:
    """The first file that differs from the commit, or is new among the code; None if all files are as committed.

    Args:
        root: root of the clone.
        allowed: files that may differ.

    Raises:
        InputError: git fails.
    """
    for entry in git(root, "status", "--porcelain", "--no-renames", "-z").split("\0"):
        state, path = entry[:2], entry[3:]
        if path and path not in allowed and (state != "??" or path.startswith(_CODE)):
            return path
    return None


def git(root: Path, *words: str) -> str:
    """The output of a git command.

    Raises:
        InputError: git fails.
    """
    # Several stages may ask at once. In a container, the folder often belongs to another user, whose repository git
    # refuses; its code runs already.
    command = ["git", "--no-optional-locks", "-c", "safe.directory=*", *words]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise InputError("git is not installed, and this needs it") from error
    if done.returncode:
        raise InputError(f"{root}: git {words[0]} failed: {' '.join(done.stderr.split())}")
    return done.stdout
