"""From COCO's outlines to a mask per class, as run-length codes."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from prosam.data.formats.masks import encode
from prosam.data.formats.run_lengths import run_lengths
from prosam.data.sources.coco_json import NO_OUTLINE, CocoAnnotation, CocoImage
from prosam.remarks import remark

# pycocotools computes in 32 bits and keeps five points for each pixel of an outline's length. What is beyond these
# limits would write outside its memory, or take gigabytes.
_MOST_PIXELS = 178_956_970  # of an image; Pillow opens none that is larger
_LONGEST_OUTLINE = 1 << 22  # px, of a polygon

_NO_SEGMENTATION = "its segmentation is neither a list of polygons nor a run-length code"

Masks = Literal["exact", "flattened"]
Crowd = Literal["class", "void"]


class BadOutlinesError(ValueError):
    """Outlines of an image that are not masks of it.

    Attributes:
        messages: one for each, which names the annotation.
    """

    def __init__(self, messages: Sequence[str]):
        """Say the first."""
        super().__init__(messages[0])
        self.messages = list(messages)


Code = dict[str, Any]  # pycocotools' run-length code: size [height, width], and counts as bytes


def class_masks(image: CocoImage, masks: Masks, crowd: Crowd) -> tuple[dict[int, str], dict[int, str]]:
    """The masks and void pixels of each class that an image shows.

    Args:
        image: with its annotations.
        masks: with `exact`, a pixel belongs to every class that covers it. With `flattened`, objects are painted in the
            file's order, as in images of class ids, so a pixel belongs to the last class that covers it.
        crowd: whether a crowd region belongs to its `class` or is `void`. A void region leaves out the pixels of the
            class's ordinary objects.

    Returns:
        The masks and the void pixels, each by class id, ascending, as from `masks.encode`; empty ones are left out.

    Raises:
        BadOutlinesError: outlines are not masks of this image.
    """
    bad: list[str] = []
    painted: list[tuple[int, Code]] = []
    crowds: list[tuple[int, Code]] = []
    for annotation in image.annotations:
        if annotation.outline is NO_OUTLINE:
            bad.append(f"annotation {annotation.id!r} has no 'segmentation'; a box is not enough")
            continue
        try:
            code = _code(annotation, image.height, image.width)
        except ValueError as error:
            bad.append(f"annotation {annotation.id!r}: {error}")
            continue
        if not coco.area(cast(Any, code)):
            remark("it has outlines that cover no pixel, which are left out", image.file_name)
        (crowds if annotation.crowd and crowd == "void" else painted).append((annotation.class_id, code))
    if bad:
        raise BadOutlinesError(bad)
    shown = _flattened(painted) if masks == "flattened" else _united(painted)
    void = {class_id: _minus(code, shown.get(class_id)) for class_id, code in _united(crowds).items()}
    return _texts(shown), _texts(void)


def instance_mask(image: CocoImage, annotation: CocoAnnotation) -> NDArray[np.bool_]:
    """The mask of one annotation, (H, W).

    Raises:
        ValueError: its outline is no mask of this image; the message names the annotation.
    """
    try:
        code = _code(annotation, image.height, image.width)
    except ValueError as error:
        raise ValueError(f"annotation {annotation.id!r}: {error}") from error
    return coco.decode(cast(Any, code)).astype(bool)


def _united(codes: Iterable[tuple[int, Code]]) -> dict[int, Code]:
    by_class: defaultdict[int, list[Code]] = defaultdict(list)
    for class_id, code in codes:
        by_class[class_id].append(code)
    return {class_id: _union(by_class[class_id]) for class_id in sorted(by_class)}


def _flattened(codes: Sequence[tuple[int, Code]]) -> dict[int, Code]:
    covered: Code | None = None  # by objects painted later
    visible: list[tuple[int, Code]] = []
    for class_id, code in reversed(codes):
        visible.append((class_id, _minus(code, covered)))
        covered = code if covered is None else _union([covered, code])
    return _united(visible)


def _minus(code: Code, other: Code | None) -> Code:
    return code if other is None else cast(Code, coco.merge(cast(Any, [code, _complement(other)]), intersect=True))


def _complement(code: Code) -> Code:
    """Exchange object and background without visiting all runs, by adding or removing an empty run at the front.

    Only the first numbers change, because from the fourth on each is a difference from the number two before.
    """
    counts: bytes = code["counts"]
    starts_with_object = counts[:1] == _compressed(0)
    end = changed = 0
    while changed < (4 if starts_with_object else 3) and end < len(counts):
        changed += counts[end] - 48 < 32
        end += 1
    runs: list[int] = run_lengths(str(counts[:end], "ascii")).tolist()
    if starts_with_object:
        runs = runs[1:]
    else:
        runs = [0, *runs]
        if len(runs) > 3:
            runs[3] -= runs[1]
    return {"size": code["size"], "counts": b"".join(map(_compressed, runs)) + counts[end:]}


def _texts(codes: dict[int, Code]) -> dict[int, str]:
    return {class_id: str(code["counts"], "ascii") for class_id, code in codes.items() if coco.area(cast(Any, code))}


def _union(codes: list[Code]) -> Code:
    return codes[0] if len(codes) == 1 else cast(Code, coco.merge(cast(Any, codes)))


def _coded(mask: NDArray[np.bool_]) -> Code:
    return {"size": list(mask.shape), "counts": encode(mask).encode("ascii")}


def _code(annotation: CocoAnnotation, height: int, width: int) -> Code:
    """The pixels of an outline, checked first: pycocotools trusts it and would write outside its memory."""
    if height * width > _MOST_PIXELS:
        raise ValueError(f"its image is said to be {width}x{height} px, which is larger than any image that is read")
    match annotation.outline:
        case [array(), *_] as polygons:
            for polygon in polygons:
                _check_polygon(polygon, height, width)
            return _union(cast(list[Code], coco.frPyObjects(cast(Any, polygons), height, width)))
        case []:
            raise ValueError("has no outline; a box is not enough")
        case [int() | float(), *_] as numbers:  # one polygon without a list around it
            return _code(annotation._replace(outline=[_numbers(numbers)]), height, width)
        case [[[_, _], *_], *_] as polygons:  # points as pairs
            flat = [_numbers_of_points(polygon) for polygon in polygons]
            return _code(annotation._replace(outline=flat), height, width)
        case {"counts": counts, "size": [*size]}:
            if size != [height, width]:
                raise ValueError(f"is a run-length code of {size} px (height, width), in an image of {[height, width]}")
            return _coded(_filled(_run_lengths(counts), height, width))
    raise ValueError(_NO_SEGMENTATION)


def _numbers(values: Sequence[Any]) -> array[float]:
    try:
        return array("d", values)
    except (TypeError, OverflowError) as error:
        raise ValueError(_NO_SEGMENTATION) from error


def _numbers_of_points(points: Any) -> array[float]:
    try:
        return _numbers([number for point in points for number in point])
    except TypeError as error:  # one of them is no list
        raise ValueError(_NO_SEGMENTATION) from error


def _check_polygon(polygon: array[float], height: int, width: int) -> None:
    if len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"a polygon has {len(polygon)} numbers; it needs x and y of three or more points")
    reach = 2 * max(height, width)  # points slightly outside are common; pycocotools clips them
    if not (math.isfinite(sum(polygon)) and -reach <= min(polygon) and max(polygon) <= reach):
        raise ValueError(f"a polygon has points far outside the image of {width}x{height} px")
    if len(polygon) * reach > _LONGEST_OUTLINE and (length := _outline_length(polygon)) > _LONGEST_OUTLINE:
        raise ValueError(f"a polygon's outline is {length:.0f} px long; more than {_LONGEST_OUTLINE} are not read")


def _outline_length(polygon: array[float]) -> float:
    """The sum over a polygon's edges of the longer of their two extents, px."""
    points = np.array(polygon).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, 0)).max(1).sum())


def _run_lengths(counts: object) -> list[int]:
    """Run lengths in column order, background first, from either form of COCO's code."""
    if isinstance(counts, str):
        return run_lengths(counts).tolist()
    if isinstance(counts, list):
        with suppress(TypeError, ValueError, OverflowError):
            whole = [int(count) for count in counts if not isinstance(count, str | bool)]
            if whole == counts:  # as many, and none with a fraction
                return whole
    raise ValueError("the counts of its run-length code are neither a list of whole numbers nor text")


def _compressed(number: int) -> bytes:
    digits = bytearray()
    more = True
    while more:
        digit, number = number & 31, number >> 5
        more = number != (-1 if digit & 16 else 0)
        digits.append(48 + digit + 32 * more)
    return bytes(digits)


def _filled(counts: list[int], height: int, width: int) -> NDArray[np.bool_]:
    if any(count < 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"its run-length code does not fill {height} x {width} pixels")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")
