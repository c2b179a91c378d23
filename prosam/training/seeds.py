"""Generators that depend on (seed, step) alone, so that a resumed training draws what an undisturbed one draws."""

from __future__ import annotations

import numpy as np
import torch


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The generator of a training step's dropout and prompt samples."""
    entropy = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(entropy) >> 1)
