"""INSID3 against its description (tests/methods/insid3_formulas.py): same candidates, clusters, scores and masks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import SeenImage
from prosam.methods.insid3 import Insid3, unit_tokens
from prosam.methods.training_free import Found
from prosam.params.rivals import Insid3Settings
from tests.methods.insid3_formulas import Derived, insid3
from tests.methods.token_scenes import HEIGHT, WIDTH, TokenScene, token_scene

GRID, PATCH, CHANNELS = 9, 14, 24
SIZE = GRID * PATCH
SCENES = [(0, 1, 0.6), (1, 2, 1.2), (2, 3, 0.6), (3, 1, 0.6), (4, 3, 0.6), (5, 2, 1.2), (6, 3, 1.2), (7, 3, 0.6)]


def black() -> Tensor:
    return torch.randn(CHANNELS, GRID, GRID, generator=torch.Generator().manual_seed(0))


def find(scene: TokenScene, method: Insid3 | None = None) -> Found:
    method = method or Insid3(black(), SIZE)
    return method.find(method.learn(scene.shots()), SeenImage((HEIGHT, WIDTH), None, scene.target))


@cache
def derived(seed: int, shots: int, noise: float, without: str = "") -> Derived:
    scene = token_scene(seed, shots=shots, noise=noise)
    return insid3(black(), SIZE, scene.references, scene.target, without=without)


@pytest.mark.parametrize(("seed", "shots", "noise"), SCENES)
def test_candidates_clusters_scores_and_mask_are_the_descriptions(seed: int, shots: int, noise: float):
    expected, scene = derived(seed, shots, noise), token_scene(seed, shots=shots, noise=noise)
    method = Insid3(black(), SIZE)
    concept = method.learn(scene.shots())
    tokens = unit_tokens(scene.target)
    debiased = method._debiased(tokens)
    candidates = method.candidates(concept, debiased, debiased @ concept.prototype)
    assert candidates.nonzero()[:, 0].tolist() == expected.candidates
    labels = method.clusters(tokens)
    ours = {frozenset((labels == k).nonzero()[:, 0].tolist()) for k in labels.unique()}
    assert ours == {frozenset(members) for members in expected.clusters}
    found = find(scene)
    assert np.array_equal((found.logits > 0).numpy(), expected.cells)
    assert found.score == pytest.approx(expected.similar, abs=1e-5)
    assert found.presence == pytest.approx(max(expected.scores), abs=1e-5)


def test_the_scenes_are_not_trivial():
    of_all = [derived(*scene) for scene in SCENES]
    assert sum(len(one.clusters) > 30 for one in of_all) >= 3
    assert all(0.1 < one.cells.mean() < 0.7 for one in of_all)
    assert any(one.cells.sum() != len(one.candidates) for one in of_all)


@pytest.mark.parametrize("peculiarity", ["debiasing", "half", "backward", "original"])
def test_each_peculiarity_matters_in_some_scene(peculiarity: str):
    assert any((derived(*scene).cells != derived(*scene, without=peculiarity).cells).any() for scene in SCENES)


def test_that_the_seeds_share_counts_1_matters_in_some_scene():
    assert any(
        max(derived(*scene).scores) > max(derived(*scene, without="whole seed").scores) + 0.01 for scene in SCENES
    )


def test_the_logits_resized_are_the_published_mask():
    found = find(token_scene(0))
    resized = F.interpolate(found.logits[None, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[0, 0]
    assert np.array_equal((resized > 0).numpy(), derived(0, 1, 0.6).mask)


def with_masks(scene: TokenScene, *masks: Tensor) -> TokenScene:
    tokens = [of_reference for of_reference, _ in scene.references]
    return replace(scene, references=list(zip(tokens, masks, strict=True)))


@pytest.mark.parametrize("pixel", [(45, 58), (0, 0), (89, 116), (3, 20), (7, 9)])
def test_one_pixel_references_mark_the_nearest_token(pixel: tuple[int, int]):
    mask = torch.zeros(HEIGHT, WIDTH).bool()
    mask[pixel] = True
    scene = with_masks(token_scene(0), mask)
    expected = insid3(black(), SIZE, scene.references, scene.target)
    assert np.array_equal((find(scene).logits > 0).numpy(), expected.cells)
    (cells,) = Insid3(black(), SIZE).learn(scene.shots()).cells
    assert cells.sum() == 1


def test_empty_references_are_left_out():
    scene = token_scene(1, shots=3)
    first, _, last = (mask for _, mask in scene.references)
    with_empty = with_masks(scene, first, torch.zeros_like(first), last)
    without = replace(scene, references=[scene.references[0], scene.references[2]])
    assert torch.equal(find(with_empty).logits, find(without).logits)


def assert_empty(found: Found) -> None:
    assert torch.isfinite(found.logits).all()
    assert not (found.logits > 0).any()
    assert found.score == 0


def test_without_any_object_the_mask_is_empty():
    scene = token_scene(0)
    assert_empty(find(with_masks(scene, torch.zeros(HEIGHT, WIDTH).bool())))


def test_a_target_without_a_candidate_gives_an_empty_mask():
    scene = token_scene(0)
    (tokens, _) = scene.references[0]
    mask = torch.zeros(HEIGHT, WIDTH).bool()
    mask[:10, :13] = True  # the first token, which is nearest to none of the target
    tokens = tokens.clone()
    tokens[:, 0, 0] = -tokens.flatten(1).mean(1)
    scene = TokenScene([(tokens, mask)], scene.target)
    expected = insid3(black(), SIZE, scene.references, scene.target)
    assert not expected.candidates
    assert_empty(find(scene))


def test_where_no_token_is_like_the_object_the_top_tenth_is_compared_further():
    scene = token_scene(3, noise=1.2)
    method = Insid3(black(), SIZE)
    concept = method.learn(scene.shots())
    debiased = method._debiased(unit_tokens(scene.target))
    similar = debiased @ concept.prototype
    unlike = similar - similar.max() - 0.1
    everywhere = replace(concept, cells=[torch.ones(GRID * GRID).bool()])
    found = method.candidates(everywhere, debiased, unlike)
    best = similar.argsort(descending=True)[: int(found.sum())]
    assert int(found.sum()) in (8, 9)  # rounding decides about the token at the nine-tenths quantile of 81
    assert set(found.nonzero()[:, 0].tolist()) == set(best.tolist())


@pytest.mark.parametrize("tokens", [torch.zeros(CHANNELS, GRID, GRID), torch.ones(CHANNELS, GRID, GRID)])
def test_tokens_without_any_difference_give_finite_masks(tokens: Tensor):
    found = find(replace(token_scene(0), target=tokens))
    assert torch.isfinite(found.logits).all()
    assert np.isfinite([found.score, found.presence]).all()


def test_only_directions_in_which_the_black_image_differs_are_removed():
    scene = token_scene(0)
    alike = torch.randn(CHANNELS, 1, 1, generator=torch.Generator().manual_seed(1)).expand(-1, GRID, GRID)
    tokens = unit_tokens(scene.target)
    torch.testing.assert_close(Insid3(alike, SIZE)._debiased(tokens), tokens)
    ramp = alike + torch.arange(GRID).float() * torch.eye(CHANNELS)[0, :, None, None]
    debiased = Insid3(ramp, SIZE)._debiased(tokens)
    assert (debiased.double().svd()[1] > 1e-3).sum() >= CHANNELS - 3  # a ramp, bent by the length of 1


def test_thresholds_are_settings():
    scene = token_scene(0)
    none = Insid3(black(), SIZE, Insid3Settings(least_score=2.0))
    assert_empty(find(scene, none))
    assert (find(scene, Insid3(black(), SIZE, Insid3Settings(least_score=-2.0))).logits > 0).all()
