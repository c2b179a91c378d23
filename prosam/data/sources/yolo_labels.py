"""Label files of ultralytics' YOLO: outlines of the objects of one image, in fractions of its size.

    <class> <x1> <y1> <x2> <y2> <x3> <y3> ...     one object a line; classes count from 0

A line of five numbers is a box (centre, width, height), from which no mask can be made.
"""

from __future__ import annotations

from array import array
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from prosam.data.sources.coco_json import CocoAnnotation, CocoImage
from prosam.data.sources.coco_masks import BadOutlinesError, class_masks
from prosam.errors import InputError

_REACH = 0.5  # of the image's size, by which a point may lie outside; more means pixels instead of fractions
_BOX = 5  # numbers on a line


class YoloOutline(NamedTuple):
    """One object of a label file.

    Attributes:
        line: its number in the file, from 1.
        number: of the class, from 0.
        points: x, y, x, y, ... as fractions of the image's width and height.
    """

    line: int
    number: int
    points: array[float]


def label_file(image: PurePosixPath) -> PurePosixPath:
    """The label file of an image: its last folder `images` becomes `labels`; without such a folder, it lies beside."""
    parts = list(image.with_suffix(".txt").parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return PurePosixPath(*parts)


def read_outlines(path: Path, num_classes: int) -> list[YoloOutline]:
    """The objects of a label file, in its order; none if the file is empty.

    Raises:
        InputError: the file cannot be read, or a line is a box, names no class of the data set, or is no outline.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    outlines = []
    for line, text in enumerate(lines, start=1):
        if text.strip():
            outlines.append(_outline(f"{path}, line {line}", line, text.split(), num_classes))
    return outlines


def _outline(where: str, line: int, words: list[str], num_classes: int) -> YoloOutline:
    if len(words) == _BOX:
        raise InputError(f"{where}: is a box, from which no mask can be made; export the data set for segmentation")
    try:
        number, points = float(words[0]), array("d", map(float, words[1:]))
    except ValueError as error:
        raise InputError(f"{where}: holds something other than numbers; is it a label file of YOLO?") from error
    if not number.is_integer() or not 0 <= number < num_classes:
        raise InputError(f"{where}: class {words[0]} is none of the {num_classes}, which count from 0")
    if len(points) < 6 or len(points) % 2:
        raise InputError(f"{where}: has {len(points)} coordinates; it needs x and y of three or more points")
    if not all(-_REACH <= point <= 1 + _REACH for point in points):
        raise InputError(f"{where}: points are fractions of the image's width and height, from 0 to 1, not pixels")
    return YoloOutline(line, int(number), points)


def outlined_masks(path: Path, outlines: list[YoloOutline], height: int, width: int) -> dict[int, str]:
    """The mask of each class: class id (number + 1) -> run-length code, as in `ImageRecord`; empty ones are left out.

    Args:
        path: of the label file, for messages.
        outlines: of one image.
        height: of the image as it is shown, px.
        width: likewise.

    Raises:
        InputError: an outline is no mask of the image.
    """
    annotations = []
    for line, number, points in outlines:
        pixels = array("d", points)
        for place in range(0, len(pixels), 2):
            pixels[place] *= width
            pixels[place + 1] *= height
        annotations.append(CocoAnnotation(f"on line {line}", number + 1, False, [pixels]))
    try:
        return class_masks(CocoImage(path.name, height, width, annotations), "exact", "class")[0]
    except BadOutlinesError as error:
        raise InputError(f"{path}: {error}") from error
