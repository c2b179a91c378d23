"""COCO128-seg, which ultralytics publishes: the first 128 images of COCO train2017, with outlines as YOLO writes them.

    coco128-seg/images/train2017/<number>.jpg
    coco128-seg/labels/train2017/<number>.txt     none for the two images that show no object

The archive has one folder of images for training and for testing, so the images are divided here; see `divided`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prosam.data.dataset import Split
from prosam.data.formats.image_files import inspect_each
from prosam.data.formats.records import ImageRecord
from prosam.data.formats.run_lengths import run_lengths
from prosam.data.sources.published_counts import COCO128_IMAGES, COCO128_LABELLED, remark_other_count
from prosam.data.sources.yolo_labels import label_file, outlined_masks, read_outlines
from prosam.errors import Faults, InputError

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag,
tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard,
tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier,
toothbrush
"""
COCO_CLASSES = tuple(name.strip() for name in _NAMES.split(","))
"""Names of COCO's 80 classes in the order of YOLO's numbers, which is that of COCO's category ids."""

_FOLDER = Path("coco128-seg")
_IMAGES = PurePosixPath("images/train2017")
_EACH_SIDE = 2  # a reference and a target


@dataclass(frozen=True)
class Division:
    """How images are divided.

    Attributes:
        kinds: the classes that both sides show often enough, ascending.
        val: the images to test on; all others are for training.
    """

    kinds: tuple[int, ...]
    val: frozenset[str]


def coco128_records(folder: Path, min_area: int) -> tuple[tuple[str, ...], list[ImageRecord]]:
    """Read COCO128-seg: names of the classes that remain, and the records of the images that show one of them.

    A class remains if two training images and two for testing show it with `min_area` px or more; there are too few
    images of the others to train or to test on. An image's id is COCO's number of it.

    Args:
        folder: that holds coco128-seg.
        min_area: px.

    Raises:
        InputError: files are missing or damaged, or labels are boxes; the message names the first 20 faults.
    """
    root = folder / _FOLDER
    place = root / _IMAGES
    paths = sorted(place.glob("*.jpg")) if place.is_dir() else []
    if not paths:
        raise InputError(f"{place}: has no images; coco128-seg.zip of ultralytics has 128 there")
    faults = Faults()
    masks: dict[str, tuple[ImageRecord, dict[int, int]]] = {}
    labelled = 0
    for path, file in zip(paths, inspect_each(paths), strict=True):
        if isinstance(file, InputError):
            faults.add(file)
            continue
        labels = root / label_file(_IMAGES / path.name)
        labelled += labels.is_file()
        with faults.collected():
            outlines = read_outlines(labels, len(COCO_CLASSES)) if labels.is_file() else []
            codes = outlined_masks(labels, outlines, file.height, file.width)
            below = PurePosixPath(_FOLDER) / _IMAGES / path.name
            record = ImageRecord(path.stem, "train", below, file.digest, file.height, file.width, codes)
            masks[path.stem] = record, {i: int(run_lengths(code)[1::2].sum()) for i, code in codes.items()}
    faults.check(root)
    remark_other_count("images", len(paths), COCO128_IMAGES, str(place))
    remark_other_count("images with labels", labelled, COCO128_LABELLED, str(root / "labels"))
    shown = {image: [i for i, area in areas.items() if area >= min_area] for image, (_, areas) in masks.items()}
    division = divided(shown)
    new_ids = {old: new for new, old in enumerate(division.kinds, start=1)}
    records = []
    for image, (record, _) in masks.items():
        codes = {new_ids[i]: code for i, code in record.masks.items() if i in new_ids}
        split: Split = "val" if image in division.val else "train"
        if codes:
            size = record.height, record.width
            records.append(ImageRecord(image, split, record.file, record.digest, *size, codes))
    if not records:
        raise InputError(f"{root}: no class is on {2 * _EACH_SIDE} images with {min_area} px; lower download.min_area")
    return tuple(COCO_CLASSES[i - 1] for i in division.kinds), records


def divided(shown: Mapping[str, list[int]]) -> Division:
    """Divide images so that as many classes as possible are on both sides.

    The classes are taken from the rarest to the most frequent (of two with equally many images, the lower id first).
    Each image of a class that is not assigned yet goes, in order of names, to the side with fewer images of this class
    so far; if there are as many, to the side with fewer images of all its classes together; and then to testing. Images
    that show no class are for training.

    Args:
        shown: ids of the classes that each image shows well enough to count.
    """
    images: dict[int, list[str]] = {}
    for image in sorted(shown):
        for class_id in shown[image]:
            images.setdefault(class_id, []).append(image)
    side: dict[str, Split] = {}
    counts: dict[Split, Counter[int]] = {"val": Counter(), "train": Counter()}
    for class_id in sorted(images, key=lambda i: (len(images[i]), i)):
        for image in images[class_id]:
            if image in side:
                continue
            so_far = {split: (count[class_id], sum(count[i] for i in shown[image])) for split, count in counts.items()}
            fewest: Split = "val" if so_far["val"] <= so_far["train"] else "train"
            side[image] = fewest
            counts[fewest].update(shown[image])
    kinds = [class_id for class_id in images if min(count[class_id] for count in counts.values()) >= _EACH_SIDE]
    return Division(tuple(sorted(kinds)), frozenset(image for image, split in side.items() if split == "val"))
