"""LVIS v1 for LVIS-92i: 1,203 categories on the images of COCO 2017.

    lvis_v1_train.json.zip, lvis_v1_val.json.zip    or unpacked, or with gzip
    train2017/<file>, val2017/<file>

The classes are the categories that more than a number of val images show, in ascending order of their ids, without the
last few that do not fill ten folds: 920 categories are on more than one image, 680 on more than five. A mask joins all
objects of its class.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosam.data.dataset import Split
from prosam.data.formats.image_files import inspect_each
from prosam.data.formats.records import ImageRecord
from prosam.data.sources.coco import AnnotatedImage, records_of
from prosam.data.sources.coco2017 import annotations_file, located_images
from prosam.data.sources.coco_json import NO_OUTLINE, CocoAnnotation, CocoImage
from prosam.data.sources.coco_masks import BadOutlinesError, class_masks
from prosam.data.sources.coco_stream import Listed, annotations_by_image, read_listed
from prosam.data.sources.published_counts import LVIS_CLASSES, LVIS_IMAGES, remark_other_count
from prosam.errors import InputError

_FOLDS = 10
_MEMBERS: dict[Split, str] = {"train": "lvis_v1_train.json", "val": "lvis_v1_val.json"}
_FEW = 3  # more images than needed: so few that one whose outlines cover no pixel could be missed


@dataclass(frozen=True)
class LvisData:
    """LVIS as it enters the pipeline.

    Attributes:
        classes: names in class-id order.
        images: number of records.
        records: train, then val, each in the file's order; generated on demand, and only once.
    """

    classes: tuple[str, ...]
    images: int
    records: Iterator[ImageRecord]


def lvis_records(root: Path, more_than: int, data_root: Path | None = None) -> LvisData:
    """Read LVIS.

    An image's id is COCO's number of it; `file` is relative to `root`. Images that show none of the classes are left
    out.

    Args:
        root: the folder with images, and with annotations unless `data_root` has them.
        more_than: a class has more val images than this.
        data_root: another folder with annotations.

    Raises:
        InputError: a file is missing or damaged, or contradicts another. Errors of images and outlines are raised while
            records are consumed.
    """
    paths = {split: annotations_file(root, member, data_root) for split, member in _MEMBERS.items()}
    listed = {split: read_listed(paths[split], member) for split, member in _MEMBERS.items()}
    for split, file in listed.items():
        remark_other_count("images", len(file.images), LVIS_IMAGES[split], str(paths[split]))
    val = listed["val"]
    chosen = [number for number in val.categories if len(val.shown.get(number, ())) > more_than]
    chosen = chosen[: len(chosen) // _FOLDS * _FOLDS]
    if published := LVIS_CLASSES.get(more_than):
        what = f"classes on more than {more_than} images"
        remark_other_count(what, len(chosen), published, str(paths["val"]))
    if not chosen:
        raise InputError(f"{paths['val']}: fewer than {_FOLDS} categories are on more than {more_than} images")
    class_ids = {number: class_id for class_id, number in enumerate(chosen, start=1)}
    of_images = {split: _annotated(file, class_ids) for split, file in listed.items()}
    hidden = _without_pixels(root, paths["val"], val, class_ids, more_than)
    records = (
        record
        for split in _MEMBERS
        for record in _records(root, split, paths[split], listed[split], of_images[split], class_ids, hidden)
    )
    names = tuple(str(val.categories[number]["name"]) for number in chosen)
    return LvisData(names, sum(map(len, of_images.values())), records)


def _annotated(listed: Listed, class_ids: Mapping[int, int]) -> list[int]:
    """The images that show a class, in the file's order."""
    shown = {image for number in class_ids for image in listed.shown.get(number, ())}
    return [image for image in listed.images if image in shown]


def _records(
    root: Path,
    split: Split,
    path: Path,
    listed: Listed,
    images: list[int],
    class_ids: Mapping[int, int],
    hidden: frozenset[int],
) -> Iterator[ImageRecord]:
    files = located_images(root, {number: listed.images[number] for number in images})
    kept = {number: class_id for number, class_id in class_ids.items() if class_id not in hidden}
    grouped = annotations_by_image(path, _MEMBERS[split], images, lambda entry: _reduced(entry, kept), root)

    def annotated() -> Iterator[AnnotatedImage]:
        for number, found in zip(images, grouped, strict=True):
            image = _image(path, number, listed, found)
            yield AnnotatedImage(path, image, split, files[number], root / files[number], f"{number:012}")

    inspected = inspect_each([root / files[number] for number in images])
    for record in records_of(zip(annotated(), inspected, strict=True), masks="exact", crowd="class"):
        if record.masks:
            yield record


def _reduced(entry: Mapping[str, Any], class_ids: Mapping[int, int]) -> Any:
    class_id = class_ids.get(entry["category_id"])
    return None if class_id is None else (entry.get("id"), class_id, entry.get("segmentation", NO_OUTLINE))


def _image(path: Path, number: int, listed: Listed, found: list[Any]) -> CocoImage:
    entry = listed.images[number]
    annotations = []
    for identity, class_id, outline in found:
        try:
            arrays = [array("d", polygon) for polygon in outline] if isinstance(outline, list) else outline
        except (TypeError, OverflowError):
            arrays = outline  # refused, with the annotation's id, when it has to become a mask
        annotations.append(CocoAnnotation(identity, class_id, False, arrays))
    try:
        return CocoImage(f"{number:012}.jpg", int(entry["height"]), int(entry["width"]), annotations)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: image {number} lacks height or width") from error


def _without_pixels(
    root: Path, path: Path, listed: Listed, class_ids: Mapping[int, int], more_than: int
) -> frozenset[int]:
    """Classes that cannot be tested, because on all val images but one their outlines cover no pixel.

    They keep their place in the list, since it decides the folds, but no image shows them.
    """
    few = {n: i for n, i in class_ids.items() if len(listed.shown[n]) <= more_than + _FEW}
    images = _annotated(listed, few)
    seen = dict.fromkeys(few.values(), 0)
    grouped = annotations_by_image(path, _MEMBERS["val"], images, lambda entry: _reduced(entry, few), root)
    for number, found in zip(images, grouped, strict=True):
        image = _image(path, number, listed, found)
        try:
            masks, _ = class_masks(image, "exact", "class")
        except BadOutlinesError as error:
            raise InputError(f"{path}: image {image.file_name!r}, {error}") from error
        for class_id in masks:
            seen[class_id] += 1
    return frozenset(class_id for class_id, count in seen.items() if count < 2)
