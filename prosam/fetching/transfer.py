"""Fetching a file: it is complete, verified and under its final name, or absent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prosam.errors import InputError
from prosam.fetching.disk import disk_failures, require_room
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.shown_url import shown_url
from prosam.fetching.verified import what_is_wrong, write_stamp
from prosam.files import one_at_a_time

if TYPE_CHECKING:
    from prosam.fetching.part import PartialFile
    from prosam.fetching.source import RetryPolicy


def fetch(file: RemoteFile, folder: Path, *, patience: RetryPolicy | None = None) -> Path:
    """Make sure that a file is in a folder.

    A correct existing file is kept. Otherwise the file is transferred to `.<name>.part` from the first address that
    provides the right bytes. After a cut or a kill the next attempt resumes that part.

    Args:
        file: to fetch.
        folder: created if necessary.
        patience: timeouts and retries.

    Returns:
        The path of the file.

    Raises:
        InputError: no address provides the file, or the disk is full or cannot be written.
    """
    path = folder / file.name
    with disk_failures(f"{path}: cannot be fetched"):
        folder.mkdir(parents=True, exist_ok=True)
        before = _state(path)
        wrong = _wrong(file, path)
        if wrong is None and before is not None:
            return path
        with one_at_a_time(folder / f".{file.name}.lock", file.name):
            if _state(path) != before:  # another process was faster
                wrong = _wrong(file, path)
                if wrong is None and path.exists():
                    return path
            if wrong is not None:
                print(f"{path}: is not the right file ({wrong}); fetching it again")
                _use_as_part(file, path)
            _transfer(file, path, patience)
    return path


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _wrong(file: RemoteFile, path: Path) -> str | None:
    """What is wrong with the file under the final name; None if it is correct or absent."""
    if not path.exists():
        return None
    if not path.is_file():
        raise InputError(f"{path}: is in the way of a file to be fetched; remove it and start again")
    return what_is_wrong(file, path)


def _use_as_part(file: RemoteFile, path: Path) -> None:
    """Resume a truncated file, copied by somebody or left by an earlier program, if its digest is known."""
    part = path.with_name(f".{file.name}.part")
    if not file.expected or file.size is None or not os.access(path, os.W_OK):
        return
    if path.is_symlink() or path.stat().st_nlink > 1:
        return  # writing through a link would change a file elsewhere
    size = path.stat().st_size
    if size < file.size and (not part.exists() or part.stat().st_size < size):
        part.with_name(f"{part.name}.json").unlink(missing_ok=True)
        path.replace(part)


def _transfer(file: RemoteFile, path: Path, patience: RetryPolicy | None) -> None:
    from prosam.fetching.part import PartialFile
    from prosam.fetching.source import Refused, RetryPolicy, transfer_from

    reasons: list[str] = []
    if file.licence is not None:
        print(f"{file.name}: its licence is {file.licence}", flush=True)
    with PartialFile(file, path.parent) as part:
        _require_room(file, part)
        for number, url in enumerate(file.urls, 1):
            try:
                transfer_from(url, file, part, patience or RetryPolicy())
            except Refused as problem:
                reasons.append(f"{shown_url(url)} ({problem})")
                if number < len(file.urls):
                    print(f"{file.name}: {shown_url(url)}: {problem}; trying {shown_url(file.urls[number])}")
                part.inherited = part.length > 0
                continue
            part.become(path)
            write_stamp(path, part.digests.hexadecimal())
            return
    raise InputError(
        f"{file.name}: could not be fetched from {', '.join(reasons)}; "
        f"start again later, or put the file at {path.absolute()} by hand and start again"
    )


def _require_room(file: RemoteFile, part: PartialFile) -> None:
    if file.size is not None:
        require_room(file.size - part.length, part.path.parent, file.name)
