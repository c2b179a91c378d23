"""Which proposals become objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prosam.predictor.choosing import choose, choose_alike
from prosam.predictor.proposals import Proposal, components, least_cells

SIDE = 64
LEAST = least_cells(SIDE)


def block(top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    cells = np.zeros((SIDE, SIDE), bool)
    cells[top:bottom, left:right] = True
    return cells


def proposal(cells: NDArray[np.bool_], score: float) -> Proposal:
    return Proposal(cells, np.where(cells, 1.0, -1.0).astype(np.float32), score)


def chosen(*proposals: Proposal, mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    return [one.cells for one in choose(proposals, mask, least=LEAST)]


def test_of_two_proposals_for_one_object_the_better_is_kept():
    better, worse = block(10, 10, 30, 30), block(11, 10, 31, 30)
    [kept] = chosen(proposal(worse, 0.4), proposal(better, 0.6), mask=better)
    assert np.array_equal(kept, better)


def test_a_part_of_a_better_object_is_no_object_and_a_whole_of_better_parts_neither():
    whole, left, right = block(10, 10, 30, 50), block(10, 10, 30, 30), block(10, 30, 30, 50)
    assert len(chosen(proposal(whole, 0.6), proposal(left, 0.5), proposal(right, 0.5), mask=whole)) == 1
    assert len(chosen(proposal(whole, 0.4), proposal(left, 0.5), proposal(right, 0.5), mask=whole)) == 2


def test_each_cell_is_in_one_object_that_of_the_higher_score():
    first, second = block(10, 10, 30, 30), block(10, 25, 30, 45)
    one, other = chosen(proposal(second, 0.5), proposal(first, 0.6), mask=first | second)
    assert np.array_equal(one, first)
    assert np.array_equal(other, second & ~first)


def test_the_rest_of_a_part_goes_to_the_nearest_object_if_objects_cover_most_of_it():
    part, speck = block(10, 10, 30, 50), block(50, 10, 60, 14)
    one, other = chosen(proposal(block(10, 10, 30, 26), 0.6), proposal(block(10, 34, 30, 50), 0.5), mask=part | speck)
    assert np.array_equal(one | other, part)  # the speck has no object
    assert one[15, 28]
    assert other[15, 31]


def test_specks_and_low_scores_are_dropped():
    small = block(0, 0, 1, LEAST - 1)
    assert chosen(proposal(small, 0.9), proposal(block(10, 10, 30, 30), 0.01), mask=small) == []
    assert components(small, LEAST) == []
    assert len(components(block(0, 0, 1, LEAST), LEAST)) == 1


def test_among_many_alike_a_lower_score_is_enough_but_not_for_another_size():
    sure = [proposal(block(2, 8 * i, 8, 8 * i + 6), 0.5) for i in range(7)]
    alike, large = proposal(block(20, 2, 26, 8), 0.08), proposal(block(30, 2, 60, 60), 0.08)
    mask = np.logical_or.reduce([one.cells for one in [*sure, alike, large]])
    assert len(chosen(*sure, alike, large, mask=mask)) == 7
    many = choose_alike([*sure, alike, large], mask, least=LEAST)
    assert many is not None
    assert len(many) == 8


def test_few_objects_or_objects_of_many_sizes_are_not_many_of_a_kind():
    few = [proposal(block(2, 8 * i, 8, 8 * i + 6), 0.5) for i in range(3)]
    sizes = [proposal(block(8 * i, 2, 8 * i + 6, 2 + 2 * (1 + i) ** 2 // 2), 0.5) for i in range(1, 7)]
    for found in (few, sizes):
        assert len(choose(found, found[0].cells, least=4)) == len(found)
        assert choose_alike(found, found[0].cells, least=4) is None


def test_nothing_proposed_is_nothing_found():
    assert chosen(mask=block(0, 0, 10, 10)) == []
