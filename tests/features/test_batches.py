"""Reading batches of a training, in its thread or in others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prosam import layout
from prosam.data.fold_files import read_fold
from prosam.data.sampling import TrainingEpisode, TrainingSampler
from prosam.errors import InputError
from prosam.features.batches import read_batches
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.read import ReadPairs
from prosam.features.reference_masks import DrawnMasks
from tests.conftest import DATASET


@pytest.fixture
def drawn(prepared_workspace: Path) -> list[list[TrainingEpisode]]:
    images = read_fold(prepared_workspace / layout.folds(DATASET) / "fold-0.json").train
    sampler = TrainingSampler(images, batch_size=2, seed=0, sampling="image", variants=1)
    return [sampler.batch(step) for step in range(6)]


@pytest.fixture
def train_tensors(tensors: EpisodeTensors, drawn: Sequence[Sequence[TrainingEpisode]], monkeypatch: pytest.MonkeyPatch):
    """Of the training's annotations."""
    from prosam.data.annotations import Annotations

    annotations = Annotations(layout.annotations(DATASET, "prosam") / "train.parquet")
    assert isinstance(tensors.masks, DrawnMasks)
    monkeypatch.setattr(tensors, "masks", replace(tensors.masks, annotations=annotations))
    return tensors


def same(one: ReadPairs, other: ReadPairs) -> bool:
    pairs = [
        *zip(one.references, other.references, strict=True),
        *zip(one.targets.levels, other.targets.levels, strict=True),
    ]
    pairs += [(one.targets.embedding, other.targets.embedding), (one.truth, other.truth)]
    pairs += [(a.cells, b.cells) for a, b in zip(one.masks, other.masks, strict=True)]
    return one.wanted == other.wanted and all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_other_threads_read_the_same_batches_in_order(
    train_tensors: EpisodeTensors, drawn: list[list[TrainingEpisode]], workers: int
):
    expected = list(read_batches(train_tensors, drawn, workers=0, valid=False))
    assert [read.wanted[0].image for read in expected] == [batch[0].reference for batch in drawn]
    found = list(read_batches(train_tensors, drawn, workers=workers, valid=False))
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))


def test_they_are_read_ahead_but_no_further_than_there_are_workers(
    train_tensors: EpisodeTensors, drawn: list[list[TrainingEpisode]], monkeypatch: pytest.MonkeyPatch
):
    started: list[str] = []
    read = EpisodeTensors.read
    third = threading.Event()

    def watched(self: EpisodeTensors, references: Sequence, targets: Sequence[str], *, valid: bool) -> ReadPairs:
        started.append(threading.current_thread().name)
        if len(started) == 3:
            third.set()
        return read(self, references, targets, valid=valid)

    monkeypatch.setattr(EpisodeTensors, "read", watched)
    batches = read_batches(train_tensors, drawn, workers=2, valid=False)
    next(batches)
    assert third.wait(30)  # while nobody asks for the second
    assert len(started) == 3
    assert all(name.startswith("reading") for name in started)
    batches.close()
    assert len(started) == 3
    assert not any(thread.name.startswith("reading") for thread in threading.enumerate())


def test_what_cannot_be_read_is_raised_where_it_is_asked_for(
    train_tensors: EpisodeTensors, drawn: list[list[TrainingEpisode]]
):
    drawn[2] = [TrainingEpisode("nowhere", "nowhere", 1, 0)]
    batches = read_batches(train_tensors, drawn, workers=2, valid=False)
    for _ in range(2):
        next(batches)
    with pytest.raises((InputError, KeyError), match="nowhere"):
        next(batches)
