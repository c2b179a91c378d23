"""A folder of photographs with COCO's JSON, as the models for photographs are trained and measured on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.dataset import Split
from prosam.data.sources.coco import read_splits
from prosam.data.sources.coco_json import CocoImage, Instances
from prosam.data.sources.coco_masks import instance_mask
from prosam.data.sources.own_coco import find_json, located
from prosam.errors import Faults, InputError
from prosam.files import digest_of_files


@dataclass(frozen=True)
class Photo:
    """A photograph with its objects.

    Attributes:
        path: of the image file.
        image: its entry in the instances file.
    """

    path: Path
    image: CocoImage

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB.

        Raises:
            InputError: the file cannot be read, or has another size than the instances file says.
        """
        try:
            with Image.open(self.path) as file:
                pixels = np.asarray(file.convert("RGB"))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read as an image") from error
        if pixels.shape[:2] != (self.image.height, self.image.width):
            raise InputError(
                f"{self.path}: has {pixels.shape[1]} x {pixels.shape[0]} px, but the instances file says "
                f"{self.image.width} x {self.image.height}"
            )
        return pixels

    def masks(self) -> list[NDArray[np.bool_]]:
        """(H, W) of each annotation, in the file's order.

        Raises:
            InputError: an outline is no mask of the image.
        """
        try:
            return [instance_mask(self.image, annotation) for annotation in self.image.annotations]
        except ValueError as error:
            raise InputError(f"{self.path}: {error}") from error


@dataclass(frozen=True)
class Photos:
    """Both splits.

    Attributes:
        classes: names of the categories; class id c is entry c - 1.
        splits: photographs with at least one annotation, in the file's order.
        digest: of the two JSON files; hexadecimal.
    """

    classes: tuple[str, ...]
    splits: dict[Split, list[Photo]]
    digest: str


def read_photos(folder: Path) -> Photos:
    """Read a folder of COCO's form with train.json and val.json (or the usual other names of the two).

    Raises:
        InputError: a file is missing, damaged or contradicts another.
    """
    found = find_json(folder)
    if found is None:
        raise InputError(f"{folder}: has no JSON file; needed are train.json and val.json")
    if isinstance(found, Path):
        raise InputError(f"{found}: is the only JSON file; split it into train.json and val.json")
    splits = read_splits(*found)
    photos: dict[Split, list[Photo]] = {split: _annotated(folder, it) for split, it in splits.items()}
    return Photos(splits["train"].classes, photos, digest_of_files(found))


def _annotated(folder: Path, instances: Instances) -> list[Photo]:
    images = [image for image in instances.images if image.annotations]
    faults = Faults()
    paths = located(folder, instances, [image.file_name for image in images], faults)
    faults.check(folder)
    return [Photo(paths[image.file_name], image) for image in images]
