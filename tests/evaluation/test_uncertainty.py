"""Disagreement of several masks, against a loop over pairs."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from prosam.evaluation.uncertainty import pairwise_disagreement


def some_masks(seed: int = 0) -> Tensor:
    return torch.rand(5, 7, 9, generator=torch.Generator().manual_seed(seed)) < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_disagreement_is_what_the_iou_of_two_masks_lacks_on_average(seed: int):
    masks = some_masks(seed)
    pairs = [1 - (a & b).sum().item() / (a | b).sum().item() for a, b in itertools.combinations(masks, 2)]
    assert pairwise_disagreement(masks).item() == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)


def test_alike_masks_agree_and_so_do_empty_ones():
    same = some_masks()[:1].expand(4, -1, -1)
    for masks in (same, torch.zeros(4, 7, 9, dtype=torch.bool)):
        assert pairwise_disagreement(masks).item() == pytest.approx(0, abs=1e-6)


def test_disjoint_halves_disagree_wholly():
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2], masks[1, 2:] = True, True
    assert pairwise_disagreement(masks).item() == 1


def test_targets_of_a_batch_have_nothing_to_do_with_one_another():
    masks = torch.stack([some_masks(seed) for seed in range(3)])
    together = pairwise_disagreement(masks)
    assert together.shape == (3,)
    assert torch.allclose(together, torch.stack([pairwise_disagreement(one) for one in masks]))


def test_one_mask_has_nobody_to_disagree_with():
    with pytest.raises(ValueError, match="two masks or more, not 1"):
        pairwise_disagreement(some_masks()[:1])
