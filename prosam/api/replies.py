"""A result as JSON with COCO's run-length codes, or as a PNG."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.formats.masks import encode
from prosam.predictor.instance import Instance
from prosam.predictor.result import Detection, Result

_MOST_IN_A_BYTE = 255


def as_values(result: Result) -> dict[str, Any]:
    """A result as JSON values.

    Returns:
        `model`, `height` and `width` of the image in px, and `found`: for each concept its name, whether it is present,
        presence, score, and its mask as COCO's compressed run-length code, which `pycocotools.mask.decode` reads. If
        objects were asked for, also `count` and `instances`, each with a box (left, top, width, height in px), area in
        px, score and mask.
    """
    height, width = result.labels.shape
    return {"model": result.model, "height": height, "width": width, "found": [_found(one) for one in result]}


def as_png(result: Result) -> tuple[bytes, dict[str, str]]:
    """A result as a grey PNG, and what it does not show as HTTP headers.

    Objects are numbered from 1 if they were asked for; otherwise, several concepts are numbered from 1 in the order in
    which they were asked for, and a single concept is 255. The background is 0. With more than 255 objects, a PNG has
    16 bits.

    Returns:
        The file, and headers: `prosam-found` has the numbers of `as_values` as JSON, without masks.
    """
    if any(one.instances is not None for one in result):
        picture = _numbered(result.instance_labels)
    elif len(result.found) > 1:
        picture = Image.fromarray(result.labels)
    else:
        picture = Image.fromarray(result.mask.astype(np.uint8) * 255)
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    told = [_numbers(one) | ({} if one.instances is None else {"count": one.count}) for one in result]
    return buffer.getvalue(), {"prosam-found": json.dumps(told)}  # ASCII, as headers must be


def _numbered(labels: NDArray[np.int32]) -> Image.Image:
    return Image.fromarray(labels.astype(np.uint8 if labels.max(initial=0) <= _MOST_IN_A_BYTE else np.uint16))


def _numbers(found: Detection) -> dict[str, Any]:
    return {
        "concept": found.concept,
        "present": found.present,
        "presence": round(found.presence, 6),
        "score": round(found.score, 6),
    }


def _found(found: Detection) -> dict[str, Any]:
    values = _numbers(found) | {"mask": _code(found.mask)}
    if found.instances is not None:
        values |= {"count": found.count, "instances": [_object(one) for one in found.instances]}
    return values


def _object(one: Instance) -> dict[str, Any]:
    left, top, right, bottom = one.box
    return {
        "box": [left, top, right - left, bottom - top],
        "area": one.area,
        "score": round(one.score, 6),
        "mask": _code(one.mask),
    }


def _code(mask: NDArray[np.bool_]) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": encode(mask)}
