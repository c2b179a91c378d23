"""The images of one run of `prosam segment`, and the names that their results are filed under."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prosam.errors import InputError


@dataclass(frozen=True)
class ImageJob:
    """An image to segment.

    Attributes:
        path: of its file.
        name: the path under which it is filed, with forward slashes; unique in the folder.
        stem: the same for what is made of it, without a suffix.
    """

    path: Path
    name: str
    stem: str

    def state(self) -> list[int] | None:
        """Size and time of the last change of the file, which tell whether it is as it was; None when it is gone."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return [status.st_size, status.st_mtime_ns]

    def path_from(self, folder: Path) -> str:
        """The path from a folder to the image, with forward slashes."""
        # folders without links, for '..' leads out of where a link points to
        place = self.path.parent.resolve() / self.path.name
        return Path(os.path.relpath(place, folder.resolve())).as_posix()

    def other_file(self, path: str, folder: Path) -> Path | None:
        """The file at a path from a folder, if it is there and not this image."""
        there = folder / path
        if path == self.path_from(folder) or not there.exists():
            return None
        return None if self.path.exists() and there.samefile(self.path) else there


def jobs_of(images: Iterable[tuple[Path, str]]) -> list[ImageJob]:
    """The jobs of images with the names to file them under.

    Raises:
        InputError: two have the same name.
    """
    named = list(images)
    names: dict[str, Path] = {}
    for path, name in named:
        if name in names:
            raise InputError(f"{path}: {names[name]} would be filed under the same name, {name}; segment them apart")
        names[name] = path
    stems = Counter(_stem(name) for name in names)
    # beside a.jpg and a.png, a.jpg.png is filed under its whole name, too
    return [
        ImageJob(path, name, stem if stems[stem := _stem(name)] == 1 and stem not in names else name)
        for path, name in named
    ]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
