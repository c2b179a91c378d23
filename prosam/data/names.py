"""Names of files that are written in two ways: a Mac takes letters and accents apart, most programs do not."""

from __future__ import annotations

import stat
import unicodedata
from pathlib import Path

from prosam.errors import InputError

Listings = dict[Path, dict[str, str]]


def composed(name: str) -> str:
    """A name with each accent in its letter (Unicode's NFC), in which equal names are equal."""
    return unicodedata.normalize("NFC", name)


def check_is_file(path: Path) -> None:
    """Require that a path is no pipe, socket or device, which could be read only once, or without an end.

    Raises:
        InputError: it is; what does not exist passes.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path}: is a pipe or a device, not a file; save what it gives as a file first")


def existing(path: Path, listings: Listings | None = None) -> Path:
    """The path of a file or folder whose name is composed otherwise than `path` says; `path` if there is none.

    Args:
        path: to look for.
        listings: what folders hold, kept between calls.
    """
    listings = {} if listings is None else listings
    if str(path).isascii() or path.exists() or path.parent == path:
        return path
    folder = existing(path.parent, listings)
    if folder not in listings:
        try:
            listings[folder] = {composed(other.name): other.name for other in sorted(folder.iterdir())}
        except OSError:
            listings[folder] = {}
    name = listings[folder].get(composed(path.name))
    return path if name is None else folder / name
