"""A small objective: one or two targets, the embedded SAM's decoder, and a disk as truth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prosam.embedded import SAM_WEIGHTS
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import load_sam
from prosam.studies.objective import Objective

DIM, TARGETS = 64, 2


def random_prompts(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal prompts (..., DIM) in double precision."""
    return torch.randn((*shape, DIM), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def objective(monkeypatch: pytest.MonkeyPatch) -> Objective:
    """Two targets in double precision, at the decoder's own resolution; a few pixels do not count."""
    sam = load_sam("tiny", SAM_WEIGHTS, image_encoder=False)
    positions = sam.prompt_encoder.get_dense_pe().double()  # segment-anything makes them in single precision
    monkeypatch.setattr(sam.prompt_encoder, "get_dense_pe", lambda: positions)
    decoder = MaskTokenDecoder(sam.double())
    embedding = random_prompts(TARGETS, 16, 16, seed=1).permute(0, 3, 1, 2) / 4
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disks = [((rows - 30) ** 2 + (columns - x) ** 2 < 150).double() for x in (20, 40)]
    valid = torch.ones(TARGETS, 1, 64, 64, dtype=torch.float64)
    valid[:, :, 25:35, :10] = 0
    return Objective(lambda prompts: decoder(embedding, prompts), torch.stack(disks)[:, None], valid)


@pytest.fixture
def first_target(objective: Objective) -> Objective:
    """The first of the two alone."""

    def decode(prompts: Tensor) -> Tensor:
        return objective.decode(prompts.expand(TARGETS, -1, -1, -1))[:1]

    return Objective(decode, objective.truth[:1], objective.valid[:1])
