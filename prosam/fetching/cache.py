"""The cache of files from the internet, shared by a user's projects: $PROSAM_CACHE, or `prosam` in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder for one kind of file, which may not exist yet."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prosam"
    return Path(os.environ.get("PROSAM_CACHE") or usual) / name
