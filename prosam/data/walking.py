"""The files below a folder, through links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from prosam.remarks import remark

_LONG, _SHOWN = 700, 200  # characters of a path: only a long one may be longer than the system allows


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted by path; hidden ones and those in hidden folders are left out.

    Links to folders are followed. Each real folder is looked into once, under its own name if that lies below `folder`,
    so links that form a circle end. Broken links are among the files. What cannot be looked into is remarked: a folder
    without permission, a broken link without a suffix, which may have led to a folder, or a path that is longer than
    the system allows.
    """
    seen: set[str] = set()
    found: list[Path] = []
    links = [folder]
    while links:
        start = links.pop(0)
        if os.path.realpath(start) in seen:
            continue
        new: list[Path] = []
        for place, folders, files in os.walk(start, onerror=_remark_closed):
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            here = Path(place)
            if len(place) > _LONG:
                folders[:], files = (_reachable(place, names) for names in (folders, files))
            for name in files:
                if not name.startswith(".") and not Path(name).suffix and _is_broken_link(here / name):
                    remark("is a broken link, so what it should hold is left out", str(here / name))
            found += [here / name for name in files if not name.startswith(".")]
            new += [here / name for name in folders if not name.startswith(".") and (here / name).is_symlink()]
            folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += sorted(new)
    return sorted(found, key=lambda path: path.parts)  # as paths compare, at a third of the time


def _remark_closed(error: OSError) -> None:
    place = str(error.filename)
    shown = place if error.errno != errno.ENAMETOOLONG else f"{place[:_SHOWN]}..."
    remark(f"cannot be looked into ({error.strerror}), so what it holds is left out", shown)


def _reachable(folder: str, names: list[str]) -> list[str]:
    """The names in a folder whose paths are not too long; the others are remarked."""
    reached: list[str] = []
    for name in names:
        try:
            (Path(folder) / name).lstat()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                _remark_closed(error)
                continue
        reached.append(name)
    return reached


def _is_broken_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()
