"""Evaluation on frozen episodes: tensors, predictions at the target's size, and counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from prosam import layout
from prosam.data.dataset import Dataset
from prosam.data.episodes import Episode, read_episodes
from prosam.data.formats.voc import VocDataset
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.levels import ComputedLevels
from prosam.features.pairs import AnnotatedReference, References, Targets
from prosam.features.resized_images import DecodedImages
from prosam.features.source import FeatureSource
from prosam.methods.method import Method
from prosam.methods.trivial import AllForeground, CopiedAnnotation, ThresholdedPseudoMask
from tasks.inputs import RunInputs
from tests.conftest import DATASET


@pytest.fixture
def episodes(prepared_workspace: Path) -> list[Episode]:
    return read_episodes(prepared_workspace / layout.folds(DATASET) / "episodes-0.csv")


@pytest.fixture
def dataset(prepared_workspace: Path) -> VocDataset:
    return VocDataset(prepared_workspace / layout.raw(DATASET))


def without_table(inputs: RunInputs) -> EpisodeTensors:
    """The tensors of val episodes as a run without a table of features has them."""
    levels = ComputedLevels(inputs.models, DecodedImages(inputs.dataset, inputs.models.image_size))
    source = FeatureSource(inputs.models, levels, inputs.embeddings.read_stored)
    return EpisodeTensors(source, inputs.dataset, inputs.masks("val"))


class Oracle(Method[None]):
    """Answers with the truth, at a quarter of the size, to see that nothing is mixed up on the way."""

    def __init__(self, dataset: Dataset, episodes: list[Episode]):
        self._masks = iter([torch.from_numpy(dataset.mask(e.target, e.class_id)).float() for e in episodes])

    def learn(self, references: References) -> None:
        return None

    def predict(self, concept: None, targets: Targets) -> Tensor:
        count = targets.features.shape[0]
        masks = torch.stack([next(self._masks) for _ in range(count)])
        return F.interpolate(masks[:, None], (64, 64), mode="area")[:, 0] - 0.5


def test_every_method_meets_every_episode_in_order(
    tensors: EpisodeTensors, dataset: VocDataset, episodes: list[Episode]
):
    methods: dict[str, Method] = {
        "oracle": Oracle(dataset, episodes),
        "all": AllForeground(),
        "copied": CopiedAnnotation(128),
    }
    outcomes = list(evaluate_episodes(methods, tensors, episodes, 4))  # six episodes: a whole batch and a rest
    assert [episode for episode, _ in outcomes] == episodes
    for episode, found in outcomes:
        truth, void = dataset.mask(episode.target, episode.class_id), dataset.void(episode.target, episode.class_id)
        assert found["oracle"].overlap.iou > 0.8
        assert found["all"].prediction.all()
        assert found["all"].overlap.intersection == truth.sum()
        assert found["all"].overlap.union == (~void).sum()
        assert found["all"].overlap.background_intersection == 0
        copied = dataset.mask(episode.reference, episode.class_id)
        assert np.array_equal(found["copied"].prediction, copied)
        assert found["copied"].overlap.intersection == (copied & truth & ~void).sum()
        assert found["copied"].overlap.union == ((copied | truth) & ~void).sum()


def test_the_size_of_a_batch_does_not_matter(tensors: EpisodeTensors, dataset: VocDataset, episodes: list[Episode]):
    def counts(batch: int) -> list[tuple[int, int]]:
        methods = {"pseudo": ThresholdedPseudoMask(0.8)}
        found = evaluate_episodes(methods, tensors, episodes, batch)
        return [(o["pseudo"].overlap.intersection, o["pseudo"].overlap.union) for _, o in found]

    one_by_one = counts(1)
    for batch in (2, 6, 50):
        assert np.abs(np.array(counts(batch)) - one_by_one).max() <= 2  # a pixel may sit on the threshold


def test_predictions_have_the_targets_own_size(inputs: RunInputs):
    logits = torch.tensor([[[[-1.0, 1.0]]]])
    assert inputs.models.full_size(logits).shape == (1, 1, 128, 128)
    wide = inputs.models.full_size(logits, (3, 8))[0, 0]
    assert wide.shape == (3, 8)
    # pixel centres: positions -1/4, ..., clamped at the outer pixels' centres
    expected = torch.tensor([-1, -1, -0.75, -0.25, 0.25, 0.75, 1, 1])
    assert torch.allclose(wide, expected.expand(3, 8))


def test_the_feature_table_changes_nothing_but_the_time(
    inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode], dataset: VocDataset
):
    untabled = without_table(inputs)
    wanted = [AnnotatedReference(e.reference, e.class_id) for e in episodes]
    for one, other in (
        (tensors.references(wanted), untabled.references(wanted)),
        (tensors.targets([e.target for e in episodes]), untabled.targets([e.target for e in episodes])),
    ):
        for name, value in vars(one).items():
            pairs = zip(value, getattr(other, name), strict=True)
            assert all(torch.allclose(a.float(), b.float(), atol=1e-4) for a, b in pairs), name


@pytest.mark.parametrize("tabled", [True, False])
def test_what_another_thread_read_becomes_the_same_tensors(
    inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode], dataset: VocDataset, tabled: bool
):
    if not tabled:
        tensors = without_table(inputs)
    wanted, images = [AnnotatedReference(e.reference, e.class_id) for e in episodes], [e.target for e in episodes]
    with ThreadPoolExecutor(1) as other:
        read = other.submit(tensors.read, wanted, images, valid=True).result()
    references, targets, truth, valid = tensors.pairs(read)
    for found, expected in ((references, tensors.references(wanted)), (targets, tensors.targets(images))):
        for name, value in vars(expected).items():
            of_pairs = zip(getattr(found, name), value, strict=True)
            assert all(torch.allclose(a.float(), b.float(), atol=1e-5) for a, b in of_pairs), name
    both = tensors.truth(images, [e.class_id for e in episodes])
    assert torch.equal(truth, both[0])
    assert valid is not None
    assert torch.equal(valid, both[1])
    assert tensors.pairs(tensors.read(wanted, images, valid=False))[3] is None


def test_a_pairs_truth_is_its_mask_and_what_is_not_void(
    tensors: EpisodeTensors, dataset: VocDataset, episodes: list[Episode]
):
    masks, valid = tensors.truth([e.target for e in episodes], [e.class_id for e in episodes])
    assert masks.shape == valid.shape == (6, 1, 128, 128)
    for row, episode in enumerate(episodes):
        assert np.array_equal(masks[row, 0].numpy(), dataset.mask(episode.target, episode.class_id))
        assert np.array_equal(valid[row, 0].numpy(), ~dataset.void(episode.target, episode.class_id))
