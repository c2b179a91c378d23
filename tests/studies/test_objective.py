"""Losses and scores of single prompt sets, against the training loss and the evaluation's overlap, one at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from prosam.evaluation.overlap import overlap
from prosam.studies.objective import Objective
from prosam.training.losses import segmentation_loss
from tests.studies.conftest import TARGETS, random_prompts

K = 3


def test_each_prompt_sets_loss_is_the_training_loss_of_it_alone(objective: Objective):
    prompts = random_prompts(TARGETS, K, 2)
    found, logits = objective.losses(prompts), objective.decode(prompts)
    assert found.shape == (TARGETS, K)
    for b, k in np.ndindex(TARGETS, K):
        expected = segmentation_loss(
            logits[b : b + 1, k : k + 1], objective.truth[b : b + 1], objective.valid[b : b + 1]
        )
        assert found[b, k].item() == pytest.approx(expected.item(), rel=1e-12)


def test_each_prompt_sets_scores_are_the_evaluations_iou_and_the_cross_entropy_of_pixels_that_count(
    objective: Objective,
):
    logits = torch.randn(TARGETS, K, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    iou, bce = replace(objective, decode=lambda prompts: logits).scores(torch.zeros(0))
    for b, k in np.ndindex(TARGETS, K):
        truth, valid = objective.truth[b, 0] > 0, objective.valid[b, 0] > 0
        expected = overlap((logits[b, k] > 0).numpy(), truth.numpy(), ~valid.numpy())
        assert iou[b, k].item() == pytest.approx(expected.iou, rel=1e-6)
        pixels = F.binary_cross_entropy_with_logits(logits[b, k][valid], truth[valid].double())
        assert bce[b, k].item() == pytest.approx(pixels.item(), rel=1e-12)


def test_two_empty_masks_have_no_iou():
    nothing = torch.zeros(1, 1, 4, 4)
    empty = Objective(lambda prompts: -torch.ones(1, prompts.shape[1], 4, 4), nothing, nothing + 1)
    assert empty.scores(torch.zeros(1, 2, 1, 8))[0].tolist() == [[0, 0]]
