"""Names of files that are written in two ways: a Mac takes letters and accents apart, most programs do not."""

from __future__ import annotations

import unicodedata
from pathlib import Path

Listings = dict[Path, dict[str, str]]


def composed(name: str) -> str:
    """A name with each accent in its letter (Unicode's NFC), in which equal names are equal."""
    return unicodedata.normalize("NFC", name)


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
