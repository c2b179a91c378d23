"""Masks in VOC layout as references, such as CVAT's export *Segmentation mask 1.1*."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prosam.data.formats.masks import decode
from prosam.data.sources.own_voc import read_voc_layout
from prosam.errors import Faults
from prosam.predictor.annotations import Mask


def read_voc(folder: Path, faults: Faults) -> Iterator[tuple[str, Path, Mask]]:
    """Yield a label, an image and the mask of that label in the image, in the order of the images.

    Args:
        folder: a folder with JPEGImages, SegmentationClass, and labelmap.txt or classes.txt; see `docs/own-data.md`.
            The masks of single objects in SegmentationObject are not read, since a reference shows all objects of its
            class.
        faults: receives what is wrong with images and masks.

    Raises:
        InputError: see `prosam.data.sources.own_voc.read_voc_layout`.
    """
    found = read_voc_layout(folder, faults)
    for record in found.images:
        for class_id, code in record.masks.items():
            image = found.sources[record.file]
            mask = Mask(decode(code, record.height, record.width), origin=f"the mask of {image}")
            yield found.classes[class_id - 1], image, mask
