"""Drawing annotations from masks: points, scribbles, boxes and masks, as in VRP-SAM's training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from prosam.params import AnnotationKind, AnnotationsParams


@dataclass(frozen=True)
class Brush:
    """A preset for strokes; lengths are in units of the object's scale, which is the square root of its area.

    Attributes:
        vertices: minimum and maximum number of vertices of a stroke.
        step: minimum and maximum distance between vertices.
        width: minimum and maximum width of the line.
        turn: standard deviation of the change of direction at a vertex, radians.
    """

    vertices: tuple[int, int]
    step: tuple[float, float]
    width: tuple[float, float]
    turn: float


BRUSHES = (
    Brush(vertices=(5, 12), step=(0.10, 0.25), width=(0.06, 0.10), turn=0.6),  # large: a sweep over the object
    Brush(vertices=(3, 8), step=(0.04, 0.12), width=(0.03, 0.06), turn=0.9),  # small: a squiggle
)


def draw_annotation(
    mask: NDArray[np.bool_],
    kind: AnnotationKind,
    rng: np.random.Generator,
    settings: AnnotationsParams,
    *,
    training: bool,
) -> NDArray[np.bool_]:
    """Annotate an object.

    Args:
        mask: (H, W) bool, the object's exact mask.
        kind: of annotation.
        rng: source of all randomness.
        settings: the maximum numbers of points and strokes.
        training: draw a random number of points or strokes instead of the maximum.

    Returns:
        (H, W) bool, True where annotated. Never empty; inside the mask, except for a box.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask cannot be annotated")
    match kind:
        case "point":
            return draw_points(mask, _number(settings.point.max_points, rng, training), rng)
        case "scribble":
            return draw_scribble(mask, _number(settings.scribble.max_strokes, rng, training), rng)
        case "box":
            return draw_box(mask)
        case "mask":
            return mask.copy()


def _number(most: int, rng: np.random.Generator, training: bool) -> int:
    return int(rng.integers(1, most + 1)) if training else most


def draw_points(mask: NDArray[np.bool_], number: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Single pixels of the mask, uniformly drawn: `number` of them, or all if the mask has fewer."""
    inside = np.flatnonzero(mask)
    points = np.zeros(mask.shape, bool)
    points.flat[rng.choice(inside, min(number, inside.size), replace=False)] = True
    return points


def draw_scribble(mask: NDArray[np.bool_], number: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """`number` random strokes, clipped to the mask; each starts inside the mask and has a random brush."""
    scale = math.sqrt(np.count_nonzero(mask))
    inside = np.flatnonzero(mask)
    canvas = Image.new("L", mask.shape[::-1])
    draw = ImageDraw.Draw(canvas)
    starts = rng.choice(inside, number)
    for start in starts:
        row, column = divmod(int(start), mask.shape[1])
        _draw_stroke(draw, column, row, BRUSHES[rng.integers(len(BRUSHES))], scale, rng)
    scribble = np.array(canvas, bool) & mask
    scribble.flat[starts] = True  # each stroke keeps at least its start, whatever the rasteriser rounds away
    return scribble


def _draw_stroke(
    draw: ImageDraw.ImageDraw, x: float, y: float, brush: Brush, scale: float, rng: np.random.Generator
) -> None:
    """Draw a random walk from (x, y)."""
    number = int(rng.integers(brush.vertices[0], brush.vertices[1] + 1))
    directions = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, brush.turn, number - 1))
    steps = scale * rng.uniform(*brush.step, number - 1)
    xs = x + np.concatenate([[0], np.cumsum(steps * np.cos(directions))])
    ys = y + np.concatenate([[0], np.cumsum(steps * np.sin(directions))])
    width = max(1, round(scale * rng.uniform(*brush.width)))
    draw_line(draw, list(zip(xs.tolist(), ys.tolist(), strict=True)), width)


def draw_line(draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], width: int) -> None:
    """Draw one stroke: a line of `width` px through the points (x, y), with round joints."""
    draw.line(list(points), fill=1, width=width, joint="curve")


def draw_box(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The tight box around the mask, filled."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.zeros(mask.shape, bool)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box
