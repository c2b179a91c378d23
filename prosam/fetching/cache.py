"""Where files from the internet are kept for all projects of a user: $PROSAM_CACHE, or `prosam` in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder of a kind of file; it need not be there yet."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prosam"
    return Path(os.environ.get("PROSAM_CACHE") or usual) / name
