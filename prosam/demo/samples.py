"""The samples that the page starts with: photographs with free licences, or generated scenes for a model of shapes.

Each photograph is one of a kind, except those of people. Where there is a single photograph of a kind, it is also the
target: mirrored, turned or darkened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from prosam.data.shapes.scenes import shapes_classes, shapes_scenes
from prosam.demo.questions import Boxed, Clicked

PHOTOS = Path(__file__).parent / "photos"  # CREDITS.md there has authors and terms

_SEED = 2025  # differs from the data set's seed, so that no model was trained on these scenes
_SCENES = 45
_SIZE = 128  # px, the image size of the bundled model for shapes
_CLASS = 7
_TARGETS = 3
_LEAST = 500  # pixels of a clearly visible object
_QUALITY = 92

Named = tuple[str, bytes]  # a file's name and content


@dataclass(frozen=True)
class Samples:
    """A reference and targets.

    Attributes:
        kind: the kind of object that is marked on the reference, in words.
        reference: the reference's file.
        marked: the marked object: a mask (H, W), or what is drawn on it.
        targets: the targets' files. The last one does not show the object.
        count: whether the objects are to be counted.
    """

    kind: str
    reference: Named
    marked: NDArray[np.bool_] | Boxed | Clicked
    targets: tuple[Named, ...]
    count: bool = False


def _person() -> Samples:
    targets = (_photo("portrait"), _photo("cameraman"), _photo("rocket"))
    return Samples("a person", _photo("astronaut"), _box(15, 10, 365, 512), targets)


def _cup() -> Samples:
    points = Clicked(kind="point", points=((290, 120), (230, 250), (360, 200)))
    targets = (_changed("cup", "mirrored", ImageOps.mirror), _changed("cup", "at dusk", _at_dusk), _photo("portrait"))
    return Samples("a cup", _photo("cup"), points, targets)


def _cat() -> Samples:
    turned = _changed("cat", "turned", lambda photo: photo.transpose(Image.Transpose.ROTATE_90))
    targets = (_changed("cat", "at dusk", _at_dusk), turned, _photo("portrait"))
    return Samples("a cat", _photo("cat"), _box(0, 0, 410, 300), targets)


def _coins() -> Samples:
    return Samples("coins", _photo("coins"), _box(254, 34, 296, 73), (_photo("coins"), _photo("cat")), count=True)


def _shapes() -> Samples:
    """The first scenes that show a class, and the first that does not."""
    scenes = list(shapes_scenes("val", _SCENES, size=_SIZE, seed=_SEED))
    showing = [(image, labels == _CLASS) for _, image, labels in scenes if (labels == _CLASS).sum() > _LEAST]
    without = next(image for _, image, labels in scenes if not (labels == _CLASS).any())
    (reference, mask), *others = showing[: 1 + _TARGETS]
    targets = [*(image for image, _ in others), without]
    named = tuple((f"sample {number}.png", _file(image, "PNG")) for number, image in enumerate(targets, 1))
    return Samples(shapes_classes()[_CLASS - 1], ("sample reference.png", _file(reference, "PNG")), mask, named)


_PHOTOGRAPHS: tuple[Callable[[], Samples], ...] = (_person, _cup, _cat, _coins)


def sample_sets(for_shapes: bool) -> tuple[Samples, ...]:
    """The samples, always the same; the page starts with the first.

    Args:
        for_shapes: for a model that knows the generated shapes, rather than photographs.
    """
    return (_shapes(),) if for_shapes else tuple(make() for make in _PHOTOGRAPHS)


def _box(*edges: int) -> Boxed:
    """A box of left, upper, right and lower edge, px."""
    return Boxed.model_validate({"kind": "box", "box": edges})


def _at_dusk(photo: Image.Image) -> Image.Image:
    """Mirrored and dark."""
    return ImageEnhance.Brightness(ImageOps.mirror(photo)).enhance(0.55)


def _photo(name: str) -> Named:
    return f"{name}.jpg", (PHOTOS / f"{name}.jpg").read_bytes()


def _changed(name: str, how: str, change: Callable[[Image.Image], Image.Image]) -> Named:
    with Image.open(PHOTOS / f"{name}.jpg") as photo:
        return f"{name} {how}.jpg", _file(np.asarray(change(photo)), "JPEG")


def _file(pixels: NDArray[np.uint8], form: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form, quality=_QUALITY)  # PNG has no quality
    return buffer.getvalue()
