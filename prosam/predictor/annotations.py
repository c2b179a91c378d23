"""Annotations that a person draws on a reference: points, a scribble, a box or a mask, in pixels of the shown image.

x comes first and counts from the left edge, y from the top: the pixel in column c and row r covers c <= x < c + 1 and
r <= y < r + 1. They are drawn like the annotations that prompt encoders are trained with (`prosam.data.drawing`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from prosam.data.drawing import draw_line
from prosam.data.formats.drawn_masks import object_pixels, remark_doubtful
from prosam.data.formats.image_files import image_errors, opened_image, remark_pages
from prosam.data.formats.png_chunks import check_chunks
from prosam.errors import InputError
from prosam.params import AnnotationKind

Pixels = NDArray[np.bool_] | NDArray[np.uint8]

# Share of the image's diagonal: about the thinner brush on an object that fills a tenth of the image.
_STROKE_SHARE = 0.01


class Annotation(ABC):
    """Something drawn on a reference.

    Attributes:
        kind: the kind of annotation, as in params.yaml.
    """

    kind: ClassVar[AnnotationKind]

    @abstractmethod
    def draw(self, height: int, width: int) -> NDArray[np.bool_]:
        """The annotated pixels of an image of this size: (H, W) bool, not empty.

        Raises:
            InputError: the annotation is empty or reaches outside the image.
        """


@dataclass(frozen=True)
class Points(Annotation):
    """Clicks on the object.

    Attributes:
        points: (x, y) of each click, px.
    """

    points: Sequence[tuple[float, float]]
    kind: ClassVar[AnnotationKind] = "point"

    def draw(self, height: int, width: int) -> NDArray[np.bool_]:
        """See `Annotation.draw`."""
        _require(self.points, "points")
        pixels = np.zeros((height, width), bool)
        for x, y in self.points:
            _require_inside(x, y, height, width, "point")
            pixels[int(y), int(x)] = True
        return pixels


@dataclass(frozen=True)
class Scribble(Annotation):
    """Strokes over the object, or an image of them.

    Attributes:
        strokes: polylines, each a list of (x, y) in px; a single (x, y) is a dab.
        width: width of the strokes, px; one percent of the image's diagonal if None.
        pixels: the scribble as an image instead of strokes: (H, W), not 0 where drawn, or the path of such an image.
    """

    strokes: Sequence[Sequence[tuple[float, float]]] = ()
    width: int | None = None
    pixels: Pixels | Path | str | None = None
    kind: ClassVar[AnnotationKind] = "scribble"

    def draw(self, height: int, width: int) -> NDArray[np.bool_]:
        """See `Annotation.draw`."""
        if self.pixels is not None:
            if self.strokes:
                raise InputError("a scribble is given as strokes and as an image of them; give one")
            return _drawn_pixels(self.pixels, height, width, "scribble")
        _require(self.strokes, "strokes")
        if self.width is not None and self.width < 1:
            raise InputError(f"the width of a scribble is {self.width} px; give 1 or more")
        thickness = self.width or max(1, round(_STROKE_SHARE * math.hypot(height, width)))
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        for stroke in self.strokes:
            _require(stroke, "points in a stroke")
            for x, y in stroke:
                _require_inside(x, y, height, width, "stroke")
            draw_line(draw, stroke, thickness)
        pixels = np.array(canvas, bool)
        for stroke in self.strokes:  # the start of each stroke stays even if the rasteriser rounds the rest away
            pixels[int(stroke[0][1]), int(stroke[0][0])] = True
        return pixels


@dataclass(frozen=True)
class Box(Annotation):
    """A box around the object: the pixels with x0 <= x < x1 and y0 <= y < y1.

    Attributes:
        x0: left edge, px.
        y0: upper edge.
        x1: right edge.
        y1: lower edge.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    kind: ClassVar[AnnotationKind] = "box"

    def draw(self, height: int, width: int) -> NDArray[np.bool_]:
        """See `Annotation.draw`; a pixel that the box covers partly is annotated."""
        shown = f"box {self.x0:g},{self.y0:g},{self.x1:g},{self.y1:g}"
        if not (self.x0 < self.x1 and self.y0 < self.y1):
            raise InputError(f"{shown} is empty; give left, upper, right and lower edge: x0 < x1 and y0 < y1")
        if not (self.x0 >= 0 and self.y0 >= 0 and self.x1 <= width and self.y1 <= height):
            raise InputError(f"{shown} reaches outside the image of {width}x{height} px")
        pixels = np.zeros((height, width), bool)
        pixels[math.floor(self.y0) : math.ceil(self.y1), math.floor(self.x0) : math.ceil(self.x1)] = True
        return pixels


@dataclass(frozen=True)
class Mask(Annotation):
    """The object's own pixels.

    Attributes:
        pixels: (H, W) of the image's size, not 0 where the object is, or the path of such an image. Of an image with
            grey values, as JPEG makes them, the bright half counts; see `prosam.data.formats.drawn_masks`.
        origin: what an array was read from, for remarks.
    """

    pixels: Pixels | Path | str
    origin: str = field(default="", compare=False)
    kind: ClassVar[AnnotationKind] = "mask"

    def draw(self, height: int, width: int) -> NDArray[np.bool_]:
        """See `Annotation.draw`."""
        return _drawn_pixels(self.pixels, height, width, "mask", self.origin)


AnnotationInput = Annotation | Pixels | Image.Image | Path | str


def as_annotation(given: AnnotationInput) -> Annotation:
    """The given annotation; an array, an image or the path of an image becomes a mask."""
    if isinstance(given, Annotation):
        return given
    if isinstance(given, Image.Image):
        with image_errors("the mask"):  # Pillow decodes late
            return Mask(object_pixels(_upright(given), "the mask"))
    if isinstance(given, np.ndarray | Path | str):
        return Mask(given)
    raise InputError(f"{type(given).__name__} is not an annotation; give Points, Scribble, Box or Mask")


def _drawn_pixels(
    given: Pixels | Path | str, height: int, width: int, what: str, origin: str = ""
) -> NDArray[np.bool_]:
    if isinstance(given, np.ndarray):
        name, file, values = f"the {what}", origin or f"the {what}", np.asarray(given)
    else:
        name, file = f"the {what} {given}", str(given)
        with opened_image(Path(given)) as image:
            check_chunks(image, file)
            remark_pages(image, file)
            values = object_pixels(_upright(image), file)
    if values.ndim != 2:
        raise InputError(f"{name} has the shape {values.shape}, not height x width")
    if values.shape != (height, width):
        size = f"{values.shape[1]}x{values.shape[0]}"
        raise InputError(f"{name} is {size} px, but the image is {width}x{height} px")
    pixels = values != 0
    if not pixels.any():
        raise InputError(f"{name} is empty; draw on the object")
    remark_doubtful(pixels, file)
    return pixels


def _upright(image: Image.Image) -> Image.Image:
    """An image as it is shown; it keeps its format, by which lossy ones are known."""
    turned = ImageOps.exif_transpose(image)
    turned.format = image.format
    return turned


def _require(given: Sequence[object], what: str) -> None:
    if len(given) == 0:
        raise InputError(f"no {what} are given; draw on the object")


def _require_inside(x: float, y: float, height: int, width: int, what: str) -> None:
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"{what} {x:g},{y:g} lies outside the image of {width}x{height} px")
