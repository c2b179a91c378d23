"""Predictions from corrupted images."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from prosam.data.corruptions import corrupted
from prosam.features.pairs import AnnotatedReference
from prosam.methods.prompting import build_prompt_method
from prosam.params import load_params
from prosam.params.studies import CorruptionParams
from prosam.studies.corruption import rows as corruption
from prosam.studies.study import Subject
from tasks.inputs import RunInputs
from tests.conftest import DATASET
from tests.studies.conftest import a_run, assert_batch_does_not_matter, counts, evaluated

FEW = CorruptionParams(names=("blur", "jpeg"), severities=(5,), sides=("target", "both"), episodes=5)


@pytest.fixture(scope="module")
def encoding_inputs(prepared_workspace: Path) -> RunInputs:
    """As `inputs`, with SAM's image encoder."""
    with contextlib.chdir(prepared_workspace):
        return RunInputs(load_params(), DATASET, "prosam", image_encoder=True)


@pytest.fixture
def encoding(subject: Subject, encoding_inputs: RunInputs) -> Subject:
    """The subject with models that can embed new images."""
    tensors = encoding_inputs.tensors(encoding_inputs.masks("val"))
    method = build_prompt_method(a_run(), encoding_inputs.models, seed=0)
    return replace(subject, method=method, tensors=tensors)


def unchanged(_: str, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def test_images_that_are_not_changed_have_the_features_and_embeddings_that_are_stored(encoding: Subject):
    tensors, altered = encoding.tensors, encoding.tensors.altered(unchanged)
    wanted = [AnnotatedReference(e.reference, e.class_id) for e in encoding.episodes]
    images = [e.target for e in encoding.episodes]
    for one, other in (
        (tensors.references(wanted), altered.references(wanted)),
        (tensors.targets(images), altered.targets(images)),
    ):
        for name, value in vars(one).items():
            pairs = zip(value, getattr(other, name), strict=True)
            assert all(torch.allclose(a.float(), b.float(), atol=2e-3, rtol=2e-3) for a, b in pairs), name


def test_changed_images_are_what_the_models_see(encoding: Subject):
    """Every image turned into one and the same has one and the same features."""
    image = encoding.dataset.image(encoding.episodes[0].target)
    targets = encoding.tensors.altered(lambda *_: image).targets([e.target for e in encoding.episodes])
    truly = encoding.tensors.targets([encoding.episodes[0].target])
    for name, value in vars(targets).items():
        assert torch.allclose(value, getattr(truly, name).expand_as(value), atol=2e-3, rtol=2e-3), name


def test_images_as_they_are_give_the_evaluation_of_the_first_episodes(encoding: Subject):
    rows = list(corruption.rows(encoding, FEW))
    for side in ("target", "both"):
        clean = [row for row in rows if row["corruption"] == "none" and row["side"] == side]
        assert [counts(row) for row in clean] == evaluated(replace(encoding, episodes=encoding.episodes[:5]))
    assert len(rows) == 5 * 2 * (1 + 2)


def test_only_the_side_that_is_named_is_corrupted(encoding: Subject):
    """Reference and target, each by hand: the prediction from its own altered tensors."""
    settings = CorruptionParams(names=("blur",), severities=(5,), sides=("target", "reference", "both"), episodes=1)
    found = {row["side"]: counts(row) for row in corruption.rows(encoding, settings) if row["severity"]}
    episode = encoding.episodes[0]
    bad = encoding.tensors.altered(lambda i, image: corrupted(image, "blur", 5, seed=0, image_id=i))
    wanted = [AnnotatedReference(episode.reference, episode.class_id)]
    truth = encoding.dataset.mask(episode.target, episode.class_id)
    void = encoding.dataset.void(episode.target, episode.class_id)
    for side, references, targets in (
        ("target", encoding.tensors, bad),
        ("reference", bad, encoding.tensors),
        ("both", bad, bad),
    ):
        with torch.no_grad():
            concept = encoding.method.learn(references.references(wanted))
            logits = encoding.method.predict(concept, targets.targets([episode.target]))
        full = torch.nn.functional.interpolate(logits[None], truth.shape, mode="bilinear", align_corners=False)
        claimed = full[0, 0].numpy() > 0
        assert found[side][0] == (claimed & truth & ~void).sum()
        assert found[side][1] == ((claimed | truth) & ~void).sum()


def test_the_batch_does_not_matter(encoding: Subject):
    assert_batch_does_not_matter(encoding, lambda s: list(corruption.rows(s, FEW)))


def test_models_without_the_image_encoder_say_so(subject: Subject):
    with pytest.raises(ValueError, match="without SAM's image encoder"):
        list(corruption.rows(subject, FEW))
