"""The images of one run of `prosam segment`, and the names of their results."""

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
        name: its path in the folder of results, with forward slashes; unique in the folder.
        stem: the path of its results, without a suffix.
    """

    path: Path
    name: str
    stem: str

    def state(self) -> list[int] | None:
        """Size and modification time of the file, to detect changes; None if the file is gone."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return [status.st_size, status.st_mtime_ns]

    def path_from(self, folder: Path) -> str:
        """The path from a folder to the image, with forward slashes."""
        # resolve links, because '..' leads to the parent of a link's target
        place = self.path.parent.resolve() / self.path.name
        return Path(os.path.relpath(place, folder.resolve())).as_posix()

    def other_file(self, path: str, folder: Path) -> Path | None:
        """The file at a path from a folder, if it exists and is not this image."""
        there = folder / path
        if path == self.path_from(folder) or not there.exists():
            return None
        return None if self.path.exists() and there.samefile(self.path) else there


@dataclass(frozen=True)
class FrameJob(ImageJob):
    """A frame of a video, whose file is `path`.

    Attributes:
        index: of the frame, from 0.
    """

    index: int


def frame_jobs(video: Path, name: str, indices: Iterable[int]) -> list[FrameJob]:
    """The jobs of some frames of a video; `name` is the video's path in the folder of results."""
    return [FrameJob(video, f"{name}/{index:06d}.png", f"{name}/{index:06d}", index) for index in indices]


def jobs_of(images: Iterable[tuple[Path, str]]) -> list[ImageJob]:
    """The jobs of images, from their paths and names.

    Raises:
        InputError: two images have the same name.
    """
    named = list(images)
    names: dict[str, Path] = {}
    for path, name in named:
        if name in names:
            raise InputError(
                f"{path}: {names[name]} would get results of the same name, {name}; segment them separately"
            )
        names[name] = path
    stems = {name: _stem(name) for name in names}
    count = Counter(stems.values())
    # beside a.jpg and a.png, a.jpg.png also keeps its whole name
    return [
        ImageJob(path, name, stem if count[stem := stems[name]] == 1 and stem not in names else name)
        for path, name in named
    ]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
