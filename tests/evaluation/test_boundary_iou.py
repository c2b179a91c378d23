"""Boundary IoU against its definition: erosion by a square, as often as the rim is wide."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from prosam.evaluation.boundary_iou import rim, rim_overlap


@pytest.mark.parametrize(("size", "width"), [((30, 40), 1), ((90, 120), 3), ((150, 200), 5)])
def test_the_rim_is_what_erosion_removes(size: tuple[int, int], width: int):
    mask = np.random.default_rng(size[0]).random(size) < 0.97
    mask[: size[0] // 2, : size[1] // 2] = True  # up to the image's edge
    mask[-5:] = False
    eroded = binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0)
    np.testing.assert_array_equal(rim(mask), mask & ~eroded)


def test_overlap_of_two_squares():
    one, other = np.zeros((60, 80), bool), np.zeros((60, 80), bool)  # diagonal 100 px: 2 px wide
    one[10:30, 10:30] = True
    other[10:30, 12:32] = True
    ring = 20 * 20 - 16 * 16
    brute = sum(
        bool(rim_one and rim_other)
        for rim_one, rim_other in zip(rim(one).ravel().tolist(), rim(other).ravel().tolist(), strict=True)
    )
    assert rim_overlap(one, one) == (ring, ring)
    assert rim_overlap(one, other) == (brute, 2 * ring - brute)
    # the upper and lower bars share 18 px in a row; the sides, 2 px wide and moved by 2, share none between the bars
    assert brute == 2 * 2 * 18
