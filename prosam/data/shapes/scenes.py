"""The scenes of `shapes-5i`. Each is a pure function of the data set's style and seed, the split and its number."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from prosam.data.dataset import SPLITS, Split
from prosam.data.parallel import parallel_map
from prosam.data.shapes.draw import Canvas, class_kinds, episode_scene
from prosam.data.shapes.print_style import PrintCanvas
from prosam.params import ShapesStyle

LabelledImage = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]

_CANVASES: dict[ShapesStyle, type[Canvas]] = {"shaded": Canvas, "print": PrintCanvas}


def shapes_classes() -> list[str]:
    """The class names in class-id order."""
    return [kind.name for kind in class_kinds()]


def shapes_scenes(
    split: Split, count: int, *, size: int, seed: int, style: ShapesStyle = "shaded"
) -> Iterator[LabelledImage]:
    """The scenes of a split, in order: (id, (S, S, 3) uint8 RGB image, (S, S) uint8 labels).

    Args:
        split: train or val.
        count: number of scenes; a larger number leaves the first ones unchanged.
        size: S, px.
        seed: of the data set.
        style: how they are drawn.
    """
    return parallel_map(partial(_scene, style, seed, split, size), range(count), chunk=400)


def _scene(style: ShapesStyle, seed: int, split: Split, size: int, number: int) -> LabelledImage:
    rng = np.random.default_rng([seed, SPLITS.index(split), number])
    scene = episode_scene(rng, size, _CANVASES[style])
    return f"{split}_{number:06d}", scene.image, scene.labels
