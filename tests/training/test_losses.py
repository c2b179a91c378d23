"""The training loss, against docs/method.md's formula in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from prosam.training.losses import segmentation_loss

B, K, SIDE = 3, 4, 9


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Logits (B, K, S, S), truth and valid (B, 1, S, S); the second truth is empty."""
    noise = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(B, K, SIDE, SIDE, generator=noise, dtype=torch.float64)
    truth = (torch.rand(B, 1, SIDE, SIDE, generator=noise) < 0.4).double()
    truth[1] = 0
    valid = (torch.rand(B, 1, SIDE, SIDE, generator=noise) < 0.8).double()
    return logits, truth, valid


def one_mask(logits: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> tuple[float, float, float]:
    """Summed cross-entropy, its number of pixels, and Dice, pixel by pixel."""
    entropy = pixels = overlap = total = 0.0
    for z, t, v in zip(logits.ravel(), truth.ravel(), valid.ravel(), strict=True):
        if not v:
            continue
        p = 1 / (1 + np.exp(-z))
        entropy -= t * np.log(p) + (1 - t) * np.log(1 - p)
        pixels += 1
        overlap += p * t
        total += p + t
    return entropy, pixels, 1 - (2 * overlap + 1) / (total + 1)


@pytest.mark.parametrize("with_valid", [False, True])
def test_the_loss_is_cross_entropy_plus_dice(with_valid: bool):
    logits, truth, valid = inputs()
    given = valid if with_valid else torch.ones_like(valid)
    masks = [one_mask(logits[b, k].numpy(), truth[b, 0].numpy(), given[b, 0].numpy()) for b, k in np.ndindex(B, K)]
    entropy, pixels, dice = (np.array(column) for column in zip(*masks, strict=True))
    expected = entropy.sum() / pixels.sum() + dice.mean()
    found = segmentation_loss(logits, truth, valid if with_valid else None)
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("with_valid", [False, True])
def test_every_sample_weighs_the_same(with_valid: bool):
    logits, truth, valid = inputs()
    given = valid if with_valid else None
    each = [segmentation_loss(logits[:, k : k + 1], truth, given) for k in range(K)]
    assert segmentation_loss(logits, truth, given).item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-12)


def test_void_pixels_have_no_influence_and_no_gradient():
    logits, truth, valid = inputs()
    logits.requires_grad_()
    loss = segmentation_loss(logits, truth, valid)
    (gradient,) = torch.autograd.grad(loss, logits)
    void = (valid == 0).expand_as(logits)
    assert not gradient[void].any()
    assert gradient[~void].all()
    other = torch.where(void, torch.randn_like(logits), logits), torch.where(valid == 0, 1 - truth, truth)
    assert segmentation_loss(*other, valid).item() == pytest.approx(loss.item(), rel=1e-12)


def test_a_perfect_mask_costs_nothing_and_extreme_logits_are_finite():
    _, truth, valid = inputs()
    perfect = (truth * 2 - 1).expand(-1, K, -1, -1) * 1e4
    assert segmentation_loss(perfect, truth).item() == pytest.approx(0, abs=1e-9)
    assert segmentation_loss(-perfect, truth).isfinite()
    assert segmentation_loss(perfect, truth, torch.zeros_like(valid)).isfinite()  # a target that is void altogether
