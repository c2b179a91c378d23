"""Your own images with masks, in one of four layouts; see docs/own-data.md."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from prosam.data.formats.drawn_masks import OF_CLASS_INVERTED, OF_CLASS_WHOLE, covers_edge
from prosam.data.formats.image_files import damaged_images
from prosam.data.formats.masks import decode
from prosam.data.formats.records import ImageRecord
from prosam.data.formats.run_lengths import run_lengths
from prosam.data.sources.coco_masks import Crowd
from prosam.data.sources.own_coco import find_json, read_coco_layout
from prosam.data.sources.own_found import OwnImages
from prosam.data.sources.own_pet import TrimapClasses, is_pet_layout, read_pet_layout
from prosam.data.sources.own_voc import is_voc_layout, read_voc_layout
from prosam.data.sources.own_yolo import is_yolo_layout, read_yolo_layout
from prosam.errors import Faults, InputError
from prosam.remarks import remark

Layout = Literal["auto", "voc", "coco", "yolo", "pet"]

_LOOKED_FOR = (
    "JPEGImages with SegmentationClass (layout voc), train.json with val.json or one *.json (layout coco), images and "
    "labels with data.yaml (layout yolo), or images with annotations/trimaps (layout pet)"
)
_NOTES = "notes.json"  # beside Label Studio's YOLO labels; no annotations
_EACH_SIDE = 2  # a reference and a target


@dataclass(frozen=True)
class OwnData:
    """The user's data as it enters the pipeline.

    Attributes:
        classes: names in class-id order.
        records: of the images that show a class. Each `file` is the id with the suffix.
        sources: for each record's `file`, its current path.
        unlabelled: ids of the images that show no class; they have no record.
        unlisted: ids of the images with masks that are in neither list; they have no record.
    """

    classes: tuple[str, ...]
    records: list[ImageRecord]
    sources: Mapping[PurePosixPath, Path]
    unlabelled: list[str]
    unlisted: list[str]


def own_records(
    folder: Path,
    *,
    layout: Layout,
    val_fraction: float,
    seed: int,
    crowd: Crowd,
    trimap_classes: TrimapClasses = "breed",
) -> OwnData:
    """Read the user's data.

    Args:
        folder: that holds the data.
        layout: `voc`, `coco`, `yolo`, `pet`, or `auto` to detect the layout.
        val_fraction: fraction of the images for testing, if the folder does not list them.
        seed: of the random division; see `val_side`.
        crowd: what a crowd region of COCO JSON is: pixels of its `class`, or `void`.
        trimap_classes: what a class is in the layout `pet`: a `breed` or a `species`.

    Raises:
        InputError: the folder is missing or in no known layout, no image shows a class, or files are missing or damaged
            or contradict one another; the message names the first 20.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not found; put {_LOOKED_FOR} there")
    if layout == "auto":
        layout = _layout(folder)
    faults = Faults()
    found = _read(folder, layout, crowd, trimap_classes, faults)
    for fault in damaged_images(list(found.sources.values())):
        faults.add(fault)
    faults.check(folder)
    records = [image for image in found.images if image.masks]
    if not records:
        raise InputError(
            f"{folder}: none of its {len(found.images)} masks shows a class; 255 in a mask is void, not a class"
        )
    for record in records:
        _remark_doubtful(record, found.sources[record.file])
    if not found.divided:
        val = val_side([record.image for record in records], val_fraction, seed, folder)
        records = [replace(record, split="val" if record.image in val else "train") for record in records]
    shown = {record.image for record in records}
    unlabelled = sorted({*found.without_mask, *(image.image for image in found.images)} - shown)
    sources = {record.file: found.sources[record.file] for record in records}
    return OwnData(found.classes, records, sources, unlabelled, found.unlisted)


def _remark_doubtful(record: ImageRecord, path: Path) -> None:
    """Remark masks of a whole image, or of its whole edge, which are often a mistake: nobody looks at all masks."""
    pixels = record.height * record.width
    for code in record.masks.values():
        covered = int(run_lengths(code)[1::2].sum())
        if covered == pixels:
            remark(OF_CLASS_WHOLE, str(path))
        elif covered > pixels / 2 and covers_edge(decode(code, record.height, record.width)):
            remark(OF_CLASS_INVERTED, str(path))


def val_side(images: Collection[str], val_fraction: float, seed: int, folder: Path) -> set[str]:
    """The images for testing: those whose digest with the seed comes first.

    An image's position depends only on its id and the seed, so a new image moves at most one other image to the other
    side. Each side gets at least two images.

    Raises:
        InputError: there are fewer than four images.
    """
    if len(images) < 2 * _EACH_SIDE:
        raise InputError(
            f"{folder}: only {len(images)} images show a class; two to train and two to test are needed, so add some"
        )
    count = min(max(round(val_fraction * len(images)), _EACH_SIDE), len(images) - _EACH_SIDE)
    return set(sorted(images, key=lambda image: hashlib.sha256(f"{seed} {image}".encode()).digest())[:count])


def _read(folder: Path, layout: Layout, crowd: Crowd, trimap_classes: TrimapClasses, faults: Faults) -> OwnImages:
    if layout == "voc":
        return read_voc_layout(folder, faults)
    if layout == "yolo":
        return read_yolo_layout(folder, faults)
    if layout == "pet":
        return read_pet_layout(folder, trimap_classes, faults)
    return read_coco_layout(folder, crowd, faults)


def _layout(folder: Path) -> Layout:
    there: dict[Layout, str] = {}
    if is_voc_layout(folder):
        there["voc"] = "masks in SegmentationClass"
    if is_pet_layout(folder):
        there["pet"] = "trimaps in annotations/trimaps"
    if is_yolo_layout(folder):
        there["yolo"] = "YOLO labels"
    if not ("yolo" in there and (folder / _NOTES).is_file()) and find_json(folder) is not None:
        there["coco"] = "COCO JSON"
    if len(there) > 1:
        both, names = " and ".join(there.values()), " or ".join(there)
        raise InputError(f"{folder}: has both {both}; set download.layout to {names}")
    if not there:
        inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and _is_known(path)]
        hint = (
            f"; its folder {inner[0].name} is: move the content one folder up" if inner else f"; it needs {_LOOKED_FOR}"
        )
        raise InputError(f"{folder}: is in no known layout{hint}")
    return next(iter(there))


def _is_known(folder: Path) -> bool:
    try:
        return is_voc_layout(folder) or is_yolo_layout(folder) or is_pet_layout(folder) or find_json(folder) is not None
    except InputError:  # several JSON files
        return True
