"""How far several sampled masks of one target differ from one another."""

from __future__ import annotations

import torch
from torch import Tensor


def pairwise_disagreement(masks: Tensor) -> Tensor:
    """One minus the IoU of two masks, averaged over all pairs of K masks; two empty masks agree.

    This is not `Uncertainty.disagreement` of the predictor, which compares each mask with the mean prompt's mask.

    Args:
        masks: (..., K, H, W) bool, K at least 2.

    Returns:
        (...) float32 in [0, 1].
    """
    k = masks.shape[-3]
    if k < 2:
        raise ValueError(f"disagreement needs two masks or more, not {k}")
    pixels = masks.flatten(-2).float()
    intersection = pixels @ pixels.mT
    area = pixels.sum(-1)
    union = area[..., :, None] + area[..., None, :] - intersection
    iou = torch.where(union > 0, intersection / union.clamp_min(1), 1.0)
    pairs = torch.ones(k, k, device=masks.device).triu(1) > 0
    return 1 - iou[..., pairs].mean(-1)
