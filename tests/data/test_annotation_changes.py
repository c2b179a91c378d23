"""Shifted, eroded and dilated annotations, against loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from prosam.data.annotation_changes import dilated, equivalent_radius, eroded, object_scale, shifted


def blob(seed: int, height: int = 23, width: int = 31) -> NDArray[np.bool_]:
    """A few random rectangles."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    for _ in range(3):
        top, left = rng.integers(2, height - 9), rng.integers(2, width - 9)
        mask[top : top + rng.integers(3, 9), left : left + rng.integers(3, 9)] = True
    return mask


@pytest.mark.parametrize(("angle", "down", "right"), [(0.0, 0, 3), (math.pi / 2, 3, 0), (math.pi, 0, -3), (0.6, 2, 2)])
def test_a_shift_moves_every_pixel_and_cuts_off_what_leaves(angle: float, down: int, right: int):
    mask = blob(0)
    expected = np.zeros_like(mask)
    for y, x in zip(*np.nonzero(mask), strict=True):
        if 0 <= y + down < mask.shape[0] and 0 <= x + right < mask.shape[1]:
            expected[y + down, x + right] = True
    assert np.array_equal(shifted(mask, 3.0, angle), expected)  # 0.6: 3 sin = 1.69, 3 cos = 2.48


def test_a_shift_is_never_empty():
    corner = np.zeros((6, 6), bool)
    corner[0, 0] = True
    assert shifted(corner, 4, math.pi).sum() == 1  # to the left there is nothing: up neither, but right
    assert shifted(corner, 4, math.pi)[0, 4]
    full = np.ones((6, 6), bool)
    assert shifted(full, 6, 0).any()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [0.0, 1.0, 1.5, 2.3])
def test_erosion_and_dilation_go_by_the_distance_to_the_nearest_pixel(seed: int, size: float):
    mask = blob(seed)
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    grown, shrunk = np.zeros_like(mask), np.zeros_like(mask)
    for pixel in np.ndindex(*mask.shape):
        grown[pixel] = min(math.dist(pixel, other) for other in inside) <= size
        shrunk[pixel] = mask[pixel] and min(math.dist(pixel, other) for other in outside) > size
    assert np.array_equal(dilated(mask, size), grown)
    if shrunk.any():
        assert np.array_equal(eroded(mask, size), shrunk)


def test_eroded_masks_are_nested_and_so_are_dilated_ones():
    mask = blob(5)
    previous_small = previous_large = mask
    for size in (0.5, 1, 2, 3, 5, 50):
        small, large = eroded(mask, size), dilated(mask, size)
        assert small.any()
        assert not (small & ~previous_small).any()
        assert not (previous_large & ~large).any()
        previous_small, previous_large = small, large
    assert previous_large.all()


def test_erosion_leaves_the_deepest_pixels_and_takes_the_images_border_for_no_edge():
    square = np.zeros((9, 9), bool)
    square[2:7, 2:7] = True
    assert np.argwhere(eroded(square, 10)).tolist() == [[4, 4]]
    half = np.zeros((9, 9), bool)
    half[:, :4] = True
    assert np.array_equal(
        np.nonzero(eroded(half, 2).all(axis=0))[0], [0, 1]
    )  # columns 2 and 3 are too near to column 4
    assert eroded(np.ones((4, 4), bool), 3).all()


def test_sizes_of_objects():
    disk = np.hypot(*np.mgrid[-40:41, -40:41]) <= 30
    assert equivalent_radius(disk) == pytest.approx(30, rel=0.01)
    assert object_scale(np.ones((4, 9), bool)) == 6
