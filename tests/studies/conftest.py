"""A run with random weights and what it is tested on; and small objectives: the bundled decoder, disks as truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prosam import layout
from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.sam import load_sam
from prosam.data.episodes import read_episodes
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.features.episode_tensors import EpisodeTensors
from prosam.methods.prompting import build_prompt_method
from prosam.models.mask_token import MaskTokenDecoder
from prosam.params import RunParams
from prosam.studies.objective import Objective
from prosam.studies.study import StudyRow, Subject
from tasks.inputs import RunInputs
from tests.conftest import DATASET

DIM, TARGETS = 64, 2
COUNTS = ("intersection", "union", "background_intersection", "background_union", "false_positives")


def a_run(**changes: object) -> RunParams:
    return RunParams.model_validate({"method": "prosam", "kind": "mask", "backbone": "tiny-resnet"} | changes)


@pytest.fixture
def subject(inputs: RunInputs, tensors: EpisodeTensors, prepared_workspace: Path) -> Subject:
    """ProSAM on the six frozen episodes: a batch of four and a rest."""
    episodes = read_episodes(prepared_workspace / layout.folds(DATASET) / "episodes-0.csv")
    method = build_prompt_method(a_run(), inputs.models, seed=0)
    return Subject(method, tensors, inputs.masks("val"), episodes, batch=4, seed=0)


@pytest.fixture
def vrp_sam(subject: Subject, inputs: RunInputs) -> Subject:
    """The same with VRP-SAM, whose prompts are certain."""
    return replace(subject, method=build_prompt_method(a_run(method="vrp-sam"), inputs.models, seed=0))


def counts(row: StudyRow) -> list[int]:
    return [int(row[count]) for count in COUNTS]


def evaluated(subject: Subject) -> list[list[int]]:
    """The counts of a usual evaluation, episode by episode."""
    found = evaluate_episodes({"run": subject.method}, subject.tensors, subject.episodes, subject.batch)
    return [[getattr(outcomes["run"].overlap, count) for count in COUNTS] for _, outcomes in found]


def assert_batch_does_not_matter(subject: Subject, rows: Callable[[Subject], list[StudyRow]]) -> None:
    """One episode at a time, and all at once: the same rows, but for a pixel on the threshold."""
    alone, together = rows(replace(subject, batch=1)), rows(replace(subject, batch=50))
    assert len(alone) == len(together) > 0
    for one, other in zip(alone, together, strict=True):
        assert one.keys() == other.keys()
        for column, value in one.items():
            if column in COUNTS:
                assert abs(int(value) - int(other[column])) <= 2, column
            elif isinstance(value, float):
                assert value == pytest.approx(other[column], abs=2e-2), column
            else:
                assert value == other[column], column


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
