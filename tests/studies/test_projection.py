"""t-SNE of prompts."""

from __future__ import annotations

import numpy as np
import torch

from prosam.studies.verification.projection import project


def two_groups() -> torch.Tensor:
    """(60, 2, 8): thirty prompts about 0 and thirty about 20."""
    prompts = torch.randn(60, 2, 8, generator=torch.Generator().manual_seed(0))
    prompts[30:] += 20
    return prompts


def test_prompts_of_one_group_lie_together():
    points = project(two_groups(), perplexity=10, seed=0)
    assert points.shape == (60, 2)
    nearest = [int(np.argsort(((points - point) ** 2).sum(1))[1]) for point in points]
    assert [neighbour < 30 for neighbour in nearest] == [True] * 30 + [False] * 30


def test_a_seed_always_gives_the_same_bytes():
    one, again = (project(two_groups(), perplexity=10, seed=1) for _ in range(2))
    assert one.tobytes() == again.tobytes()


def test_the_perplexity_is_lowered_to_what_few_prompts_allow():
    assert np.isfinite(project(two_groups()[:4], perplexity=30, seed=0)).all()
