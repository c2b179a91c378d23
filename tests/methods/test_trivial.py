"""The baselines that train nothing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.features.pairs import References, Targets
from prosam.methods.trivial import AllForeground, CopiedAnnotation, ThresholdedPseudoMask

SIDE = 4


def references(drawn: list[Tensor], foreground: list[Tensor]) -> References:
    count = len(drawn)
    return References(torch.zeros(count, 6, SIDE, SIDE), torch.zeros(count, 1, SIDE, SIDE), foreground, drawn)


def targets(level4: Tensor) -> Targets:
    count = level4.shape[0]
    return Targets(torch.zeros(count, 6, SIDE, SIDE), level4, torch.zeros(count, 8, 2, 2))


def test_all_foreground_says_yes_everywhere():
    method = AllForeground()
    given = references([torch.zeros(5, 5).bool()] * 3, [torch.zeros(2, 0)] * 3)
    found = method.predict(method.learn(given), targets(torch.zeros(3, 2, SIDE, SIDE)))
    assert found.shape[0] == 3
    assert (F.interpolate(found[:, None], (7, 9), mode="bilinear") > 0).all()


def test_the_copied_annotation_is_the_references_squashed_to_the_square():
    drawn = torch.zeros(8, 16, dtype=torch.bool)
    drawn[2:6, 4:12] = True  # a quarter from each side
    wide = torch.zeros(16, 16, dtype=torch.bool)
    wide[:, 15] = True
    method = CopiedAnnotation(16)
    found = method.predict(
        method.learn(references([drawn, wide], [torch.zeros(2, 0)] * 2)), targets(torch.zeros(2, 2, SIDE, SIDE))
    )
    expected = torch.zeros(2, 16, 16, dtype=torch.bool)
    expected[0, 4:12, 4:12] = True
    expected[1, :, 15] = True
    assert torch.equal(found > 0, expected)
    assert found.unique().tolist() == [-1, 1]


def test_the_thresholded_pseudo_mask_keeps_what_looks_most_like_the_reference():
    reference = torch.tensor([[1.0], [0.0]])  # one annotated cell, along the first channel
    angles = torch.linspace(0, torch.pi / 2, SIDE * SIDE).view(1, SIDE, SIDE)
    level4 = torch.cat([angles.cos(), angles.sin()])[None]  # similarities: the cosines, from 1 to 0
    method = ThresholdedPseudoMask(0.8)
    found = method.predict(method.learn(references([torch.zeros(5, 5).bool()], [reference])), targets(level4))
    assert torch.equal(found > 0, angles.cos() > 0.8)
