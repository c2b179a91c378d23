"""The bundled data set: generated scenes of textured, coloured shapes.

A *kind* is a combination of shape, texture, hue and second colour. Twenty kinds are the classes of `shapes-5i`; any
two of them share at most one of shape, texture and hue, so a single attribute never identifies a class. Sixty-four
other kinds are the *pool*: distractors in the scenes, and the classes on which the small backbone is trained. No
(shape, texture, hue) triple is both a class and in the pool.

Everything here is a pure function of explicit `numpy.random.Generator`s.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prosam.data.formats.label_maps import VOID

Array = NDArray[np.floating]
Rng = np.random.Generator

SHAPES = ("disc", "bar", "square", "triangle", "star", "ring", "cross", "crescent", "ellipse", "bowtie")
TEXTURES = ("solid", "striped", "checked", "dotted", "ringed", "wavy", "gridded", "blotched")
HUES = ("red", "amber", "lime", "green", "cyan", "azure", "violet", "magenta")
SECOND_COLOURS = ("white", "black", "contrast")

NUM_CLASSES = 20
POOL_SIZE = 64
_KINDS_SEED = 7  # fixes which combinations are classes; the data set's own seed varies the scenes only


@dataclass(frozen=True)
class ShapeKind:
    """What an object looks like: indices into SHAPES, TEXTURES, HUES and SECOND_COLOURS."""

    shape: int
    texture: int
    hue: int
    second: int

    @property
    def name(self) -> str:
        """A readable name, such as `red-striped-disc`."""
        return f"{HUES[self.hue]}-{TEXTURES[self.texture]}-{SHAPES[self.shape]}"

    def shared(self, other: ShapeKind) -> int:
        """Number of attributes (shape, texture, hue) that two kinds share."""
        return (self.shape == other.shape) + (self.texture == other.texture) + (self.hue == other.hue)


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        labels: (S, S) uint8, 0 for background and distractors, class id 1..20, VOID on the edges of labelled objects.
        instances: (S, S) uint8, 0 for background, then 1, 2, ... for each object, distractors included.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    instances: NDArray[np.uint8]


@lru_cache
def class_kinds() -> tuple[ShapeKind, ...]:
    """The twenty classes, in class-id order (class id = index + 1)."""
    return _draw_kinds()[0]


@lru_cache
def pool_kinds() -> tuple[ShapeKind, ...]:
    """The sixty-four kinds for distractors and for training the backbone; none is a class."""
    return _draw_kinds()[1]


@lru_cache
def _draw_kinds() -> tuple[tuple[ShapeKind, ...], tuple[ShapeKind, ...]]:
    rng = np.random.default_rng(_KINDS_SEED)
    sizes = (len(SHAPES), len(TEXTURES), len(HUES), len(SECOND_COLOURS))
    order = rng.permutation(math.prod(sizes))
    combinations = [ShapeKind(*(int(i) for i in np.unravel_index(flat, sizes))) for flat in order]
    # Spread the classes evenly over the attributes: each shape twice, each texture and hue two or three times.
    room = ({}, {}, {})
    limits = (2, 3, 3)
    classes: list[ShapeKind] = []
    for kind in combinations:
        if len(classes) == NUM_CLASSES:
            break
        attributes = (kind.shape, kind.texture, kind.hue)
        full = any(used.get(a, 0) >= limit for used, a, limit in zip(room, attributes, limits, strict=True))
        if full or any(kind.shared(other) > 1 for other in classes):
            continue
        classes.append(kind)
        for used, attribute in zip(room, attributes, strict=True):
            used[attribute] = used.get(attribute, 0) + 1
    pool: list[ShapeKind] = []
    for kind in combinations:
        if len(pool) == POOL_SIZE:
            break
        if all(kind.shared(other) < 3 for other in [*classes, *pool]):
            pool.append(kind)
    if len(classes) < NUM_CLASSES or len(pool) < POOL_SIZE:
        raise RuntimeError(f"the kinds' seed yields {len(classes)} classes and {len(pool)} pool kinds; choose another")
    return tuple(classes), tuple(pool)


# --------------------------------------------------------------------------------------------- shapes and textures


def signed_distance(shape: str, x: Array, y: Array) -> Array:
    """An implicit function of a unit-sized shape, negative inside, about one per radius near the edge."""
    r = np.hypot(x, y) + 1e-6
    match shape:
        case "disc":
            return r - 0.9
        case "ellipse":
            return np.hypot(x, y / 0.5) - 1
        case "bar":
            return np.maximum(np.abs(x) - 1.05, np.abs(y) - 0.38)
        case "square":
            return np.maximum(np.abs(x), np.abs(y)) - 0.8
        case "triangle":
            angle, third = np.arctan2(y, x), 2 * math.pi / 3
            return np.cos(np.floor(0.5 + angle / third) * third - angle) * r - 0.55
        case "star":
            return r - (0.68 + 0.34 * np.cos(5 * np.arctan2(y, x)))
        case "ring":
            return np.abs(r - 0.75) - 0.3
        case "cross":
            across = np.maximum(np.abs(x) - 1, np.abs(y) - 0.34)
            along = np.maximum(np.abs(y) - 1, np.abs(x) - 0.34)
            return np.minimum(across, along)
        case "crescent":
            return np.maximum(r - 1, 0.72 - np.hypot(x - 0.45, y))
        case "bowtie":
            return np.maximum(np.abs(x) - 1, np.abs(y) - 0.15 - 0.75 * np.abs(x))
    raise ValueError(f"unknown shape {shape!r}; one of {', '.join(SHAPES)}")


def texture_pattern(texture: str, x: Array, y: Array, rng: Rng) -> Array:
    """A pattern in [0, 1] at object coordinates in pixels, with random phase and a period of 6.6 to 11 px."""
    f = 2 * math.pi / (8.5 * math.exp(rng.uniform(-0.25, 0.25)))
    phase, phase2 = rng.uniform(0, 2 * math.pi, 2)
    match texture:
        case "solid":
            return np.zeros_like(x)
        case "striped":
            v = np.sin(f * x + phase)
        case "checked":
            v = 3 * np.sin(0.8 * f * x + phase) * np.sin(0.8 * f * y + phase2)
        case "dotted":
            v = np.cos(f * x + phase) + np.cos(f * y + phase2) - 0.7
        case "ringed":
            v = np.sin(f * np.hypot(x, y) + phase)
        case "wavy":
            v = np.sin(f * x + phase + 1.8 * np.sin(0.7 * f * y + phase2))
        case "gridded":
            v = np.maximum(np.cos(0.8 * f * x + phase), np.cos(0.8 * f * y + phase2)) - 0.6
        case "blotched":
            v = 5 * (smooth_noise(rng, x.shape, max(3, round(max(x.shape) / 8))) - 0.5)
        case _:
            raise ValueError(f"unknown texture {texture!r}; one of {', '.join(TEXTURES)}")
    return 1 / (1 + np.exp(-4 * v))


def smooth_noise(rng: Rng, shape: tuple[int, int], knots: int) -> Array:
    """Uniform noise on a (knots x knots) grid, bilinearly interpolated to `shape`."""
    return _interpolation(shape[0], knots) @ rng.random((knots, knots), np.float32) @ _interpolation(shape[1], knots).T


@lru_cache(maxsize=512)
def _interpolation(size: int, knots: int) -> Array:
    position = np.linspace(0, knots - 1, size, dtype=np.float32)
    left = np.minimum(position.astype(int), knots - 2)
    weights = np.zeros((size, knots), np.float32)
    weights[np.arange(size), left] = 1 - (position - left)
    weights[np.arange(size), left + 1] = position - left
    return weights


def hsv(h: float, s: float, v: float) -> Array:
    """(3,) RGB of a colour, all in [0, 1]; the hue wraps around, the others are clipped."""
    return np.array(colorsys.hsv_to_rgb(h % 1, min(max(s, 0), 1), min(max(v, 0), 1)), np.float32)


def _colours(kind: ShapeKind, rng: Rng) -> tuple[Array, Array]:
    hue = kind.hue / len(HUES) + rng.uniform(-0.035, 0.035)
    first = hsv(hue, rng.uniform(0.65, 1), rng.uniform(0.65, 1))
    match SECOND_COLOURS[kind.second]:
        case "white":
            second = np.full(3, rng.uniform(0.85, 1), np.float32)
        case "black":
            second = np.full(3, rng.uniform(0.02, 0.18), np.float32)
        case _:
            second = hsv(hue + 0.5 + rng.uniform(-0.04, 0.04), rng.uniform(0.6, 1), rng.uniform(0.5, 1))
    return first, second


# ------------------------------------------------------------------------------------------------------- rendering


@dataclass(frozen=True)
class Placement:
    """The place of an object: centre and radius in pixels."""

    x: float
    y: float
    radius: float


class Canvas:
    """A scene being painted, back to front."""

    def __init__(self, size: int, rng: Rng):
        """Start with a background of smooth colour, perhaps texture, and clutter.

        Args:
            size: side of the square scene, px.
            rng: source of all randomness in this scene.
        """
        self.size, self._rng = size, rng
        rows, columns = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32), indexing="ij")
        self._rows, self._columns = rows, columns
        self.labels = np.zeros((size, size), np.uint8)
        self.instances = np.zeros((size, size), np.uint8)
        self.count = 0
        self.image = self._background()

    def _background(self) -> Array:
        rng, size = self._rng, self.size
        first, second = (hsv(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.2, 0.9)) for _ in range(2))
        blend = smooth_noise(rng, (size, size), int(rng.integers(3, 7)))
        if rng.random() < 0.5:
            x, y = self._turned(size / 2, size / 2, rng.uniform(0, 2 * math.pi), slice(None), slice(None))
            zoom = rng.uniform(0.6, 1.6)
            texture = TEXTURES[rng.integers(1, len(TEXTURES))]
            blend = 0.65 * blend + 0.35 * texture_pattern(texture, x * zoom, y * zoom, rng)
        image = first + (second - first) * blend[..., None]
        for _ in range(rng.integers(0, 8)):  # clutter: short strokes and specks
            cx, cy = rng.uniform(0, size, 2)
            x, y = self._turned(cx, cy, rng.uniform(0, 2 * math.pi), slice(None), slice(None))
            width, length = rng.uniform(1, 3), rng.uniform(2, 30)
            image[(np.abs(x) < length) & (np.abs(y) < width)] = hsv(rng.random(), rng.random(), rng.random())
        return image.astype(np.float32)

    def _turned(self, cx: float, cy: float, angle: float, rows: slice, columns: slice) -> tuple[Array, Array]:
        dx, dy = self._columns[rows, columns] - cx, self._rows[rows, columns] - cy
        c, s = math.cos(angle), math.sin(angle)
        return dx * c + dy * s, dy * c - dx * s

    def paint(self, kind: ShapeKind, place: Placement, class_id: int = 0) -> None:
        """Paint one object over the scene; a partly covered pixel of a class, before or after, becomes VOID.

        Args:
            kind: its appearance.
            place: its centre and radius.
            class_id: its label, 0 for a distractor.
        """
        rng = self._rng
        angle, aspect = rng.uniform(0, 2 * math.pi), math.exp(rng.uniform(-0.15, 0.15))
        reach = math.ceil(1.35 * place.radius * max(aspect, 1 / aspect)) + 2
        rows = slice(max(0, int(place.y) - reach), min(self.size, int(place.y) + reach + 1))
        columns = slice(max(0, int(place.x) - reach), min(self.size, int(place.x) + reach + 1))
        along, across = self._turned(place.x, place.y, angle, rows, columns)
        x, y = along / (place.radius * aspect), across / (place.radius / aspect)
        distance = signed_distance(SHAPES[kind.shape], x, y) * place.radius
        coverage = np.clip(0.5 - distance, 0, 1)
        colour = self._surface(kind, x, y, place.radius, distance)
        image, labels = self.image[rows, columns], self.labels[rows, columns]
        image[:] = image * (1 - coverage[..., None]) + colour * coverage[..., None]
        edge = (coverage > 0.05) & (coverage < 0.95) & ((labels > 0) | (class_id > 0))
        labels[coverage > 0.5] = class_id
        labels[edge] = VOID
        self.count += 1
        self.instances[rows, columns][coverage > 0.5] = self.count

    def _surface(self, kind: ShapeKind, x: Array, y: Array, radius: float, distance: Array) -> Array:
        """The surface of an object around its place: (h, w, 3) colours in [0, 1], from which its shape is then cut.

        Args:
            kind: determines texture and colours.
            x: (h, w) along the turned object, in units of its radius.
            y: (h, w) across the turned object, in units of its radius.
            radius: px.
            distance: (h, w) from the object's edge, about px, negative inside.
        """
        del distance  # shaded objects have no outline
        rng = self._rng
        first, second = _colours(kind, rng)
        pattern = texture_pattern(TEXTURES[kind.texture], x * radius, y * radius, rng)[..., None]
        light, shade = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.3)
        shading = 1 + shade * (x * math.cos(light) + y * math.sin(light))
        return (first + (second - first) * 0.9 * pattern) * shading[..., None]

    def finish(self) -> Scene:
        """Light the scene, add sensor noise, and quantise."""
        rng, size = self._rng, self.size
        gain = rng.uniform(0.75, 1.2) * (1 + rng.uniform(-0.08, 0.08, 3).astype(np.float32))
        lighting = 1 + rng.uniform(0, 0.25) * (smooth_noise(rng, (size, size), 3) - 0.5)
        noise = rng.standard_normal((size, size, 3), np.float32) * np.float32(rng.uniform(0.005, 0.03))
        image = np.clip(self.image * gain * lighting[..., None] + noise, 0, 1)
        return Scene((image * 255).astype(np.uint8), self.labels, self.instances)


def find_place(rng: Rng, size: int, taken: Sequence[Placement], *, spread: float = 0.75) -> Placement | None:
    """A random place at least `spread` times the sum of radii from those taken; None after 30 failures."""
    scale = size / 128
    for _ in range(30):
        radius = scale * math.exp(rng.uniform(math.log(11), math.log(30)))
        x, y = rng.uniform(radius * 0.6, size - radius * 0.6, 2)
        if all(math.hypot(x - p.x, y - p.y) > spread * (radius + p.radius) for p in taken):
            return Placement(float(x), float(y), radius)
    return None


# ---------------------------------------------------------------------------------------------- the kinds of scenes


def episode_scene(rng: Rng, size: int = 128, canvas: type[Canvas] = Canvas) -> Scene:
    """A scene of `shapes-5i`: one or two classes, one to three objects of the first, one to three distractors.

    Args:
        rng: source of all randomness.
        size: side of the scene, px.
        canvas: its style.
    """
    classes, pool = class_kinds(), pool_kinds()
    first = int(rng.integers(NUM_CLASSES))
    ids = [first]
    ids += [first] * (rng.random() < 0.35)
    ids += [first] * (rng.random() < 0.15)
    if rng.random() < 0.5:
        ids.append(int(rng.integers(NUM_CLASSES)))
    wanted = [(classes[i], i + 1) for i in ids]
    wanted += [(pool[rng.integers(len(pool))], 0) for _ in range(rng.integers(1, 4))]
    order = [0, *(1 + rng.permutation(len(wanted) - 1))]  # the first object is placed first: it always finds room
    placed: list[tuple[ShapeKind, int, Placement]] = []
    for i in order:
        place = find_place(rng, size, [p for *_, p in placed])
        if place is not None:
            placed.append((*wanted[i], place))
    scene = canvas(size, rng)
    for kind, class_id, place in reversed(placed):
        scene.paint(kind, place, class_id)
    return scene.finish()


def promptable_scene(rng: Rng, size: int = 128) -> Scene:
    """A scene for class-agnostic training of the small SAM: two to six objects of any kind except the classes."""
    kinds: list[ShapeKind] = []
    while len(kinds) < 6:
        sizes = (len(SHAPES), len(TEXTURES), len(HUES), len(SECOND_COLOURS))
        kind = ShapeKind(*(int(rng.integers(n)) for n in sizes))
        if all(kind.shared(c) < 3 for c in class_kinds()):
            kinds.append(kind)
    number = int(rng.integers(2, 7))
    twins = rng.random() < 0.4  # two objects of one kind, so that prompts with several objects make sense
    canvas, taken = Canvas(size, rng), list[Placement]()
    for i in range(number):
        place = find_place(rng, size, taken, spread=rng.uniform(0.6, 0.9))
        if place is not None:
            taken.append(place)
            canvas.paint(kinds[0] if twins and i < 2 else kinds[i % len(kinds)], place)
    return canvas.finish()


def object_crop(rng: Rng, kind: ShapeKind, size: int = 64) -> Scene:
    """A crop around one object of `kind` (labelled 1), for training and testing the small backbone."""
    canvas = Canvas(2 * size, rng)
    radius = math.exp(rng.uniform(math.log(12), math.log(30))) * size / 64
    x, y = rng.uniform(0.75 * size, 1.25 * size, 2)
    canvas.paint(kind, Placement(float(x), float(y), radius), 1)
    scene = canvas.finish()
    middle = slice(size // 2, size // 2 + size)
    return Scene(scene.image[middle, middle], scene.labels[middle, middle], scene.instances[middle, middle])
