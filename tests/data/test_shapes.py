"""The bundled data set."""

from __future__ import annotations

import colorsys
from itertools import combinations

import numpy as np
import pytest

from prosam.data.dataset import Split
from prosam.data.parallel import parallel_map
from prosam.data.shapes.draw import (
    HUES,
    SHAPES,
    TEXTURES,
    Placement,
    class_kinds,
    episode_scene,
    pool_kinds,
)
from prosam.data.shapes.print_style import PrintCanvas
from prosam.data.shapes.scenes import shapes_classes, shapes_scenes


def looks(kind) -> tuple[str, str, str]:
    return SHAPES[kind.shape], TEXTURES[kind.texture], HUES[kind.hue]


def test_two_classes_share_at_most_one_attribute():
    assert len(class_kinds()) == 20
    for one, other in combinations(class_kinds(), 2):
        assert sum(a == b for a, b in zip(looks(one), looks(other), strict=True)) <= 1


def test_the_pool_has_no_class_in_it():
    classes, pool = ({looks(kind) for kind in kinds} for kinds in (class_kinds(), pool_kinds()))
    assert len(pool) == 64
    assert not classes & pool


def test_names_are_unique_and_tell_the_looks():
    assert len(set(shapes_classes())) == 20
    for name, kind in zip(shapes_classes(), class_kinds(), strict=True):
        assert set(name.split("-")) == set(looks(kind))


@pytest.mark.parametrize("size", [64, 128])
def test_scenes_are_whole_and_every_one_shows_a_class(size: int):
    for _, image, labels in shapes_scenes("train", 6, size=size, seed=0):
        assert (image.shape, image.dtype) == ((size, size, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((size, size), np.uint8)
        assert image.std() > 5
        shown = set(np.unique(labels).tolist()) - {0, 255}
        assert 1 <= len(shown) <= 2
        assert shown <= set(range(1, 21))


def test_a_scene_depends_on_seed_split_and_number_and_on_nothing_else():
    few = list(shapes_scenes("train", 2, size=64, seed=0))
    more = list(shapes_scenes("train", 4, size=64, seed=0))
    assert [name for name, *_ in more] == [f"train_00000{i}" for i in range(4)]
    for (_, image, labels), (_, same_image, same_labels) in zip(few, more, strict=False):
        assert np.array_equal(image, same_image)
        assert np.array_equal(labels, same_labels)
    expected = episode_scene(np.random.default_rng([0, 1, 0]), 64)
    assert np.array_equal(next(shapes_scenes("val", 1, size=64, seed=0))[1], expected.image)
    others: list[tuple[Split, int]] = [("train", 0), ("val", 0), ("train", 1)]
    images = [next(shapes_scenes(split, 1, size=64, seed=seed))[1] for split, seed in others]
    assert not any(np.array_equal(one, other) for one, other in combinations(images, 2))


def brightness(image: np.ndarray) -> np.ndarray:
    return image.mean(axis=2)


def both_styles(count: int) -> list[tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """(image, labels) of the same scenes, shaded and printed."""
    shaded, printed = (shapes_scenes("val", count, size=128, seed=0, style=style) for style in ("shaded", "print"))
    return [(one[1:], other[1:]) for one, other in zip(shaded, printed, strict=True)]


def test_shaded_is_the_style_unless_told():
    told = next(shapes_scenes("val", 1, size=64, seed=0, style="shaded"))
    assert np.array_equal(told[1], next(shapes_scenes("val", 1, size=64, seed=0))[1])


def test_a_printed_scene_has_the_same_classes_at_the_same_places():
    for (_, shaded), (_, printed) in both_styles(12):
        assert set(np.unique(shaded)) == set(np.unique(printed))
        for class_id in set(np.unique(shaded).tolist()) - {0, 255}:
            places = [np.argwhere(labels == class_id).mean(axis=0) for labels in (shaded, printed)]
            assert np.hypot(*(places[0] - places[1])) < 8  # objects are turned otherwise


def test_prints_are_on_bright_paper_with_dark_outlines_and_shaded_scenes_are_neither():
    scenes = both_styles(12)
    paper = {style: [np.median(brightness(s[style][0])[s[style][1] == 0]) for s in scenes] for style in (0, 1)}
    assert min(paper[1]) > 200
    assert np.median(paper[0]) < 170
    for image, labels in (printed for _, printed in scenes):
        light = brightness(image)
        assert light[labels == 255].mean() < np.median(light[labels == 0]) - 50


@pytest.mark.parametrize("kind", [k for k in (*class_kinds(), *pool_kinds()) if TEXTURES[k.texture] == "solid"])
def test_a_printed_kind_keeps_its_hue(kind):
    canvas = PrintCanvas(128, np.random.default_rng(0))
    canvas.paint(kind, Placement(64, 64, 40), 1)
    scene = canvas.finish()
    red, green, blue = np.median(scene.image[scene.labels == 1], axis=0) / 255
    hue, saturation, _ = colorsys.rgb_to_hsv(red, green, blue)
    off = abs(hue - kind.hue / len(HUES))
    assert min(off, 1 - off) < 0.05  # the next hue is 0.125 away
    assert saturation > 0.2


def test_a_printed_scene_depends_on_seed_split_and_number_alone():
    first, again, other = (next(shapes_scenes("train", 1, size=64, seed=s, style="print"))[1] for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_processes_give_what_one_process_gives_in_order():
    assert list(parallel_map(abs, range(-40, 0), chunk=10)) == list(range(40, 0, -1))


def test_an_exception_in_a_worker_is_raised_here():
    with pytest.raises(TypeError):
        list(parallel_map(len, range(40), chunk=10))  # pyright: ignore[reportArgumentType]
