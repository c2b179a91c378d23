"""Drawn annotations."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageDraw

from prosam.data.annotations import THIN_KINDS
from prosam.data.drawing import draw_annotation
from prosam.params import AnnotationKind, AnnotationsParams

KINDS = get_args(AnnotationKind)
SETTINGS = AnnotationsParams.model_validate({"point": {"max_points": 6}, "scribble": {"max_strokes": 4}})


def ellipse(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    image = Image.new("1", (width, height))
    ImageDraw.Draw(image).ellipse(box, fill=1)
    return np.array(image)


def one_pixel() -> np.ndarray:
    mask = np.zeros((9, 5), bool)
    mask[8, 4] = True
    return mask


MASKS = {
    "ellipse": ellipse(60, 90, (20, 10, 70, 50)),
    "at the edge": ellipse(60, 90, (-20, -10, 30, 30)),
    "two objects": ellipse(60, 90, (2, 2, 20, 20)) | ellipse(60, 90, (60, 30, 88, 58)),
    "three pixels": np.eye(3, dtype=bool),
    "one pixel": one_pixel(),
    "everything": np.ones((20, 30), bool),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("training", [True, False])
def test_an_annotation_is_seeded_not_empty_and_inside(kind: AnnotationKind, name: str, training: bool):
    mask = MASKS[name]
    for seed in range(10):
        drawn = draw_annotation(mask, kind, np.random.default_rng(seed), SETTINGS, training=training)
        again = draw_annotation(mask, kind, np.random.default_rng(seed), SETTINGS, training=training)
        assert drawn.shape == mask.shape
        assert drawn.dtype == bool
        assert np.array_equal(drawn, again)
        assert drawn.any()
        assert kind == "box" or not (drawn & ~mask).any()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_mask_is_refused(kind: AnnotationKind):
    with pytest.raises(ValueError, match="empty"):
        draw_annotation(np.zeros((4, 4), bool), kind, np.random.default_rng(0), SETTINGS, training=True)


def counts(name: str, training: bool) -> set[int]:
    drawn = (
        draw_annotation(MASKS[name], "point", np.random.default_rng(seed), SETTINGS, training=training)
        for seed in range(100)
    )
    return {int(points.sum()) for points in drawn}


def test_training_has_a_random_number_of_points_and_evaluation_the_most():
    assert counts("ellipse", training=True) == {1, 2, 3, 4, 5, 6}
    assert counts("ellipse", training=False) == {6}


def test_points_are_never_more_than_the_mask_has():
    assert counts("three pixels", training=True) == {1, 2, 3}
    assert counts("three pixels", training=False) == {3}


def test_every_pixel_of_the_mask_can_be_a_point():
    mask = MASKS["ellipse"]
    total = np.zeros(mask.shape, int)
    for seed in range(3000):
        total += draw_annotation(mask, "point", np.random.default_rng(seed), SETTINGS, training=False)
    expected = 3000 * 6 / mask.sum()
    assert (total[mask] > 0).mean() > 0.99
    assert abs(total[mask].var() / expected - 1) < 0.2  # nearly Poisson: the variance is the mean


def test_the_box_is_tight_by_brute_force():
    for mask in MASKS.values():
        box = draw_annotation(mask, "box", np.random.default_rng(0), SETTINGS, training=False)
        ys, xs = zip(*[(y, x) for y, x in np.ndindex(mask.shape) if mask[y, x]], strict=True)
        for y, x in np.ndindex(mask.shape):
            assert box[y, x] == (min(ys) <= y <= max(ys) and min(xs) <= x <= max(xs))


def test_the_mask_is_itself_and_a_copy():
    mask = MASKS["ellipse"]
    drawn = draw_annotation(mask, "mask", np.random.default_rng(0), SETTINGS, training=False)
    assert np.array_equal(drawn, mask)
    assert drawn is not mask


@pytest.mark.parametrize("zoom", [1, 4])
def test_scribbles_are_thin_lines_that_scale_with_the_object(zoom: int):
    mask = MASKS["ellipse"].repeat(zoom, 0).repeat(zoom, 1)
    shares = [
        draw_annotation(mask, "scribble", np.random.default_rng(seed), SETTINGS, training=False).sum() / mask.sum()
        for seed in range(50)
    ]
    assert 0.05 < np.mean(shares) < 0.4


def test_thin_kinds_are_those_drawn_as_points_and_lines():
    mask = MASKS["ellipse"]
    share = {
        kind: draw_annotation(mask, kind, np.random.default_rng(0), SETTINGS, training=False).sum() / mask.sum()
        for kind in KINDS
    }
    assert {kind for kind in KINDS if share[kind] < 1} == THIN_KINDS
