"""Tokens without what only tells their place in the image (INSID3).

Shape letters: B images, C channels, h side of their grid, n tokens, q directions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.distributed.copies import cpu_unless_cuda

_LEAST_SIZE = 1e-5  # of a singular value, of tokens of length 1 in single precision


class PositionalDebiasing:
    """Projects tokens onto the complement of the directions in which an all-black image's tokens differ."""

    def __init__(self, black: Tensor, share: float):
        """Find the directions.

        Args:
            black: (C, h, h), the tokens of an image whose pixels are all 0 before normalisation.
            share: of the C channels, how many directions are removed; fewer if the tokens differ in fewer.
        """
        tokens = F.normalize(black.flatten(1).to(cpu_unless_cuda(black.device)).double(), dim=0)
        left, sizes, _ = torch.linalg.svd(tokens - tokens.mean(1, keepdim=True), full_matrices=False)
        told = int((sizes > _LEAST_SIZE).sum())  # further directions would be arbitrary
        self._directions = left[:, : min(round(share * len(black)), told)].float()  # (C, q)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Tokens (n, C) of length 1, before and after."""
        directions = self._directions.to(tokens.device)
        return F.normalize(tokens - (tokens @ directions) @ directions.T, dim=1)

    def of_features(self, features: Tensor) -> Tensor:
        """Features (C, n) of any length, or maps (B, C, h, h): the same shape, of length 1, debiased."""
        channels = 0 if features.ndim == 2 else 1
        last = F.normalize(features, dim=channels).movedim(channels, -1)
        return self(last.flatten(0, -2)).unflatten(0, last.shape[:-1]).movedim(-1, channels)
