"""Pixel counts of a predicted and a true mask, against a double loop."""

from __future__ import annotations

import numpy as np
import pytest

from prosam.evaluation.overlap import Overlap, overlap


@pytest.mark.parametrize("seed", range(5))
def test_counts_by_brute_force_leave_void_pixels_out(seed: int):
    rng = np.random.default_rng(seed)
    prediction, truth, void = (rng.random((7, 11)) < share for share in (0.4, 0.5, 0.2))
    counts = {"intersection": 0, "union": 0, "background_intersection": 0, "background_union": 0}
    counts["false_positives"] = 0
    for y, x in np.ndindex(7, 11):
        if not void[y, x]:
            p, t = bool(prediction[y, x]), bool(truth[y, x])
            counts["intersection"] += p and t
            counts["union"] += p or t
            counts["background_intersection"] += not p and not t
            counts["background_union"] += not p or not t
            counts["false_positives"] += p and not t
    found = overlap(prediction, truth, void)
    assert found == Overlap(**counts)
    assert found.iou == counts["intersection"] / counts["union"]


def test_what_lies_in_void_does_not_count():
    rng = np.random.default_rng(0)
    prediction, truth, void, other = (rng.random((7, 11)) < 0.5 for _ in range(4))
    assert overlap(prediction, truth, void) == overlap(prediction ^ (other & void), truth ^ (other & void), void)


def test_masks_may_be_empty_full_or_all_void():
    none, full = np.zeros((2, 3), bool), np.ones((2, 3), bool)
    assert overlap(none, none, none) == Overlap(0, 0, 6, 6, 0)
    assert overlap(none, none, none).iou == 0
    assert overlap(full, full, none) == Overlap(6, 6, 0, 0, 0)
    assert overlap(full, none, none) == Overlap(0, 6, 0, 6, 6)
    assert overlap(full, none, full) == Overlap(0, 0, 0, 0, 0)
