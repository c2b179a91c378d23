"""The images that either layout of your own data yields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from prosam.data.formats.records import ImageRecord
from prosam.data.names import composed
from prosam.errors import Faults


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


def image_id(file: PurePosixPath) -> str:
    """The id of an image file: its path below the folder of images, without the suffix and with composed letters."""
    return composed(str(file.with_suffix("")))


def files_by_id(folder: Path, paths: Sequence[Path], places: Sequence[Path], faults: Faults) -> dict[str, Path]:
    """Image files by id. Two files with one id are a fault, and the first is kept.

    Args:
        folder: of the data set.
        paths: of the files, below one of `places`.
        places: folders of images. An id is the path below the deepest of them. Where files in two of them would share
            an id, as CVAT's subsets do, it is the path below `folder`.
        faults: receives what is wrong.
    """
    below = [min((_below(path, place) for place in places), key=_depth) for path in paths]
    parents: defaultdict[str, set[Path]] = defaultdict(set)
    for path, file in zip(paths, below, strict=True):
        parents[image_id(file)].add(path.parent)
    found: dict[str, Path] = {}
    for path, file in zip(paths, below, strict=True):
        name = image_id(file)
        if any("\ud800" <= letter <= "\udfff" or letter in "\n\r" for letter in str(file)):
            faults.add(f"{path}: has a name with a line end, or with bytes that are not UTF-8; rename it")
            continue
        if len(parents[name]) > 1:
            name = image_id(_below(path, folder))
        if name in found:
            faults.add(f"{path}: {found[name]} has the same name, and the name is the image's id; rename one of them")
        else:
            found[name] = path
    return found


def _below(path: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix())


def _depth(path: PurePosixPath) -> tuple[bool, int]:
    return path.is_absolute(), len(path.parts)
