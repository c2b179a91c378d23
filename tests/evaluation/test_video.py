"""J and F of DAVIS against the official definition, written out here with loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prosam.evaluation.video import contour_accuracy, mean_over_objects, region_similarity


def official_contour(mask: np.ndarray) -> set[tuple[int, int]]:
    """The official map: e, s, se are the mask shifted by one; the last row and column see one neighbour only."""
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            right = mask[y, x + 1] if x + 1 < width else None
            below = mask[y + 1, x] if y + 1 < height else None
            if y + 1 < height and x + 1 < width:
                differs = mask[y, x] != right or mask[y, x] != below or mask[y, x] != mask[y + 1, x + 1]
            elif x + 1 < width:
                differs = mask[y, x] != right
            else:
                differs = below is not None and mask[y, x] != below
            if differs:
                found.add((y, x))
    return found


def official_f(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Each contour is dilated by a disk; precision and recall are the covered shares of the other."""
    radius = math.ceil(0.008 * math.hypot(*truth.shape))
    found, true = official_contour(prediction), official_contour(truth)

    def covered(points: set[tuple[int, int]], by: set[tuple[int, int]]) -> int:
        return sum(any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in by) for y, x in points)

    if not found and not true:
        return 1.0
    if not found or not true:
        return 0.0
    precision, recall = covered(found, true) / len(found), covered(true, found) / len(true)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def blobs(seed: int, size: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(size)
    mask = np.zeros(size, bool)
    for _ in range(3):
        y, x, radius = rng.integers(size[0]), rng.integers(size[1]), rng.integers(2, 9)
        mask |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2  # may be cut off by the edge
    return mask


@pytest.mark.parametrize("size", [(24, 36), (40, 110)])  # radius 1 and 1; below a larger one
@pytest.mark.parametrize("seed", range(6))
def test_f_is_the_official_one(seed: int, size: tuple[int, int]):
    prediction, truth = blobs(seed, size), blobs(seed + 100 * (seed % 2), size)
    prediction = np.roll(prediction, seed % 4, axis=1)
    assert contour_accuracy(prediction, truth) == pytest.approx(official_f(prediction, truth), abs=1e-12)


def test_f_within_a_radius_of_several_pixels():
    truth = np.zeros((300, 400), bool)  # diagonal 500 px: radius 4
    truth[100:200, 100:200] = True
    assert contour_accuracy(np.roll(truth, 4, axis=1), truth) == 1
    assert contour_accuracy(np.roll(truth, 5, axis=1), truth) < 1


def test_f_of_masks_without_a_contour():
    empty, some = np.zeros((20, 20), bool), blobs(1, (20, 20))
    assert contour_accuracy(empty, empty) == 1
    assert contour_accuracy(empty, some) == contour_accuracy(some, empty) == 0


def test_j_is_one_where_both_masks_are_empty():
    np.testing.assert_allclose(region_similarity([3, 0, 0], [4, 5, 0]), [0.75, 0, 1])


def test_objects_weigh_the_same_and_last_frames_do_not_count():
    values = [0.2, 0.4, 0.9, 1.0, 0.0]
    objects = [1, 1, 1, 2, 2]
    last = [False, False, True, False, True]
    assert mean_over_objects(values, objects, last) == pytest.approx((0.3 + 1.0) / 2)
    assert math.isnan(mean_over_objects([1.0], [1], [True]))
