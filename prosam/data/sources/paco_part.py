"""PACO-Part: the parts of objects that PACO-LVIS v1 annotates on images of COCO 2017.

    paco_lvis_v1_{train,val}.json     or with gzip, or both in paco_lvis_v1.zip
    train2017/<file>

A class is a category of a part, such as `bottle:cap`, that training images show: 448, in ascending order of their ids.
Fold f has the classes f, f + 4, f + 8, ..., and tests those that more than a number of val images show. The folds of
the papers come from a list that Matcher made of the same categories; that it has this order could not be checked.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosam.data.dataset import SPLITS, Split
from prosam.data.sources.coco2017 import PACO, annotations_file, located_images
from prosam.data.sources.coco_json import CocoAnnotation, CocoImage
from prosam.data.sources.coco_masks import instance_mask
from prosam.data.sources.coco_stream import Listed, annotations_by_image, read_listed
from prosam.data.sources.object_crops import ImageOfObjects, WholeObject, chosen_images, inside
from prosam.data.sources.published_counts import PACO_PART_CLASSES, PACO_PART_TESTED, remark_other_count
from prosam.errors import InputError

_FOLDS = 4
_PART, _WHOLE = "part", "object"


@dataclass(frozen=True)
class PacoData:
    """PACO's files and classes.

    Attributes:
        classes: names in class-id order.
        categories: the category of each class, in the same order.
        paths: of the annotations, by split.
        listed: what they list.
        tested: number of val images that each class is annotated on, by class id.
    """

    classes: tuple[str, ...]
    categories: tuple[int, ...]
    paths: dict[Split, Path]
    listed: dict[Split, Listed]
    tested: dict[int, int]

    def folds(self) -> tuple[tuple[int, ...], ...]:
        """The class ids of each fold."""
        return tuple(tuple(range(fold + 1, len(self.classes) + 1, _FOLDS)) for fold in range(_FOLDS))


def read_paco(folder: Path, data_root: Path | None, more_than: int) -> PacoData:
    """Read classes and images of PACO.

    Args:
        folder: with annotations, unless `data_root` has them.
        data_root: another folder, or None.
        more_than: see `PacoPartDownload`.

    Raises:
        InputError: a file is missing or damaged.
    """
    paths: dict[Split, Path] = {
        split: annotations_file(folder, _member(split), data_root, PACO.archive.name) for split in SPLITS
    }
    listed: dict[Split, Listed] = {split: read_listed(paths[split], _member(split)) for split in SPLITS}
    train, val = listed["train"], listed["val"]
    chosen = tuple(
        number
        for number, category in train.categories.items()
        if category.get("supercategory") == "PART" and train.shown.get(number)
    )
    if not chosen:
        raise InputError(f"{paths['train']}: has no annotated category of a part; is it PACO-LVIS?")
    names = tuple(str(train.categories[number]["name"]) for number in chosen)
    tested = {i: len(val.shown.get(number, ())) for i, number in enumerate(chosen, start=1)}
    data = PacoData(names, chosen, paths, listed, tested)
    remark_other_count("categories of parts", len(chosen), PACO_PART_CLASSES, str(paths["train"]))
    if (published := PACO_PART_TESTED.get(more_than)) is not None:
        for number, (fold, count) in enumerate(zip(data.folds(), published, strict=True)):
            found = sum(tested[class_id] > more_than for class_id in fold)
            remark_other_count(f"classes to test in fold {number}", found, count, str(paths["val"]))
    return data


def images_to_crop(data: PacoData, train_crops: int, seed: int) -> dict[Split, dict[int, list[int]]]:
    """The images from which crops are taken, in the file's order, each with the ids of its classes, by split.

    Args:
        data: from `read_paco`.
        train_crops: number of training images of each class.
        seed: of the choice of training images.
    """
    of_images: dict[Split, dict[int, list[int]]] = {}
    for split in SPLITS:
        listed = data.listed[split]
        of_image: dict[int, list[int]] = {}
        for class_id, number in enumerate(data.categories, start=1):
            showing = {f"{image:012}": image for image in listed.shown.get(number, ())}
            chosen = chosen_images(showing, class_id, train_crops, seed) if split == "train" else showing
            for name in chosen:
                of_image.setdefault(showing[name], []).append(class_id)
        of_images[split] = {image: of_image[image] for image in listed.images if image in of_image}
    return of_images


def paco_images(
    folder: Path, data: PacoData, to_crop: Mapping[Split, Mapping[int, list[int]]]
) -> Iterator[ImageOfObjects]:
    """Yield the images with their objects: those to train on, then those to test on, in the files' order.

    Args:
        folder: with the images; annotations are put aside there.
        data: from `read_paco`.
        to_crop: from `images_to_crop`.

    Raises:
        InputError: a file is missing or damaged.
    """
    class_ids = {number: class_id for class_id, number in enumerate(data.categories, start=1)}
    for split, of_image in to_crop.items():
        listed, images = data.listed[split], list(of_image)
        files = located_images(folder, {image: listed.images[image] for image in images})
        path = data.paths[split]
        grouped = annotations_by_image(path, _member(split), images, lambda one: _reduced(one, class_ids), folder)
        for image, found in zip(images, grouped, strict=True):
            objects = _objects(path, image, listed.images[image], found)
            yield ImageOfObjects(f"{image:012}", split, folder / files[image], objects, sorted(of_image[image]))


def _member(split: Split) -> str:
    return f"paco_lvis_v1_{split}.json"


def _reduced(entry: Mapping[str, Any], class_ids: Mapping[int, int]) -> Any:
    """What is needed of a part, or of an object, which is an annotation that names itself as its object."""
    class_id = class_ids.get(entry["category_id"])
    if class_id is not None:
        return _PART, entry.get("obj_ann_id"), class_id, entry.get("segmentation")
    return (_WHOLE, entry["id"], entry["bbox"]) if entry.get("obj_ann_id") == entry.get("id") else None


def _objects(path: Path, image: int, entry: Mapping[str, Any], found: list[Any]) -> list[WholeObject]:
    try:
        size = CocoImage(f"{image:012}.jpg", int(entry["height"]), int(entry["width"]))
        boxes = {number: box for kind, number, box, *_ in found if kind == _WHOLE}
        parts: dict[int, dict[int, Any]] = {}
        for kind, number, *rest in found:
            if kind != _PART:
                continue
            class_id, outline = rest
            arrays = [array("d", polygon) for polygon in outline] if isinstance(outline, list) else outline
            mask = instance_mask(size, CocoAnnotation(number, class_id, False, arrays))
            masks = parts.setdefault(number, {})
            masks[class_id] = mask | masks[class_id] if class_id in masks else mask
        objects = []
        for number, masks in parts.items():
            left, top, width, height = (float(edge) for edge in boxes[number])
            box = inside((left, top, left + width, top + height), size.height, size.width)
            objects.append(WholeObject(number, box, masks))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: image {image}: a part or its object is invalid: {error}") from error
    return objects
