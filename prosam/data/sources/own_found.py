"""The images that either layout of your own data yields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from prosam.data.formats.records import ImageRecord
from prosam.errors import InputError


@dataclass(frozen=True)
class OwnImages:
    """The images of a folder.

    Attributes:
        classes: names in class-id order.
        images: one record each. Its masks may be empty, and its split is meaningless unless `divided`.
        sources: for each record's `file`, its current path.
        divided: whether the folder says which images are for training.
        without_mask: ids of the images without a mask.
        unlisted: ids of the images that have a mask but are in neither list, if there are lists.
    """

    classes: tuple[str, ...]
    images: list[ImageRecord]
    sources: Mapping[PurePosixPath, Path]
    divided: bool
    without_mask: list[str]
    unlisted: list[str] = field(default_factory=list)


def by_id(paths: Iterable[Path]) -> dict[str, Path]:
    """Image files by id, which is the name without folder and suffix; raises InputError if two share an id."""
    images: dict[str, Path] = {}
    for path in paths:
        if path.stem in images:
            raise InputError(
                f"{path}: {images[path.stem]} has the same name, and the name is the image's id; rename one of them"
            )
        images[path.stem] = path
    return images
