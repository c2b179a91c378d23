"""Matcher against a re-derivation in float64 (`derived_matcher`), with random weights."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam
from segment_anything.utils import amg
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

from prosam.features.seen import SeenImage, Shot
from prosam.methods.matcher import Matcher, MatcherConcept
from prosam.methods.parts import candidate_masks, mask_selection
from prosam.methods.parts.bidirectional_matching import match_both_ways
from prosam.methods.parts.candidate_masks import boxes_around, stability, without_overlaps
from prosam.methods.parts.mask_scores import MaskScores
from prosam.methods.parts.mask_selection import above_least, selected
from prosam.methods.parts.prompt_sampling import centre_grid, cluster_centres, draw_subsets
from prosam.methods.parts.transport import cost_bounds, transport_cost
from prosam.params.rivals import MaskFilter, MatcherSettings, SamplingSettings, SelectionSettings
from tests.methods import derived_matcher
from tests.methods.derived_matcher import DerivedMatcher, Rules
from tests.methods.random_sam import GRID, block_of_cells, random_embedding, random_sam

PATCH, H = 6, 7
SIDE = PATCH * H
SIZE = (90, 70)


def changed(settings: MatcherSettings, **update: object) -> MatcherSettings:
    return settings.model_copy(update=update)


def matcher(sam: Sam, settings: MatcherSettings) -> Matcher:
    return Matcher(sam, settings, patch=PATCH)


COCO = MatcherSettings(grid=6, sampling=SamplingSettings(draws=12))
COCO_RULES = Rules(PATCH, grid=6, draws=12)
# COCO's rules leave one or two masks of a random SAM; these leave many, and join several
LOOSE = changed(COCO, overlap=0.999, selection=SelectionSettings(distance=0.5, excess=0.35))
LOOSE_RULES = replace(COCO_RULES, overlap=0.999, distance=0.5, excess=0.35)
FSS = MatcherSettings.fss()
FSS_RULES = Rules(PATCH, sizes=(4, 6), draws=30, multimask=False, grid=0, filters=False, emd=0.8, purity=0.2,
                  covered=True, least_purity=0, most=10, share=0.7)  # fmt: skip
PARTS = changed(MatcherSettings.parts(), sampling=SamplingSettings(least=3, most=6, draws=12, boxed=True))
PARTS_RULES = Rules(PATCH, sizes=(3, 6), draws=12, multimask=False, grid=0, filters=False, box=True, emd=0.5,
                    purity=0.5, least_purity=0, least_coverage=0.3, most=5, share=0.7)  # fmt: skip


def seen(seed: int, cells: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> SeenImage:
    generator = torch.Generator().manual_seed(seed)
    tokens = random_embedding(generator, block_of_cells(H, *cells), channels=24)
    return SeenImage(size, random_embedding(generator, block_of_cells(GRID, *cells)), tokens)


def shot(seed: int, cells: tuple[int, int, int, int] = (2, 1, 3, 4), size: tuple[int, int] = SIZE) -> Shot:
    return Shot(seen(seed, cells, size), F.interpolate(block_of_cells(H, *cells)[None, None], size)[0, 0].bool())


def derived_concept(derived: DerivedMatcher, shots: list[Shot]) -> tuple:
    return derived.learn([(one.image.tokens, one.mask) for one in shots if one.image.tokens is not None])


def assert_found(method: Matcher, derived: DerivedMatcher, shots: list[Shot], target: SeenImage) -> dict:
    """Compare one image; the trace of the derivation."""
    assert target.tokens is not None
    assert target.embedding is not None
    found = method.find(method.learn(shots), target)
    expected = derived.find(derived_concept(derived, shots), target.tokens, target.embedding)
    assert torch.equal(found.logits > 0, expected["mask"])
    assert expected["mask"].any()
    assert found.score == pytest.approx(expected["score"], abs=1e-5)
    assert found.presence == pytest.approx(expected["presence"], abs=1e-5)
    return derived.rules.trace


TARGET_CELLS = (1, 3, 4, 3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("settings", "rules"), [(COCO, COCO_RULES), (LOOSE, LOOSE_RULES), (PARTS, PARTS_RULES)])
def test_masks_and_scores_are_those_of_the_derivation(seed: int, settings: MatcherSettings, rules: Rules):
    sam = random_sam(seed, quality=0.92, sharper=60, shift=1)
    trace = assert_found(
        matcher(sam, settings), DerivedMatcher(sam, rules), [shot(seed)], seen(seed + 50, TARGET_CELLS, (60, 80))
    )
    assert trace["points"] > 8


@pytest.mark.parametrize("seed", range(2))
def test_fss_uses_centres_of_the_points(seed: int):
    sam = random_sam(seed, sharper=20)
    target = seen(seed + 50, TARGET_CELLS)
    assert target.tokens is not None
    first = DerivedMatcher(sam, replace(FSS_RULES, centres=[[1, 1]]))
    concept = derived_concept(first, [shot(seed)])
    points = first.find(concept, target.tokens, torch.zeros(32, GRID, GRID))["points"]
    centres = KMeans(8, n_init=1, random_state=0).fit(np.array(points)).cluster_centers_.astype(int).tolist()
    trace = assert_found(
        matcher(sam, FSS), DerivedMatcher(sam, replace(FSS_RULES, centres=centres)), [shot(seed)], target
    )
    assert trace["masks"] == 70 + 56 + 28


@pytest.mark.parametrize("cells", [(3, 3, 1, 1), (2, 2, 1, 3), (2, 2, 2, 4), (0, 0, 7, 7)])
def test_any_number_of_points(cells: tuple[int, int, int, int]):
    """One point, three, eight: all their subsets; and more than forty, of which the better half is used."""
    sam = random_sam(1, quality=0.92, sharper=60, shift=1)
    trace = assert_found(
        matcher(sam, LOOSE), DerivedMatcher(sam, LOOSE_RULES), [shot(3, cells, (SIDE, SIDE))], seen(60, cells)
    )
    assert trace["points"] <= (cells[2] * cells[3] if cells[2] < 7 else 24)


@pytest.mark.parametrize("count", [2, 5])
def test_several_references_are_stacked(count: int):
    sam = random_sam(2, quality=0.92, sharper=60, shift=1)
    shots = [shot(seed, (seed % 3, 1, 3, 2 + seed % 2), (50 + 9 * seed, 64)) for seed in range(count)]
    assert_found(matcher(sam, LOOSE), DerivedMatcher(sam, LOOSE_RULES), shots, seen(70, TARGET_CELLS))


def test_draws_go_on_from_image_to_image_as_published_or_begin_anew():
    sam = random_sam(0, quality=0.92, sharper=60, shift=1)
    method, derived = matcher(sam, LOOSE), DerivedMatcher(sam, LOOSE_RULES)
    for seed in (50, 51, 50):
        assert_found(method, derived, [shot(0)], seen(seed, TARGET_CELLS))
    anew = matcher(sam, changed(LOOSE, draws="each"))
    concept, image = anew.learn([shot(0)]), seen(50, TARGET_CELLS)
    assert torch.equal(anew.find(concept, image).logits, anew.find(concept, image).logits)
    assert torch.equal(anew.find(concept, image).logits, matcher(sam, LOOSE).find(concept, image).logits)


def test_how_many_masks_are_held_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    sam = random_sam(1, quality=0.92, sharper=60, shift=1)
    concept, image = matcher(sam, LOOSE).learn([shot(1)]), seen(51, TARGET_CELLS)
    expected = matcher(sam, LOOSE).find(concept, image)
    monkeypatch.setattr(candidate_masks, "_SETS_AT_ONCE", 7)
    monkeypatch.setattr(candidate_masks, "_MASKS_AT_ONCE", 2)
    found = matcher(sam, LOOSE).find(concept, image)
    assert torch.equal(found.logits > 0, expected.logits > 0)


def test_if_no_mask_passes_the_surest_of_the_matched_prompts_stands_in():
    sam = random_sam(0, sharper=20)
    never = changed(COCO, filter=MaskFilter(quality=2, stability=0.9), grid_filter=MaskFilter(quality=2, stability=0.9))
    every = changed(COCO, filter=MaskFilter(quality=-9, stability=0), grid=0, overlap=0.0)
    concept, image = matcher(sam, COCO).learn([shot(0)]), seen(50, TARGET_CELLS)
    found = matcher(sam, never).find(concept, image)
    method = matcher(sam, every)
    groups = method._prompt_sets(np.array([[3, 3], [9, 9]]), SIDE)  # the same sets for both
    masks = candidate_masks.CandidateMasks(sam, image.embedding, SIDE)  # pyright: ignore[reportArgumentType]
    surest = masks.of(groups, overlap=0.0)[0]
    spare = masks.of([replace(group, filter=never.filter) for group in groups], overlap=0.65)
    assert spare.shape[0] == 1
    assert torch.allclose(spare[0], surest, atol=1e-4)
    assert (found.logits > 0).any()
    assert 0 < found.score <= 1


def test_an_empty_mask_has_no_score():
    sam = random_sam(0)
    for mlp in sam.mask_decoder.output_hypernetworks_mlps:
        mlp.layers[-1].weight.zero_()
        mlp.layers[-1].bias.zero_()
    for settings in (COCO, FSS, PARTS):
        method = matcher(sam, settings)
        found = method.find(method.learn([shot(0)]), seen(50, TARGET_CELLS))
        assert not (found.logits > 0).any()
        assert found.score == 0
        assert np.isfinite(found.presence)


@pytest.mark.parametrize("pixels", [[], [(0, 0)], [(51, 37)], [(89, 69)]])
def test_empty_and_one_pixel_references(pixels: list[tuple[int, int]]):
    """A pixel that the nearest resize misses leaves nothing either. A patch in the middle of all images replaces it."""
    mask = torch.zeros(SIZE, dtype=torch.bool)
    for pixel in pixels:
        mask[pixel] = True
    sam = random_sam(0, quality=0.92, sharper=60)
    shots = [replace(shot(0), mask=mask), replace(shot(1), mask=torch.zeros_like(mask))]
    concept = matcher(sam, COCO).learn(shots)
    assert concept.foreground.tolist() == derived_concept(DerivedMatcher(sam, COCO_RULES), shots)[1]
    assert concept.foreground.any()
    assert_found(matcher(sam, COCO), DerivedMatcher(sam, COCO_RULES), shots, seen(50, TARGET_CELLS))


# ------------------------------------------------------------------------------------------------------ parts


def best_assignment(similarity: np.ndarray) -> list[int]:
    """By trying all; at most as many rows as columns."""
    rows, columns = similarity.shape
    return list(max(
        itertools.permutations(range(columns), rows),
        key=lambda chosen: sum(similarity[row, column] for row, column in enumerate(chosen)),
    ))  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_matching_tries_all_assignments(seed: int):
    rng = np.random.default_rng(seed)
    similarity = rng.normal(size=(6, 7))
    foreground = np.array([True, False, True, True, False, False])
    forward = best_assignment(similarity[foreground])
    back = best_assignment(similarity.T[forward])
    returned = foreground[back]
    kept = [column for column, home in zip(forward, returned, strict=True) if home or not returned.any()]
    found = match_both_ways(torch.from_numpy(similarity), torch.from_numpy(foreground))
    assert sorted(found.targets.tolist()) == sorted(kept)
    assert found.returned == pytest.approx(returned.mean())
    assert found.similarity.tolist() == sorted(found.similarity.tolist(), reverse=True)


def test_all_matches_stay_if_none_comes_back_to_the_object():
    similarity = torch.tensor([[0.5, 0.4, 0.1], [0.4, 0.5, 0.1], [0.9, 0.1, 0.2], [0.1, 0.9, 0.2]])
    found = match_both_ways(similarity, torch.tensor([True, True, False, False]))
    assert sorted(found.targets.tolist()) == [0, 1]
    assert found.returned == 0
    assert found.presence() == 0


def test_of_more_than_forty_matches_the_better_half_stays():
    similarity = torch.diag(torch.linspace(1, 2, 45))
    everything = torch.ones(45, dtype=torch.bool)
    assert match_both_ways(similarity, everything).targets.tolist() == list(range(44, 22, -1))
    assert len(match_both_ways(similarity[:40], everything[:40]).targets) == 40


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (4, 4), (3, 7), (12, 5)])
def test_transport_is_that_of_linear_programming(shape: tuple[int, int]):
    costs = np.random.default_rng(0).random(shape)
    assert transport_cost(costs) == pytest.approx(derived_matcher.transport(costs), abs=1e-9)


def test_transport_between_equal_counts_is_an_assignment():
    costs = np.random.default_rng(1).random((6, 6))
    assert transport_cost(costs) == pytest.approx(
        min(np.mean([costs[i, j] for i, j in enumerate(order)]) for order in itertools.permutations(range(6)))
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 4), (3, 7), (12, 5)])
def test_the_bounds_hold_the_cost_of_transport(shape: tuple[int, int]):
    for seed in range(5):
        costs = np.random.default_rng(seed).random(shape)
        low, high = cost_bounds(costs)
        assert low - 1e-12 <= transport_cost(costs) <= high + 1e-12


@pytest.mark.parametrize("seed", range(40))
def test_leaving_out_transports_does_not_change_the_choice(seed: int):
    generator = torch.Generator().manual_seed(seed)
    tokens, others = (torch.randn(n, 6, generator=generator) + 0.8 for n in (9, 36))
    similarity = F.normalize(tokens, dim=1) @ F.normalize(others + (seed % 4) / 4, dim=1).T
    masks = torch.rand(25, 12, 12, generator=generator) > torch.rand(25, 1, 1, generator=generator)
    scores = scores_of(masks, similarity, np.array([[x, y] for x in range(12) for y in range(12)]))
    for shots in (1, 5):
        rules = SelectionSettings(excess=0.02 + (seed % 3) * 0.1, distance=0.2 + (seed % 5) * 0.05)
        quick, score = selected(scores, rules, shots=shots)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mask_selection, "_needed", lambda scores, left, *rest: torch.arange(len(left)))
            slow, expected = selected(scores, rules, shots=shots)
        assert quick.tolist() == slow.tolist()
        assert score == pytest.approx(expected)


@pytest.mark.parametrize("overlap", [0.2, 0.65])
def test_suppression_is_torchvisions(overlap: float):
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 40, (300, 2), generator=generator).float()
    boxes = torch.cat([corners, corners + torch.randint(0, 30, (300, 2), generator=generator)], 1)
    quality = torch.rand(300, generator=generator)
    assert torch.equal(without_overlaps(boxes, quality, overlap), nms(boxes, quality, overlap))


def test_boxes_and_stability_are_segment_anythings():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20, 15, 15, generator=generator) - 6
    logits[0], logits[1] = -9, 9
    assert torch.equal(boxes_around(logits > 0), amg.batched_mask_to_box(logits > 0).float())
    assert torch.allclose(stability(logits), amg.calculate_stability_score(logits, 0, 1), equal_nan=True)


def test_the_grid_is_segment_anythings():
    assert np.allclose(centre_grid(5, 42), amg.build_point_grid(5) * 42)


def test_of_up_to_eight_points_all_subsets_are_drawn():
    points = np.arange(16).reshape(8, 2)
    sets = draw_subsets(points, SamplingSettings(least=2, most=3), random.Random(0))
    assert [len(each) for each in sets] == [28, 56]
    assert {tuple(map(tuple, one)) for one in sets[0].tolist()} == {
        tuple(map(tuple, pair)) for pair in itertools.combinations(points.tolist(), 2)
    }
    assert [each.shape for each in draw_subsets(points[:2], SamplingSettings(least=3, most=6), random.Random(0))] == [
        (1, 2, 2)
    ]


def test_draws_are_pythons_own_in_ascending_sizes():
    points = np.arange(20).reshape(10, 2)
    sets = draw_subsets(points, SamplingSettings(draws=3), random.Random(0))
    random.seed(0)
    for size, found in enumerate(sets, 1):
        assert found.tolist() == [points[random.sample(range(10), size)].tolist() for _ in range(3)]


def test_fewer_points_than_centres_are_their_own_centres():
    points = np.array([[3, 9], [15, 21]])
    assert sorted(cluster_centres(points, 8).tolist()) == points.tolist()


def scores_of(masks: Tensor, similarity: Tensor, points: np.ndarray) -> MaskScores:
    scores = MaskScores(similarity, points)
    scores.add(masks)
    return scores


def test_a_mask_without_a_pixel_counts_as_touching_all_cells():
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[1, 0, 0] = True
    scores = scores_of(masks, torch.tensor([[1.0, 0.0, 0.0, 0.0]]), np.array([[0, 0], [3, 3]]))
    assert scores.purity().tolist() == [0, 1]
    assert scores.coverage().tolist() == [0, 0.5]
    assert scores.emd([0, 1]).tolist() == pytest.approx([1 - 3 / 8, 1])


def test_a_filter_that_nothing_passes_keeps_the_greatest():
    assert above_least(torch.tensor([0.1, 0.2, 0.2]), 0.5).tolist() == [False, True, True]
    assert above_least(torch.tensor([0.1, 0.6, 0.5]), 0.5).tolist() == [False, True, True]


class _Emd(MaskScores):
    def __init__(self, emd: list[float]):
        self.values = torch.tensor(emd, dtype=torch.float64)

    def purity(self) -> Tensor:
        return torch.ones_like(self.values)

    def coverage(self) -> Tensor:
        return torch.ones_like(self.values)

    def emd_bounds(self, masks: list[int]) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.values[masks] - 0.01, self.values[masks] + 0.02

    def emd(self, masks: list[int]) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.values[masks]


@pytest.mark.parametrize(
    ("emd", "shots", "chosen"),
    [
        ([0.7, 0.8, 0.78], 1, [1, 2]),  # d = .3, .2, .22: the excess is measured by the greatest d, .02 < .03 < .1
        ([0.7, 0.8, 0.76, 0.1], 1, [1, 2]),  # by .9: .04 < .09, and d = .3 exceeds .2 by .1
        ([0.5, 0.4], 1, [0]),  # d = .5 is too much, but the best one is always in
        ([0.9 - 0.0001 * i for i in range(12)], 1, list(range(9))),
        ([0.9 - 0.0001 * i for i in range(12)], 5, list(range(5))),
    ],
)
def test_masks_close_to_the_best_are_joined(emd: list[float], shots: int, chosen: list[int]):
    found, score = selected(_Emd(emd), SelectionSettings(), shots=shots)
    assert found.tolist() == chosen
    assert score == max(emd)


def test_a_concept_stacks_the_unit_tokens_of_its_references():
    concept = matcher(random_sam(), COCO).learn([shot(0), shot(1)])
    assert isinstance(concept, MatcherConcept)
    assert concept.tokens.shape == (2 * H * H, 24)
    assert torch.allclose(concept.tokens.norm(dim=1), torch.ones(2 * H * H))
    assert concept.shots == 2
