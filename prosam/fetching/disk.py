"""Free space on a disk, and errors of writing to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prosam.errors import InputError
from prosam.fetching.byte_progress import bytes_in_words

_SPARE_BYTES = 64 * 10**6
_SPARE_PART = 0.02  # of the bytes written, for the file system's metadata


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, minus a margin for other programs."""
    return max(0, shutil.disk_usage(folder).free - _SPARE_BYTES)


def with_spare(needed: int) -> int:
    """The bytes that a disk must have free for `needed` bytes of files and the file system's metadata."""
    return round(needed * (1 + _SPARE_PART))


def require_room(needed: int, folder: Path, what: str, remedy: str = "make room there and start again") -> None:
    """Check that a disk has enough space before anything is written.

    Args:
        needed: bytes to write.
        folder: to write to; it must exist.
        what: description of the files; it begins the error.
        remedy: what the user can do about it; it ends the error.

    Raises:
        InputError: there is not enough space; the message says how much is needed and how much is free, and where.
    """
    if needed > 0 and with_spare(needed) > free_bytes(folder):
        free = shutil.disk_usage(folder).free
        raise InputError(
            f"{what} needs {bytes_in_words(needed)}, and a margin, on the disk of {folder.absolute()}, where "
            f"{bytes_in_words(free)} are free; {remedy}"
        )


@contextmanager
def disk_failures(what: str) -> Iterator[None]:
    """Turn errors of the operating system into one line.

    Args:
        what: begins the error.

    Raises:
        InputError: the block raised an OSError, such as for a full disk or a folder without permission.
    """
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise InputError(f"{what}: {error.strerror or error}{place}; fix this and start again") from error
