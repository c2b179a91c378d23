"""COCO JSON: references from instances files, results as run-length codes that pycocotools reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pycocotools import mask as coco

from prosam.data.formats.masks import decode
from prosam.data.sources.coco_json import Instances
from prosam.data.sources.coco_masks import class_masks
from prosam.data.sources.own_coco import locate_images
from prosam.errors import InputError
from prosam.predictor.annotations import Mask


def read_coco(
    instances: Instances, images: Path | None, is_wanted: Callable[[str], bool]
) -> Iterator[tuple[str, Path, Mask]]:
    """Yield a label, an image and the mask of all objects of that label in it, in the file's order.

    Crowd regions are left out.

    Args:
        instances: what the file holds.
        images: folder that `file_name` is relative to; by default that of the file, its `images` and the like.
        is_wanted: is asked about the label of each object. Outlines and images of others are not looked at: of a
            hundred thousand, a few are asked for, and the others need not be there.

    Raises:
        InputError: an image is not there, or an outline is no mask.
    """
    path = instances.path
    for image in instances.images:
        wanted = [one for one in image.annotations if is_wanted(instances.classes[one.class_id - 1])]
        try:
            masks, _ = class_masks(replace(image, annotations=wanted), "exact", "void")
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        if not masks:
            continue
        [file] = locate_images(images or path.parent, instances, [image.file_name])
        for class_id, code in masks.items():
            yield instances.classes[class_id - 1], file, Mask(decode(code, image.height, image.width))


def coco_file(images: Sequence[Mapping[str, Any]], concepts: Sequence[str], info: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a COCO JSON file.

    Args:
        images: `file`, `height`, `width`, and `found`: `concept`, `score` and `rle` of each that is there.
        concepts: the categories, ids from 1.
        info: about the file as a whole.
    """
    annotations = []
    for number, image in enumerate(images, 1):
        for found in image["found"]:
            code: Any = {"size": [image["height"], image["width"]], "counts": found["rle"]}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": concepts.index(found["concept"]) + 1,
                    "segmentation": code,
                    "area": int(coco.area(code)),
                    "bbox": cast(Any, coco.toBbox(code)).tolist(),
                    "iscrowd": 0,
                    "score": found["score"],
                }
            )
    return {
        "info": dict(info),
        "images": [
            {"id": number, "file_name": image["file"], "height": image["height"], "width": image["width"]}
            for number, image in enumerate(images, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(concepts, 1)],
        "annotations": annotations,
    }
