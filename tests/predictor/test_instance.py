"""Objects at the image's own size: where they are, who owns a pixel, and how they are numbered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from prosam.predictor.instance import Instance, as_instances, numbered
from prosam.predictor.proposals import Proposal


def proposal(cells: NDArray[np.bool_], score: float) -> Proposal:
    return Proposal(cells, np.where(cells, 1.0, -1.0).astype(np.float32), score)


def disc(side: int, x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:side, :side]
    return np.hypot(columns - x, rows - y) <= radius


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(90, 200), (16, 16), (7, 5)])
def test_an_object_is_enlarged_as_torch_enlarges_a_whole_mask(size: tuple[int, int], align_corners: bool):
    one = proposal(disc(16, 5.5, 8, 4), 0.5)
    [found] = as_instances([one], size, align_corners=align_corners)
    whole = F.interpolate(torch.from_numpy(one.field)[None, None], size, mode="bilinear", align_corners=align_corners)
    expected = whole[0, 0].numpy()
    assert np.array_equal(found.mask[np.abs(expected) > 1e-4], expected[np.abs(expected) > 1e-4] > 0)
    rows, columns = np.nonzero(found.mask)
    assert found.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert found.area == found.mask.sum()


def test_no_pixel_is_in_two_objects_and_the_first_keeps_it():
    first, second = disc(32, 12, 16, 7), disc(32, 20, 16, 7)
    one, other = as_instances([proposal(first, 0.9), proposal(second, 0.8)], (64, 64))
    assert not (one.mask & other.mask).any()
    alone = as_instances([proposal(second, 0.8)], (64, 64))[0].mask
    assert np.array_equal(other.mask, alone & ~one.mask)


def test_specks_beside_an_object_are_left_out():
    cells = disc(32, 12, 16, 7)
    cells[2, 28] = True
    [found] = as_instances([proposal(cells, 0.9)], (64, 64))
    assert found.box[2] < 50


def test_an_object_without_a_pixel_is_left_out():
    cells = np.zeros((64, 64), bool)
    cells[1, 1] = True
    assert as_instances([proposal(cells, 0.9)], (2, 2)) == ()


def test_a_hundred_objects_of_a_large_photograph_take_no_more_memory_than_one_mask():
    cells = [disc(256, 12 + 25 * x, 12 + 25 * y, 9) for x in range(10) for y in range(10)]
    found = as_instances([proposal(one, 0.5) for one in cells], (3000, 4000))
    assert len(found) == 100
    assert sum(one.pixels.nbytes for one in found) <= 3000 * 4000


def test_numbers_count_from_one_beyond_a_byte_and_the_higher_score_is_on_top():
    pixels = np.ones((1, 2), bool)
    instances = [Instance((i, 0, i + 2, 1), pixels, (1, 400), 0.5 if i != 3 else 0.9) for i in range(300)]
    labels = numbered(instances, (1, 400))[0]
    assert labels[:6].tolist() == [1, 2, 3, 4, 4, 6]  # entry 3, number 4, has both of its pixels
    assert labels[298:302].tolist() == [299, 300, 300, 0]
