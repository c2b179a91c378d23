"""Room on a disk, and what else may fail there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prosam.errors import InputError
from prosam.fetching.byte_progress import bytes_in_words

_SPARE_BYTES = 64 * 10**6
_SPARE_PART = 0.02  # of what is written: the file system's own books


def free_bytes(folder: Path) -> int:
    """Free on the disk of a folder, less a margin that is left to others."""
    return max(0, shutil.disk_usage(folder).free - _SPARE_BYTES)


def with_spare(needed: int) -> int:
    """The bytes that a disk must have free for files of so many bytes: a file system keeps books of its own."""
    return round(needed * (1 + _SPARE_PART))


def require_room(needed: int, folder: Path, what: str, remedy: str = "make room there and start again") -> None:
    """Make sure that a disk has room before anything is written.

    Args:
        needed: bytes that are going to be written.
        folder: that they go to; it exists.
        what: what is written; it begins the error.
        remedy: what the user can do about it; it ends the error.

    Raises:
        InputError: it has not; says how much is needed, is free, and where.
    """
    if needed > 0 and with_spare(needed) > free_bytes(folder):
        free = shutil.disk_usage(folder).free
        raise InputError(
            f"{what} needs {bytes_in_words(needed)}, and a margin, on the disk of {folder.absolute()}, where "
            f"{bytes_in_words(free)} are free; {remedy}"
        )


@contextmanager
def disk_failures(what: str) -> Iterator[None]:
    """Turn what the operating system refuses into one line.

    Args:
        what: begins the error.

    Raises:
        InputError: an OSError inside, a full disk or a folder without permission.
    """
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise InputError(f"{what}: {error.strerror or error}{place}; mend that and start again") from error
