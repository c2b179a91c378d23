"""labelme's JSON: reads references from its shapes and writes results as its polygons.

labelme's own programs fill a polygon with Pillow; coordinates are pixel numbers, and the outline is included. We do the
same in both directions, so that a mask which is written here and filled by labelme is the same up to the tolerance of
the polygon. A polygon cannot have a hole. A part with a hole is written as labelme's shape `mask`, which holds pixels.
"""

from __future__ import annotations

import base64
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from prosam.data.formats.image_files import opened_image, shown_size
from prosam.data.names import existing
from prosam.errors import Faults, InputError
from prosam.exchange.polygons import outlines
from prosam.predictor.annotations import Annotation, Box, Mask, Points, Scribble

VERSION = "5.4.0"  # version of the format: the first labelme that has all the keys written here

ShapeMask = NDArray[np.bool_]
_XY = tuple[float, float]

_AREAS = ("polygon", "circle", "mask", "oriented_rectangle", "rotation")  # the latter is X-AnyLabeling's
_LINES = ("line", "linestrip")
_FARTHEST = 1e6  # px from the image; beyond it Pillow draws nonsense
_TYPES = (*_AREAS, "rectangle", "point", "points", *_LINES)


def is_labelme(content: Any) -> bool:
    """Whether the content of a JSON file is labelme's."""
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def read_labelme(
    path: Path, content: Mapping[str, Any], is_wanted: Callable[[str], bool] = bool
) -> dict[str, tuple[Path, Annotation]]:
    """The image of a labelme file with the annotation of each label.

    All shapes of a label become one annotation. Polygons, circles and masks become a mask. One rectangle becomes a box,
    several become a mask. Points become points. Lines become a scribble, together with any points. If there are areas,
    points and lines are left out.

    Args:
        path: path of the file; `imagePath` in it is relative to its folder.
        content: parsed content of the file; `imageData` is ignored.
        is_wanted: whether a label is wanted; the shapes of others are not read.

    Raises:
        InputError: the image is missing, or shapes are damaged or of an unknown type; names the file and each shape.
    """
    shapes = content["shapes"]
    if not isinstance(shapes, list):
        raise InputError(f"{path}: 'shapes' is not a list")
    if shapes and all(_has_label(shape) and not is_wanted(shape["label"]) for shape in shapes):
        return {}
    image = existing(path.parent / PureWindowsPath(str(content["imagePath"])).as_posix())
    height, width = shown_size(image)
    for key, size in (("imageHeight", height), ("imageWidth", width)):
        if content.get(key) not in (None, size):
            raise InputError(f"{path}: says {key} {content[key]}, but {image} has {size} px")
    faults = Faults()
    by_label: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, shape in enumerate(shapes):
        if _has_label(shape) and not is_wanted(shape["label"]):
            continue
        if isinstance(shape, dict):
            shape = {"shape_type": "polygon"} | shape  # labelme reads the files of its first versions like this
        with faults.collected():
            _check(path, number, shape)
            by_label[shape["label"]].append(shape)
    annotations: dict[str, tuple[Path, Annotation]] = {}
    for label, of_label in by_label.items():
        try:
            annotations[label] = image, _annotation(of_label, height, width, f"the mask of {image}")
        except (  # among these are Pillow's errors for invalid points
            ValueError,
            TypeError,
            OSError,
            InputError,
        ) as error:
            faults.add(f"{path}: a shape labelled {label!r} is damaged: {error}")
    faults.check(path)
    return annotations


def _has_label(shape: Any) -> bool:
    return isinstance(shape, dict) and isinstance(shape.get("label"), str) and bool(shape["label"].strip())


def labelme_file(
    image: str, masks: Sequence[tuple[str, ShapeMask]], size: tuple[int, int], *, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of a labelme file.

    Args:
        image: path of the image, relative to the file.
        masks: pairs of a label and an (H, W) mask. An empty mask gives no shape. The parts of a mask are shapes of one
            group.
        size: height and width of the image, px.
        extra: further keys, which labelme keeps.
    """
    shapes = []
    for group, (label, mask) in enumerate(masks):
        for outline in outlines(mask):
            shape = {"label": label, "group_id": group, "description": "", "flags": {}}
            if outline.polygon is not None:
                shape |= {"shape_type": "polygon", "points": outline.polygon, "mask": None}
            else:
                top, left = outline.corner
                height, width = outline.pixels.shape
                corners = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
                shape |= {"shape_type": "mask", "points": corners, "mask": _as_base64(outline.pixels)}
            shapes.append(shape)
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
        **extra,
    }


def _check(path: Path, number: int, shape: Any) -> None:
    match shape:
        case {"label": str(label), "points": [_, *_] as points, "shape_type": str(kind)} if label.strip():
            pass
        case _:
            raise InputError(f"{path}: shape {number} lacks a label, points or a shape_type")
    if kind not in _TYPES:
        raise InputError(f"{path}: shape {number} has the type {kind!r}; these can be read: {', '.join(_TYPES)}")
    for point in points:
        match point:
            case [int() | float() as x, int() | float() as y] if abs(x) <= _FARTHEST and abs(y) <= _FARTHEST:
                pass
            case _:
                raise InputError(f"{path}: shape {number} has a point {point!r}, which is not [x, y]")
    if kind == "rectangle" and len(points) == 4:  # all corners, as later versions write them
        return
    most = {"circle": 2, "rectangle": 2, "point": 1, "line": 2, "mask": 2}.get(kind)
    fewest = {"polygon": 3, "oriented_rectangle": 4, "rotation": 4, "linestrip": 1, "points": 1}.get(kind, most or 1)
    if len(points) < fewest or len(points) > (most or len(points)):
        raise InputError(f"{path}: shape {number}, a {kind}, has {len(points)} points; it needs {most or fewest}")
    if kind == "mask" and not isinstance(shape.get("mask"), str):
        raise InputError(f"{path}: shape {number}, a mask, has no 'mask'")


def _annotation(shapes: Sequence[dict[str, Any]], height: int, width: int, origin: str) -> Annotation:
    boxes = [_box(shape["points"], height, width) for shape in shapes if shape["shape_type"] == "rectangle"]
    areas = [_area(shape, height, width) for shape in shapes if shape["shape_type"] in _AREAS]
    if areas or len(boxes) > 1:
        return Mask(np.logical_or.reduce([*areas, *(box.draw(height, width) for box in boxes)]), origin)
    if boxes:
        return boxes[0]
    clicks = [shape["points"] for shape in shapes if shape["shape_type"] in ("point", "points")]
    points = [point for click in clicks for point in _inside(click, height, width)]
    lines = [_inside(shape["points"], height, width) for shape in shapes if shape["shape_type"] in _LINES]
    return Scribble([*lines, *([point] for point in points)]) if lines else Points(points)


def _inside(points: Sequence[Sequence[float]], height: int, width: int) -> list[_XY]:
    """Points, moved into the image if they lie on the right or the lower edge, or beyond any edge."""
    return [(min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)) for x, y in points]


def _box(points: Sequence[Sequence[float]], height: int, width: int) -> Box:
    columns = [min(max(x, 0.0), float(width)) for x, _ in points]
    rows = [min(max(y, 0.0), float(height)) for _, y in points]
    return Box(min(columns), min(rows), max(columns), max(rows))


def _area(shape: dict[str, Any], height: int, width: int) -> ShapeMask:
    points = [(float(x), float(y)) for x, y in shape["points"]]
    if shape["shape_type"] == "mask":
        return _pasted(shape["mask"], points, height, width)
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    if shape["shape_type"] == "circle":
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        draw.ellipse(((x - radius, y - radius), (x + radius, y + radius)), outline=1, fill=1)
    else:
        draw.polygon(points, outline=1, fill=1)
    return np.array(canvas, bool)


def _pasted(encoded: str, corners: Sequence[_XY], height: int, width: int) -> ShapeMask:
    with opened_image(Path("mask"), BytesIO(base64.b64decode(encoded, validate=True))) as image:
        pixels = np.asarray(image) != 0
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in corners)
    if pixels.shape != (bottom - top + 1, right - left + 1) or min(left, top) < 0 or right >= width or bottom >= height:
        raise ValueError("its mask does not fit between its two points")
    whole = np.zeros((height, width), bool)
    whole[top : bottom + 1, left : right + 1] = pixels
    return whole


def _as_base64(pixels: ShapeMask) -> str:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
