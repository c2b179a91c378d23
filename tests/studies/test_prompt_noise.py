"""Noise on the mean prompt."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from prosam.features.pairs import AnnotatedReference
from prosam.models.mask_token import MaskTokenDecoder
from prosam.params.studies import PromptNoiseParams
from prosam.studies.prompt_noise import rows as prompt_noise
from prosam.studies.study import Subject
from tests.studies.conftest import assert_batch_does_not_matter, counts, evaluated

FEW = PromptNoiseParams(relative=(0.0, 0.5), absolute=(1.0,), draws=2)


class Overheard:
    """SAM's decoder, which remembers the prompts that it was given."""

    def __init__(self, decoder: MaskTokenDecoder):
        self.decoder = decoder
        self.prompts: list[Tensor] = []

    def __call__(self, embedding: Tensor, prompts: Tensor) -> Tensor:
        self.prompts.append(prompts)
        return self.decoder(embedding, prompts)


def overhear(subject: Subject, settings: PromptNoiseParams, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The noisy prompts of all episodes at once, (B, K, N, d), minus the clean ones."""
    whole = replace(subject, batch=len(subject.episodes))
    heard = Overheard(whole.method.models.decoder)
    with monkeypatch.context() as patch:
        patch.setitem(vars(whole.method.models), "decoder", heard)
        list(prompt_noise.rows(whole, settings))
    clean, *noisy = heard.prompts
    return torch.cat(noisy) - clean


def test_no_noise_is_the_evaluation(subject: Subject):
    rows = list(prompt_noise.rows(subject, FEW))
    clean = [row for row in rows if row["size"] == 0]
    assert [counts(row) for row in clean] == evaluated(subject)
    assert [row["episode"] for row in clean] == list(range(6))
    assert len(rows) == 6 * (1 + 2 + 2)


def test_relative_noise_is_as_large_as_the_prompt_and_absolute_noise_as_it_says(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
):
    settings = PromptNoiseParams(relative=(1.0, 0.5), absolute=(2.0,), draws=2)
    noise = overhear(subject, settings, monkeypatch)
    assert noise.shape == (6, 6, 50, 64)
    size = noise.square().mean((2, 3)).sqrt()
    references = subject.tensors.references([AnnotatedReference(e.reference, e.class_id) for e in subject.episodes])
    targets = subject.tensors.targets([e.target for e in subject.episodes])
    with torch.no_grad():
        mean = subject.method.prompts(subject.method.learn(references), targets).mean
    own = mean.square().mean((1, 2)).sqrt()[:, None].expand(6, 2)
    expected = torch.cat([own, own / 2, torch.full((6, 2), 2.0)], 1)
    # 3200 numbers: the RMS of the noise has a relative deviation of 1 / sqrt(2 * 3200) = 1.25 %
    assert torch.allclose(size, expected, rtol=0.06)
    row = next(prompt_noise.rows(subject, settings))
    assert row["prompt_rms"] == pytest.approx(own[0, 0].item(), rel=1e-4)


def test_an_episodes_noise_is_one_direction_whatever_its_size_the_batch_or_the_run(
    subject: Subject, vrp_sam: Subject, monkeypatch: pytest.MonkeyPatch
):
    settings = PromptNoiseParams(relative=(), absolute=(0.5, 1.0), draws=2)
    noise = overhear(subject, settings, monkeypatch)
    assert torch.allclose(2 * noise[:, :2], noise[:, 2:], atol=1e-5)
    assert torch.allclose(noise, overhear(vrp_sam, settings, monkeypatch), atol=1e-5)
    flat = noise[:, 2:].reshape(12, -1)
    cosines = torch.nn.functional.cosine_similarity(flat[:, None], flat[None], -1) - torch.eye(12)
    assert cosines.abs().max() < 0.1  # other draws, other episodes: independent
    another = overhear(replace(subject, seed=1), settings, monkeypatch)
    assert not torch.allclose(noise, another, atol=0.1)


def test_the_batch_does_not_matter(subject: Subject):
    assert_batch_does_not_matter(subject, lambda s: list(prompt_noise.rows(s, FEW)))
