"""Large annotation files in COCO's form, such as those of LVIS and PACO, in bounded memory.

A file is read twice: first for its images, its categories and which category is on which image, then for its
annotations. These come in any order, so they are put aside on disk, in files for some hundred images each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prosam.data.formats.json_stream import entries
from prosam.errors import InputError

_IMAGES_IN_FILE = 1_000  # 12 MB of LVIS's annotations
_MOST_FILES = 500  # open at once


@dataclass(frozen=True)
class Listed:
    """What an annotations file lists.

    Attributes:
        images: entries by image id, in the file's order, reduced to `file_name`, `coco_url`, `height` and `width`.
        categories: entries by category id, ascending.
        shown: the ids of the images that each category is annotated on, by category id.
    """

    images: dict[int, dict[str, Any]] = field(default_factory=dict)
    categories: dict[int, dict[str, Any]] = field(default_factory=dict)
    shown: dict[int, set[int]] = field(default_factory=dict)


def read_listed(path: Path, member: str) -> Listed:
    """Read what a file lists.

    Args:
        path: of the file, plain or compressed, or of an archive.
        member: name of the file in an archive.

    Raises:
        InputError: the file is missing or damaged, or an entry lacks an id or a reference.
    """
    listed = Listed()
    try:
        for section, entry in entries(path, ("images", "categories", "annotations"), member=member):
            if section == "images":
                wanted = ("file_name", "coco_url", "height", "width")
                listed.images[int(entry["id"])] = {key: entry[key] for key in wanted if key in entry}
            elif section == "categories":
                listed.categories[int(entry["id"])] = entry
            else:
                listed.shown.setdefault(int(entry["category_id"]), set()).add(int(entry["image_id"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: an entry lacks {error}; is it the annotations file of the data set?") from error
    for category, images in listed.shown.items():
        if category not in listed.categories:
            raise InputError(f"{path}: an annotation belongs to category {category}, which is not listed")
        if unlisted := images - listed.images.keys():
            raise InputError(f"{path}: an annotation belongs to image {min(unlisted)}, which is not listed")
    return Listed(listed.images, dict(sorted(listed.categories.items())), listed.shown)


def annotations_by_image(
    path: Path, member: str, images: Sequence[int], keep: Callable[[Mapping[str, Any]], Any], folder: Path
) -> Iterator[list[Any]]:
    """Yield the annotations of each of some images, in the order of the images, and of the file within an image.

    Args:
        path: see `read_listed`.
        member: likewise.
        images: ids.
        keep: reduces an annotation to what is needed of it, as JSON can hold it; None leaves it out.
        folder: for the annotations that are put aside, as many bytes as the file has; they are removed at the end.

    Raises:
        InputError: the file is damaged.
    """
    size = max(_IMAGES_IN_FILE, -(-len(images) // _MOST_FILES))
    starts = range(0, len(images), size)
    numbers = {image: number for number, image in enumerate(images)}
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".annotations-") as aside:
        paths = [Path(aside) / str(start) for start in starts]
        files = [path.open("w", encoding="utf-8") for path in paths]
        try:
            for _, entry in entries(path, ("annotations",), member=member):
                number = numbers.get(entry["image_id"])
                kept = None if number is None else keep(entry)
                if number is not None and kept is not None:
                    files[number // size].write(json.dumps((number, kept)) + "\n")
        finally:
            for file in files:
                file.close()
        for start, file in zip(starts, paths, strict=True):
            found: list[list[Any]] = [[] for _ in images[start : start + size]]
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    number, kept = json.loads(line)
                    found[number - start].append(kept)
            file.unlink()
            yield from found
