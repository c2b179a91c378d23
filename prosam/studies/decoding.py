"""Many prompt sets for each target."""

from __future__ import annotations

import torch
from torch import Tensor

from prosam.features.pairs import Targets
from prosam.models.frozen import FrozenModels


def decode_in_parts(models: FrozenModels, targets: Targets, prompts: Tensor, at_once: int) -> Tensor:
    """Decode K prompt sets on each of B targets, few targets at a time.

    The sets of one target share part of the work, and on a CPU few targets stay in the cache: three times as fast as
    a set of each target at a time (20 sets on each of 50 targets, the bundled SAM).

    Args:
        models: with the decoder.
        targets: B.
        prompts: (B, K, N, d).
        at_once: prompt sets decoded at once; bounds the memory.

    Returns:
        (B, K, 4g, 4g) mask logits.
    """
    step = max(1, at_once // prompts.shape[1])
    decoded = []
    for embedding, of_targets in zip(targets.embedding.split(step), prompts.split(step), strict=True):
        decoded.append(torch.cat([models.decoder(embedding, part) for part in of_targets.split(at_once, 1)], 1))
    return torch.cat(decoded)
