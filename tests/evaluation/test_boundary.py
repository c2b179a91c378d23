"""The boundary F-score, against a definition that compares all pairs of pixels."""

from __future__ import annotations

from math import dist

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from prosam.evaluation.boundary import boundary, boundary_f

Pixel = tuple[int, int]


def edge_pixels(mask: np.ndarray) -> list[Pixel]:
    """Pixels of the mask beside a pixel of the image that is outside the mask."""
    height, width = mask.shape
    found: list[Pixel] = []
    for row, column in np.argwhere(mask).tolist():
        beside = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        if any(0 <= y < height and 0 <= x < width and not mask[y, x] for y, x in beside):
            found.append((row, column))
    return found


def share_near(some: list[Pixel], others: list[Pixel], near: float) -> float:
    return sum(any(dist(one, other) <= near for other in others) for one in some) / len(some)


def blobs(seed: int) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=(24, 31)), 3) > 0.02


@pytest.mark.parametrize("tolerance", [0.01, 0.03, 0.06])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_harmonic_mean_of_the_shares_of_edge_pixels_that_are_near(seed: int, tolerance: float):
    prediction, truth = blobs(seed), blobs(seed + 10)
    found, true, near = edge_pixels(prediction), edge_pixels(truth), tolerance * (24**2 + 31**2) ** 0.5
    assert sorted(found) == [tuple(place) for place in np.argwhere(boundary(prediction)).tolist()]
    precision, recall = share_near(found, true, near), share_near(true, found, near)
    assert boundary_f(prediction, truth, tolerance) == pytest.approx(2 / (1 / precision + 1 / recall))


def test_a_shift_within_the_tolerance_costs_nothing_and_one_beyond_costs_the_edges_that_it_moves():
    truth = np.zeros((30, 40), bool)  # a diagonal of 50 px
    truth[8:18, 10:30] = True
    moved = np.roll(truth, 2, axis=1)
    assert boundary_f(moved, truth, 0.04) == 1
    # at a tolerance of 1 px, the two upright edges count as far, but for the ends, where the level edges are near
    assert 0.5 < boundary_f(moved, truth, 0.02) < 0.8


def test_masks_without_an_edge():
    empty, full, some = np.zeros((8, 8), bool), np.ones((8, 8), bool), np.eye(8, dtype=bool)
    assert boundary_f(empty, empty) == boundary_f(full, full) == boundary_f(some, some) == 1
    assert boundary_f(empty, some) == boundary_f(some, empty) == 0
    left, right = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    left[:, 0] = right[:, 8] = True
    assert boundary_f(left, right) == 0
