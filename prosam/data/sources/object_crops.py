"""Crops of single objects, whose parts are the classes; PASCAL-Part and PACO-Part test on them.

The papers' protocol draws a class, an image that shows it, and one object there that has the part; image and mask are
cropped to the object's box. Here the object is drawn once for each class and image, from a digest, and the crop becomes
an image of the data set. So an image has at most one crop of a class, and reference and target are different images, as
in the protocol.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.dataset import Split
from prosam.data.folds import ListedClasses
from prosam.data.formats.image_files import inspect_image, read_image
from prosam.data.formats.masks import encode
from prosam.data.formats.records import ImageRecord
from prosam.errors import InputError


@dataclass(frozen=True)
class WholeObject:
    """An object of an image.

    Attributes:
        number: unique in the image.
        box: left, top, right and bottom, px, the last two excluded.
        parts: the mask of each part, (H, W) of the image, by class id.
    """

    number: int
    box: tuple[int, int, int, int]
    parts: Mapping[int, NDArray[np.bool_]]


@dataclass(frozen=True)
class ImageOfObjects:
    """An image from which crops are taken.

    Attributes:
        image: its id.
        split: train or val.
        path: of the file.
        objects: all that have one of the parts.
        classes: ids of those for which a crop is taken.
    """

    image: str
    split: Split
    path: Path
    objects: Sequence[WholeObject]
    classes: Sequence[int]


@dataclass
class Cropped:
    """What was cropped so far.

    Attributes:
        val_images: number of val crops of each class, by class id.
    """

    val_images: Counter[int] = field(default_factory=Counter)


def cropped_records(
    images: Iterable[ImageOfObjects], folder: Path, seed: int, cropped: Cropped
) -> Iterator[ImageRecord]:
    """Write the crops of each image as PNG, and yield their records.

    A val crop is labelled with the classes for which it was drawn, a training crop with all parts of its object.

    Args:
        images: to crop.
        folder: for the crops.
        seed: of the object that is drawn where an image shows several.
        cropped: counts the crops.

    Raises:
        InputError: an image is damaged, or its masks have another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        drawn = _drawn(image, seed)
        if not drawn:
            continue
        pixels = read_image(image.path)
        for whole, classes in drawn:
            left, top, right, bottom = whole.box
            shape = next(iter(whole.parts.values())).shape
            if shape != pixels.shape[:2]:
                sizes = f"{pixels.shape[1]}x{pixels.shape[0]} px, but its masks {shape[1]}x{shape[0]} px"
                raise InputError(f"{image.path}: is {sizes}")
            name = f"{image.image}-{whole.number}"
            Image.fromarray(pixels[top:bottom, left:right]).save(folder / f"{name}.png")
            file = inspect_image(folder / f"{name}.png")
            shown = sorted(classes if image.split == "val" else whole.parts)
            masks = {i: _crop(whole, i) for i in shown}
            codes = {i: encode(mask) for i, mask in masks.items() if mask.any()}
            if image.split == "val":
                cropped.val_images.update(codes.keys())
            yield ImageRecord(
                name, image.split, PurePosixPath(f"{name}.png"), file.digest, file.height, file.width, codes
            )


def _drawn(image: ImageOfObjects, seed: int) -> list[tuple[WholeObject, list[int]]]:
    """Each object that is drawn for a class, with its classes, in the order of the objects."""
    classes: dict[int, list[int]] = {}
    for class_id in image.classes:
        having = [whole for whole in image.objects if class_id in whole.parts and _crop(whole, class_id).any()]
        if having:
            place = int.from_bytes(_digest(seed, image.image, class_id)[:8], "big") % len(having)
            classes.setdefault(having[place].number, []).append(class_id)
    return [(whole, classes[whole.number]) for whole in image.objects if whole.number in classes]


def _crop(whole: WholeObject, class_id: int) -> NDArray[np.bool_]:
    left, top, right, bottom = whole.box
    return whole.parts[class_id][top:bottom, left:right]


def _digest(seed: int, image: str, class_id: int) -> bytes:
    return hashlib.sha256(f"{seed} {image} {class_id}".encode()).digest()


def chosen_images(images: Iterable[str], class_id: int, count: int, seed: int) -> set[str]:
    """At most `count` images of a class: those whose digest with the seed comes first."""
    return set(sorted(images, key=lambda image: _digest(seed, image, class_id))[:count])


def listed_folds(
    classes: Sequence[str], folds: Sequence[Sequence[int]], testable: Mapping[int, int], more_than: int
) -> tuple[ListedClasses, ...]:
    """The classes of each fold by name: those of the fold to test on, all others to train and to validate with.

    Args:
        classes: names in class-id order.
        folds: the class ids of each fold.
        testable: number of val images of each class, by class id.
        more_than: a class that is tested has more val images than this.
    """
    listed = []
    for fold in folds:
        others = tuple(name for class_id, name in enumerate(classes, start=1) if class_id not in fold)
        tested = tuple(classes[class_id - 1] for class_id in fold if testable.get(class_id, 0) > more_than)
        listed.append(ListedClasses(others, others, tested))
    return tuple(listed)


def inside(box: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
    """A box of left, top, right and bottom in whole pixels of an image, cut off at its edges."""
    left, top, right, bottom = (int(edge) for edge in box)
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)
