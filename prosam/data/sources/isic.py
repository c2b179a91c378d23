"""The training images of ISIC 2018, task 1, by the class of the lesion, as in PATNet.

ISIC2018_Task1-2_Training_Input/<id>.jpg                    or below folders in there
ISIC2018_Task1_Training_GroundTruth/<id>_segmentation.png
class_id.csv                                                ID,Class; PATNet's
"""

from __future__ import annotations

import csv
from pathlib import Path

from prosam.data.sources.mask_pairs import MaskPair
from prosam.errors import InputError

IMAGES, MASKS = "ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"
CLASSES = "class_id.csv"
ISIC_STATED = {"images": 2_594, "classes": 3}


def isic_pairs(root: Path) -> tuple[tuple[str, ...], list[MaskPair]]:
    """The classes, sorted, and all images that have one, by class and id.

    Raises:
        InputError: the table of classes is missing or damaged, or names an image that is not there.
    """
    of_image = _classes(root / CLASSES)
    classes = tuple(sorted(set(of_image.values())))
    photos = {path.stem: path for path in sorted((root / IMAGES).rglob("*.jpg"))}
    if missing := [image for image in of_image if image not in photos]:
        raise InputError(f"{root / IMAGES}: lacks {len(missing)} images that {CLASSES} names, {missing[0]} first")
    pairs = [
        MaskPair(image, "val", photos[image], root / MASKS / f"{image}_segmentation.png", classes.index(name) + 1)
        for image, name in sorted(of_image.items(), key=lambda item: (item[1], item[0]))
    ]
    return classes, pairs


def _classes(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        found = {row["ID"].strip(): row["Class"].strip() for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read as a table with the columns ID and Class") from error
    if not found or not all(found.values()):
        raise InputError(f"{path}: has no images, or an image without a class")
    return found
