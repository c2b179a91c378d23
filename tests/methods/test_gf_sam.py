"""GF-SAM against its description (tests/methods/gf_sam_formulas.py): same points, same masks, same scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prosam.features.seen import SeenImage, Shot
from prosam.methods import gf_sam as ours
from prosam.methods.gf_sam import GfSam
from prosam.methods.parts.prior_maps import PriorMaps, reweighted_tokens
from prosam.methods.training_free import Found
from prosam.params.rivals import GfSamSettings
from tests.methods.gf_sam_formulas import Derived, gf_sam
from tests.methods.small_sam import embed_noise, small_sam
from tests.methods.token_scenes import HEIGHT, WIDTH, TokenScene, token_scene

GRID = 9  # 128 px are no multiple of it: a cell's corner lies between pixels
SCENES = [(0, 1), (0, 3), (1, 1), (2, 1), (2, 3), (4, 1), (4, 3), (5, 3), (9, 1)]  # seed and references


def seen(tokens: Tensor, seed: int = 0) -> SeenImage:
    return SeenImage((HEIGHT, WIDTH), embed_noise(small_sam(), seed), tokens)


def find(scene: TokenScene, seed: int = 0, settings: GfSamSettings | None = None) -> Found:
    method = GfSam(small_sam(), settings)
    return method.find(method.learn(scene.shots()), seen(scene.target, seed))


@cache
def derived(seed: int, shots: int, without: str = "") -> Derived:
    scene = token_scene(seed, shots=shots)
    embedding = embed_noise(small_sam(), seed)
    return gf_sam(small_sam(), scene.references, scene.target, embedding, without=without)


def assert_same_mask(found: Found, expected: np.ndarray) -> None:
    """Equal but where the logits are 0 to rounding."""
    assert found.logits.shape == expected.shape
    differ = (found.logits > 0).numpy() != expected
    assert (found.logits.abs().numpy()[differ] < 1e-3).all()  # of 5 and more elsewhere
    assert differ.mean() < 1e-3


class Recorder:
    """What a function of the method came to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str):
        self.said: Any = None
        self._original: Callable[..., Any] = getattr(ours, name)
        monkeypatch.setattr(ours, name, self)

    def __call__(self, *given: Any) -> Any:
        self.said = self._original(*given)
        return self.said


@pytest.mark.parametrize(("seed", "shots"), SCENES)
def test_points_clusters_tests_scores_and_mask_are_the_descriptions(
    seed: int, shots: int, monkeypatch: pytest.MonkeyPatch
):
    expected, scene = derived(seed, shots), token_scene(seed, shots=shots)
    clusters, gating, consistency, points = (
        Recorder(monkeypatch, name) for name in ("mask_clusters", "positive_gating", "self_consistency", "embed_points")
    )
    given: list[Tensor] = []
    original = points._original
    points._original = lambda sam, places, labels: (given.append(places), original(sam, places, labels))[1]
    found = find(scene, seed)
    assert [tuple(place) for place in given[0][:, 0].long().tolist()] == expected.places
    assert clusters.said.tolist() == expected.clusters
    assert gating.said[0].tolist() == expected.gated
    np.testing.assert_allclose(gating.said[1], expected.scores, atol=1e-4)
    assert consistency.said.tolist() == expected.consistent
    assert_same_mask(found, expected.mask)
    assert found.score == pytest.approx(expected.largest_in_mask, abs=1e-4)
    assert found.presence == pytest.approx(expected.mean_in_mask, abs=1e-4)


def test_the_scenes_are_not_trivial():
    of_all = [derived(*scene) for scene in SCENES]
    assert min(len(one.cells) for one in of_all) >= 10
    assert sum(max(one.clusters) > 2 for one in of_all) >= 5
    assert any(one.fallback for one in of_all)
    assert any(one.dropped_whole for one in of_all)
    assert sum(0.01 < one.mask.mean() < 0.9 for one in of_all) >= 5
    assert any(0 < sum(one.gated) < len(one.gated) and not all(one.consistent) for one in of_all)


@pytest.mark.parametrize("peculiarity", ["channels", "corners", "weak", "last", "distance", "whole"])
def test_each_peculiarity_of_the_published_code_matters_in_some_scene(peculiarity: str):
    assert any(
        (derived(*scene).mask != (without := derived(*scene, without=peculiarity)).mask).any()
        or derived(*scene).consistent != without.consistent
        for scene in SCENES
    )


def test_at_most_so_many_points():
    scene = token_scene(2)
    embedding = embed_noise(small_sam(), 2)
    expected = gf_sam(small_sam(), scene.references, scene.target, embedding, most=5)
    assert len(expected.cells) == 5
    found = find(scene, 2, GfSamSettings(most_points=5, points_at_once=2))
    assert_same_mask(found, expected.mask)


def masked(scene: TokenScene, mask: Tensor) -> TokenScene:
    return replace(scene, references=[(tokens, mask) for tokens, _ in scene.references])


def test_without_any_object_a_square_in_the_middle_of_each_reference_is_taken():
    scene = masked(token_scene(2, shots=2), torch.zeros(HEIGHT, WIDTH).bool())
    expected = gf_sam(small_sam(), scene.references, scene.target, embed_noise(small_sam(), 2))
    assert expected.cells
    assert_same_mask(find(scene, 2), expected.mask)


def test_an_empty_reference_among_others_brings_similarity_0():
    scene = token_scene(2, shots=2)
    (first, mask), (second, _) = scene.references
    scene = replace(scene, references=[(first, mask), (second, torch.zeros_like(mask))])
    expected = gf_sam(small_sam(), scene.references, scene.target, embed_noise(small_sam(), 2))
    assert expected.cells
    assert_same_mask(find(scene, 2), expected.mask)


def test_a_reference_that_is_all_object_has_nothing_that_speaks_against_it():
    scene = masked(token_scene(2), torch.ones(HEIGHT, WIDTH).bool())
    expected = gf_sam(small_sam(), scene.references, scene.target, embed_noise(small_sam(), 2))
    assert expected.cells
    assert_same_mask(find(scene, 2), expected.mask)


@pytest.mark.parametrize("pixel", [(45, 58), (0, 0), (3, 20)])
def test_one_pixel_references_give_the_descriptions_mask(pixel: tuple[int, int]):
    mask = torch.zeros(HEIGHT, WIDTH).bool()
    mask[pixel] = True
    scene = masked(token_scene(2), mask)
    expected = gf_sam(small_sam(), scene.references, scene.target, embed_noise(small_sam(), 2))
    found = find(scene, 2)
    if expected.cells:
        assert_same_mask(found, expected.mask)
    else:
        assert_empty(found)


def assert_empty(found: Found) -> None:
    assert torch.isfinite(found.logits).all()
    assert not (found.logits > 0).any()
    assert found.score == 0


def test_a_target_without_a_candidate_gives_an_empty_mask():
    scene = replace(token_scene(0), target=torch.ones(24, GRID, GRID))  # all tokens are equally like the object
    assert not gf_sam(small_sam(), scene.references, scene.target, embed_noise(small_sam(), 0)).cells
    assert_empty(find(scene))


def test_tokens_of_zeros_give_an_empty_mask():
    assert_empty(find(replace(token_scene(0), target=torch.zeros(24, GRID, GRID))))


def test_one_point_is_asked_where_the_prompt_map_sums_to_less_than_one():
    scene = token_scene(0)
    method = GfSam(small_sam())
    tokens = reweighted_tokens(scene.target)
    maps = PriorMaps.of(method.learn(scene.shots()).shots, tokens)
    peak = torch.zeros(GRID * GRID)
    peak[13] = 0.9
    low = PriorMaps(peak, peak, torch.where(peak > 0, -1.0, 1.0))
    assert method.point_cells(low, GRID).tolist() == [13]
    nothing = PriorMaps(maps.largest * 0, maps.mean, maps.negative)
    assert method.point_cells(nothing, GRID).tolist() == []


def test_the_order_of_references_does_not_matter():
    scene = token_scene(0, shots=3)
    method = GfSam(small_sam())
    shots: list[Shot] = scene.shots()
    one, other = (method.find(method.learn(given), seen(scene.target)) for given in (shots, shots[::-1]))
    assert (one.logits - other.logits).abs().max() < 1e-4
