"""Separate objects in a folder of results: as pictures, as JSON values, and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from prosam.data.formats.masks import encode
from prosam.output.pictures import tinted, write_labels, write_png
from prosam.predictor.instance import Instance
from prosam.predictor.result import Detection, Result

_MOST_IN_A_BYTE = 254  # 255 is void in VOC's palette
_MOST_IN_TWO = 65_535
_NUMBER_HEIGHT, _SMALLEST_NUMBER = 0.025, 11  # of a number in an overlay: share of the longer side; px at least


def were_asked_for(result: Result) -> bool:
    """Whether a result has separate objects."""
    return any(found.instances is not None for found in result)


def instance_entries(found: Detection) -> dict[str, Any]:
    """A detection's objects as JSON values: `count` and `instances`; nothing if they were not asked for."""
    if found.instances is None:
        return {}
    return {"count": found.count, "instances": [_entry(one) for one in found.instances]}


def annotated(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What gets an annotation of its own in COCO JSON: each object where they were asked for, otherwise each concept.

    Args:
        found: the concepts of an image, as `results.jsonl` has them.
    """
    return [dict(one) for concept in found for one in _parts(concept) if one["rle"] is not None]


def shapes_of(found: Iterable[Detection]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """A label and an (H, W) mask for each object, or for each concept where objects were not asked for."""
    for detection in found:
        if detection.instances is None:
            yield detection.concept, detection.mask
        else:
            yield from ((detection.concept, one.mask) for one in detection.instances)


def write_instance_labels(path: Path, labels: NDArray[np.int32], model: str) -> None:
    """Write a map of objects (H, W) as PNG: 0 is background, i the i-th object.

    With VOC's palette for up to 254 objects; with more, as 16-bit greyscale, so that no number comes twice.

    Raises:
        ValueError: there are more than 65,535 objects.
    """
    most = int(labels.max(initial=0))
    if most <= _MOST_IN_A_BYTE:
        write_labels(path, labels.astype(np.uint8), model)
    elif most <= _MOST_IN_TWO:
        write_png(path, Image.fromarray(labels.astype(np.uint16)), model)
    else:
        raise ValueError(f"{most} objects do not fit in a 16-bit PNG")


def numbered_overlay(result: Result) -> NDArray[np.uint8]:
    """The image (H, W, 3) with each object tinted, outlined and numbered as in the label map."""
    pixels = result.pixels.copy()
    for number, one in enumerate(result.instances, 1):
        pixels[one.place] = tinted(pixels[one.place], one.pixels, colour_number(number))
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    size = max(_SMALLEST_NUMBER, round(_NUMBER_HEIGHT * max(pixels.shape[:2])))
    font = ImageFont.load_default(size)
    for number, one in enumerate(result.instances, 1):
        draw.text(
            _middle(one), str(number), "white", font, anchor="mm", stroke_width=max(1, size // 8), stroke_fill="black"
        )
    return np.asarray(picture)


def colour_number(number: int) -> int:
    """The entry of VOC's palette for an object; after 254 objects, colours come again."""
    return (number - 1) % _MOST_IN_A_BYTE + 1


def objects_of(lines: Sequence[Mapping[str, Any]], concept: str) -> int:
    """The number of objects of a concept in some images, whose lines have them."""
    return sum(found["count"] for line in lines for found in line["found"] if found["concept"] == concept)


def _entry(one: Instance) -> dict[str, Any]:
    left, top, right, bottom = one.box
    return {
        "box": [left, top, right - left, bottom - top],
        "area": one.area,
        "score": round(one.score, 6),
        "rle": encode(one.mask),
    }


def _parts(concept: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "instances" not in concept:
        return [dict(concept)]
    return [{"concept": concept["concept"], **one} for one in concept["instances"]]


def _middle(one: Instance) -> tuple[float, float]:
    """x, y of the centre of mass."""
    rows, columns = np.nonzero(one.pixels)
    return one.box[0] + float(columns.mean()), one.box[1] + float(rows.mean())
