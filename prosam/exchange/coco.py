"""COCO JSON: reads references from instances files and writes results as run-length codes for pycocotools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pycocotools import mask as coco

from prosam.data.formats.masks import decode
from prosam.data.sources.coco_json import Instances
from prosam.data.sources.coco_masks import BadOutlinesError, class_masks
from prosam.data.sources.own_coco import located
from prosam.errors import Faults
from prosam.predictor.annotations import Mask


def read_coco(
    instances: Instances, images: Path | None, is_wanted: Callable[[str], bool], faults: Faults
) -> Iterator[tuple[str, Path, Mask]]:
    """Yield a label, an image and the mask of all objects with that label in the image, in the file's order.

    Regions with `iscrowd` are objects like any other, as in your own data: CVAT, supervision and others write brush
    masks and masks with holes like this.

    Args:
        instances: the content of the file.
        images: folder that `file_name` is relative to. By default it is searched for: the file's own folder, `images`
            in it, and so on.
        is_wanted: whether a label is wanted; called for each object. Outlines and images of other labels are not read,
            since the caller often wants a few of a hundred thousand; these images may even be missing.
        faults: receives which images are missing, and which outlines are not masks.
    """
    path = instances.path
    folder = images or (path.parent.parent if path.parent.name == "annotations" else path.parent)
    for image in instances.images:
        wanted = [one for one in image.annotations if is_wanted(instances.classes[one.class_id - 1])]
        try:
            masks, _ = class_masks(replace(image, annotations=wanted), "exact", "class")
        except BadOutlinesError as error:
            for message in error.messages:
                faults.add(f"{path}: image {image.file_name!r}, {message}")
            continue
        if not masks:
            continue
        file = located(folder, instances, [image.file_name], faults).get(image.file_name)
        if file is None:
            continue
        for class_id, code in masks.items():
            mask = Mask(decode(code, image.height, image.width), origin=f"the mask of {file}")
            yield instances.classes[class_id - 1], file, mask


def coco_text(
    images: Callable[[], Iterable[Mapping[str, Any]]], concepts: Sequence[str], info: Mapping[str, Any]
) -> Iterator[str]:
    """The text of a COCO JSON file, piece by piece, so that millions of images need no memory.

    Args:
        images: gives `file`, `height`, `width` and `found` of each image; `found` has `concept`, `score` and `rle` of
            each concept that is present. It is called twice, since the images come before their annotations.
        concepts: names of the categories; their ids count from 1.
        info: information about the file as a whole.
    """
    categories = [{"id": number, "name": name} for number, name in enumerate(concepts, 1)]
    yield f'{{"info": {json.dumps(dict(info))}, "images": ['
    yield from _listed(
        {"id": number, "file_name": image["file"], "height": image["height"], "width": image["width"]}
        for number, image in enumerate(images(), 1)
    )
    yield f'], "categories": {json.dumps(categories)}, "annotations": ['
    yield from _listed(_annotations(images(), concepts))
    yield "]}"


def _annotations(images: Iterable[Mapping[str, Any]], concepts: Sequence[str]) -> Iterator[dict[str, Any]]:
    count = 0
    for number, image in enumerate(images, 1):
        for found in image["found"]:
            count += 1
            code: Any = {"size": [image["height"], image["width"]], "counts": found["rle"]}
            yield {
                "id": count,
                "image_id": number,
                "category_id": concepts.index(found["concept"]) + 1,
                "segmentation": code,
                "area": int(coco.area(code)),
                "bbox": cast(Any, coco.toBbox(code)).tolist(),
                "iscrowd": 0,
                "score": found["score"],
            }


def _listed(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        yield f"{', ' if number else ''}{json.dumps(entry)}"
