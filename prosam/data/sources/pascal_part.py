"""PASCAL-Part with merged parts, as Matcher publishes and divides it, on the images of VOC 2010.

    all_obj_part_to_image.json                            group -> object -> part -> images of train and val
    Annotations_Part_json_merged_part_classes/<id>.json   objects of an image with box and parts
    JPEGImages/<id>.jpg

Each fold has the classes of one group: animals, indoor, person, vehicles. A class is a part of an object, such as
`dog+TAIL`, with images in both lists. `aeroplane+TAIL` is left out, as in the papers' code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosam.data.dataset import SPLITS, Split
from prosam.data.sources.coco_json import CocoAnnotation, CocoImage
from prosam.data.sources.coco_masks import instance_mask
from prosam.data.sources.object_crops import ImageOfObjects, WholeObject, chosen_images, inside
from prosam.data.sources.published_counts import PASCAL_PART_CLASSES, remark_other_count
from prosam.errors import InputError

_INDEX = "all_obj_part_to_image.json"
_ANNOTATIONS = "Annotations_Part_json_merged_part_classes"
VOC_PHOTOS = "JPEGImages"
_PLACES = ("", "VOC2010", "VOCdevkit/VOC2010", "Pascal-Part/VOCdevkit/VOC2010")
_LEFT_OUT = "aeroplane+TAIL"
_README = "https://github.com/aim-uofa/Matcher"


@dataclass(frozen=True)
class PartIndex:
    """What the index lists.

    Attributes:
        classes: names in class-id order, `object+PART`.
        folds: the class ids of each fold.
        images: the images of each class, by split and class id.
    """

    classes: tuple[str, ...]
    folds: tuple[tuple[int, ...], ...]
    images: dict[Split, dict[int, list[str]]]


def voc2010_folder(folder: Path) -> Path:
    """The folder with the index and the annotations, at or below another.

    Raises:
        InputError: it is not there; the message says where the annotations are published.
    """
    for place in _PLACES:
        if (folder / place / _INDEX).is_file() and (folder / place / _ANNOTATIONS).is_dir():
            return folder / place
    raise InputError(
        f"{folder}: has no {_INDEX} with {_ANNOTATIONS}; download PASCAL-Part as the README of {_README} says, and "
        "unpack it there or name its folder as download.data_root"
    )


def read_part_index(folder: Path) -> PartIndex:
    """Read the index.

    Raises:
        InputError: it is missing or damaged.
    """
    path = folder / _INDEX
    content = _read(path)
    classes: list[str] = []
    folds: list[tuple[int, ...]] = []
    images: dict[Split, dict[int, list[str]]] = {split: {} for split in SPLITS}
    try:
        for group, published in PASCAL_PART_CLASSES.items():
            first = len(classes) + 1
            for whole, described in content[group]["object"].items():
                for part, lists in described["part"].items():
                    if not (lists["train"] and lists["val"]) or f"{whole}+{part}" == _LEFT_OUT:
                        continue
                    classes.append(f"{whole}+{part}")
                    for split in SPLITS:
                        images[split][len(classes)] = [str(image) for image in dict.fromkeys(lists[split])]
            folds.append(tuple(range(first, len(classes) + 1)))
            remark_other_count(f"classes of {group}", len(folds[-1]), published, str(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: lacks {error}; is it the index of PASCAL-Part?") from error
    return PartIndex(tuple(classes), tuple(folds), images)


def part_images(index: PartIndex, train_crops: int, seed: int) -> dict[Split, dict[str, list[int]]]:
    """The images from which crops are taken, sorted by id, each with the ids of its classes, by split.

    Args:
        index: of the classes.
        train_crops: number of training images of each class.
        seed: of the choice of training images.
    """
    of_images: dict[Split, dict[str, list[int]]] = {}
    for split in SPLITS:
        of_image: dict[str, list[int]] = {}
        for class_id, images in index.images[split].items():
            chosen = chosen_images(images, class_id, train_crops, seed) if split == "train" else images
            for image in chosen:
                of_image.setdefault(image, []).append(class_id)
        of_images[split] = dict(sorted(of_image.items()))
    return of_images


def images_of_parts(
    folder: Path, photos: Path, index: PartIndex, to_crop: Mapping[Split, Mapping[str, list[int]]]
) -> Iterator[ImageOfObjects]:
    """Yield the images with their objects: those to train on, then those to test on.

    Args:
        folder: with the annotations.
        photos: with the images.
        index: of the classes.
        to_crop: from `part_images`.

    Raises:
        InputError: a file is missing or damaged.
    """
    for split, of_image in to_crop.items():
        for image, classes in of_image.items():
            objects = list(_objects(folder / _ANNOTATIONS / f"{image}.json", index))
            yield ImageOfObjects(image, split, photos / f"{image}.jpg", objects, classes)


def _objects(path: Path, index: PartIndex) -> Iterator[WholeObject]:
    class_ids = {name: class_id for class_id, name in enumerate(index.classes, start=1)}
    try:
        for number, whole in enumerate(_read(path)["object"]):
            outlines: dict[int, list[Any]] = {}
            for part in whole.get("parts") or ():
                class_id = class_ids.get(f"{whole['name']}+{part['name']}")
                if class_id is not None and part["mask"]:
                    outlines.setdefault(class_id, []).extend(part["mask"])
            if outlines:
                yield _whole_object(number, whole["bndbox"], outlines)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: is no annotation of PASCAL-Part: {error}") from error


def _whole_object(number: int, box: Any, outlines: dict[int, list[Any]]) -> WholeObject:
    named = ("xmin", "ymin", "xmax", "ymax")
    edges = [float(box[name]) for name in named] if set(named) <= set(box) else [float(edge) for edge in box.values()]
    height, width = next(iter(outlines.values()))[0]["size"]
    image = CocoImage("", height, width)
    parts = {}
    for class_id, codes in outlines.items():
        masks = [instance_mask(image, CocoAnnotation(number, class_id, False, code)) for code in codes]
        for mask in masks[1:]:
            masks[0] |= mask
        parts[class_id] = masks[0]
    return WholeObject(number, inside(edges, height, width), parts)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is not JSON, or is damaged: {' '.join(str(error).split())}") from error
