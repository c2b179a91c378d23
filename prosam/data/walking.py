"""The files below a folder, through links."""

from __future__ import annotations

import os
from pathlib import Path

from prosam.remarks import remark


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted by path; hidden ones and those in hidden folders are left out.

    Links to folders are followed. Each real folder is looked into once, under its own name if that lies below `folder`,
    so links that form a circle end. Broken links are among the files. What cannot be looked into is remarked: a folder
    without permission, or a broken link without a suffix, which may have led to a folder.
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
            for name in files:
                if not name.startswith(".") and not Path(name).suffix and _is_broken_link(here / name):
                    remark("is a broken link, so what it should hold is left out", str(here / name))
            found += [here / name for name in files if not name.startswith(".")]
            new += [here / name for name in folders if not name.startswith(".") and (here / name).is_symlink()]
            folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += sorted(new)
    return sorted(found, key=lambda path: path.parts)  # as paths compare, at a third of the time


def _remark_closed(error: OSError) -> None:
    remark(f"cannot be looked into ({error.strerror}), so what it holds is left out", str(error.filename))


def _is_broken_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()
