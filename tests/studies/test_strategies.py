"""Merging the masks of sampled prompts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from prosam.features.pairs import AnnotatedReference
from prosam.params.studies import StrategiesParams
from prosam.studies.strategies import rows as strategies
from prosam.studies.study import Subject
from tests.studies.conftest import assert_batch_does_not_matter, counts, evaluated

FOUR = StrategiesParams(samples=4)


def by_strategy(subject: Subject) -> dict[str, list[list[int]]]:
    rows = list(strategies.rows(subject, FOUR))
    return {name: [counts(row) for row in rows if row["strategy"] == name] for name in strategies.STRATEGIES}


def test_the_mean_prompt_alone_is_the_evaluation(subject: Subject):
    assert by_strategy(subject)["mean-prompt"] == evaluated(subject)


def test_where_prompts_are_certain_all_strategies_are_the_mean_prompt(vrp_sam: Subject):
    expected = evaluated(vrp_sam)
    for name, found in by_strategy(vrp_sam).items():
        assert np.abs(np.array(found) - expected).max() <= 1, name  # K equal numbers have a rounded mean
    assert all(row["disagreement"] == pytest.approx(0, abs=1e-6) for row in strategies.rows(vrp_sam, FOUR))


def test_sampled_prompts_differ(subject: Subject):
    found = by_strategy(subject)
    assert all(found[a] != found[b] for a, b in itertools.combinations(found, 2))
    assert all(float(row["disagreement"]) > 0.01 for row in strategies.rows(subject, FOUR))


def test_strategies_by_hand(subject: Subject):
    """Logits at the decoder's size, masks at the target's, pixel by pixel."""
    rng = np.random.default_rng(0)
    clean = torch.from_numpy(rng.normal(size=(64, 64))).float()
    sampled = torch.from_numpy(rng.normal(size=(4, 64, 64))).float()
    height, width = subject.dataset.mask(subject.episodes[0].target, subject.episodes[0].class_id).shape

    def at_own_size(logits: torch.Tensor) -> np.ndarray:
        full = torch.nn.functional.interpolate(logits[None, None], (height, width), mode="bilinear")
        return full[0, 0].numpy() > 0

    masks = np.stack([at_own_size(one) for one in sampled])
    merged = strategies.merge(subject, 0, clean, sampled, masks)
    found = dict(zip(strategies.STRATEGIES, merged, strict=True))
    highest = torch.from_numpy(np.maximum.reduce(list(sampled.numpy())))
    average = (sampled[0] + sampled[1] + sampled[2] + sampled[3]) / 4
    assert np.array_equal(found["mean-prompt"], at_own_size(clean))
    assert np.array_equal(found["max-logits"], at_own_size(highest))
    assert (found["mean-logits"] != at_own_size(average)).mean() < 1e-3
    votes = masks[0].astype(int) + masks[1] + masks[2] + masks[3]
    assert np.array_equal(found["max-binary"], votes >= 1)
    assert np.array_equal(found["mean-binary"], votes >= 2)
    assert np.array_equal(found["majority-vote"], votes >= 3)
    assert (votes == 2).any()


def test_an_episodes_samples_are_its_own(subject: Subject):
    """Drawn again from the episode's own distribution alone, they give the same largest logit's mask."""
    episode = subject.episodes[5]
    references = subject.tensors.references([AnnotatedReference(episode.reference, episode.class_id)])
    targets = subject.tensors.targets([episode.target])
    with torch.no_grad():
        prompts = subject.method.prompts(subject.method.learn(references), targets)
        assert torch.equal(prompts.of_image(0).mean, prompts.mean)
    assert_batch_does_not_matter(subject, lambda s: list(strategies.rows(s, FOUR)))
