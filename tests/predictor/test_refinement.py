"""A second look gives masks the image's own edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from prosam import Concept, Mask, Predictor
from prosam.evaluation.boundary import boundary_f
from prosam.predictor import guided
from prosam.predictor.encoding import ImageEncoder
from prosam.predictor.guided import guided_strips, local_fits
from prosam.predictor.refinement import SecondLook, part_of
from prosam.predictor.region import Region, region_around
from tests.predictor.prompts import prompts_of
from tests.predictor.test_predictor import iou, learned, same
from tests.scenes import pair, scenes

HEIGHT, WIDTH = 900, 1200


@pytest.fixture(scope="module")
def photographs() -> Predictor:
    return Predictor.load("bundled:photos", device="cpu")


def leaf(height: int, width: int, middle: tuple[float, float], size: float) -> NDArray[np.bool_]:
    """A shape with five rounded lobes."""
    y, x = np.mgrid[:height, :width]
    y, x = y + 0.5 - middle[0], x + 0.5 - middle[1]
    return np.hypot(y, x) < size * (1 + 0.25 * np.sin(5 * np.arctan2(y, x)))


def picture(mask: NDArray[np.bool_], colour: tuple[int, int, int], seed: int) -> NDArray[np.uint8]:
    """Something of a colour before a cloudy wall."""
    clouds = gaussian_filter(np.random.default_rng(seed).normal(size=mask.shape), min(mask.shape) / 12)
    wall = 150 + 20 * (clouds / clouds.std())[..., None] * (0.9, 1, 1.1)
    shade = 1 + 0.08 * clouds[..., None] / clouds.std()
    return np.where(mask[..., None], shade * colour, wall).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("middle", "size"), [((400, 700), 130), ((450, 600), 330)])
def test_a_refined_mask_follows_a_crisp_edge_of_a_large_picture(
    photographs: Predictor, middle: tuple[float, float], size: float
):
    reference = leaf(384, 384, (190, 200), 90)
    concept = photographs.learn([(picture(reference, (190, 40, 30), 1), Mask(reference))])
    truth = leaf(HEIGHT, WIDTH, middle, size)
    image = picture(truth, (190, 40, 30), 2)
    plain, refined = (photographs.segment(image, concept, threshold=0, refine=refine).mask for refine in (False, True))
    assert iou(refined, truth) > iou(plain, truth)
    assert boundary_f(refined, truth, 0.002) > boundary_f(plain, truth, 0.002) + 0.1


def test_any_model_refines_when_asked_and_the_one_for_photographs_by_default(
    predictor: Predictor, photographs: Predictor
):
    assert (predictor.model.refines, photographs.model.refines) == (False, True)
    reference, target, class_id = pair()
    for one, other in ((predictor, False), (photographs, True)):
        concept = one.learn([(reference.image, reference.mask(class_id))])
        both = [one.segment(target.image, concept, threshold=0, refine=refine) for refine in (False, True)]
        assert not same(*both)
        assert same(one.segment(target.image, concept, threshold=0), both[other])


def test_score_presence_and_uncertainty_are_the_first_looks(predictor: Predictor):
    plain, refined = (
        predictor.segment(pair()[1].image, learned(predictor), threshold=0, samples=3, refine=refine)
        for refine in (False, True)
    )
    assert plain.uncertainty is not None
    assert refined.uncertainty is not None
    assert np.array_equal(plain.uncertainty.spread, refined.uncertainty.spread)
    assert (plain.score, plain.presence, plain.uncertainty.disagreement) == (
        refined.score,
        refined.presence,
        refined.uncertainty.disagreement,
    )
    assert not same(plain, refined)


def test_what_is_absent_is_not_looked_at_again(predictor: Predictor, monkeypatch: pytest.MonkeyPatch):
    concept = learned(predictor)
    looked: list[Any] = []
    monkeypatch.setattr(ImageEncoder, "part", lambda *given: looked.append(given))
    monkeypatch.setattr(SecondLook, "_whole_square", lambda *given: looked.append(given))
    result = predictor.segment(pair()[1].image, concept, threshold=1.01, refine=True)
    assert not result.present
    assert not result.mask.any()
    image = pair()[1].image
    nothing = SecondLook(prompts_of(predictor).method, prompts_of(predictor).encoder, "average", image)
    assert nothing.at(concept.state, torch.full((64, 64), -1.0)) is None
    assert looked == []


def test_of_several_concepts_each_has_its_own_mask_and_every_label_lies_in_its_mask(predictor: Predictor):
    concepts = [learned(predictor, number, f"kind {number}") for number in (0, 2, 4)]
    overlaps = 0
    for scene in scenes()[:6]:
        result = predictor.segment(scene.image, concepts, threshold=0, refine=True)
        for number, concept in enumerate(concepts):
            alone = predictor.segment(scene.image, concept, threshold=0, refine=True)
            assert np.array_equal(result[concept.name].mask, alone.mask)
            assert result[concept.name].mask[result.labels == number + 1].all()
        assert np.array_equal(result.labels > 0, result.masks.any(0))
        overlaps += int((result.masks.sum(0) > 1).sum())
    assert overlaps > 0


def test_a_result_depends_on_its_own_image_only(predictor: Predictor):
    concept: Concept = learned(predictor)
    images = [scene.image for scene in scenes()[:4]]
    first = [predictor.segment(image, concept, threshold=0, refine=True) for image in images]
    again = [predictor.segment(image, concept, threshold=0, refine=True) for image in images[::-1]][::-1]
    keeping = Predictor.load("bundled:shapes", device="cpu", keep=2)
    kept = [keeping.segment(image, concept, threshold=0, refine=True) for image in [*images, *images]]
    for one, other, third, fourth in zip(first, again, kept[:4], kept[4:], strict=True):
        assert same(one, other)
        assert same(one, third)
        assert same(one, fourth)


def test_the_fits_are_ridge_regressions_averaged_over_windows():
    rng, radius, epsilon = np.random.default_rng(0), 2, 0.01
    colours, values = rng.random((3, 7, 9)), rng.random((7, 9))

    def window(row: int, column: int) -> tuple[slice, slice]:
        return (
            slice(max(row - radius, 0), row + radius + 1),
            slice(max(column - radius, 0), column + radius + 1),
        )

    fits = np.zeros((4, 7, 9))
    for row in range(7):
        for column in range(9):
            x, y = colours[:, *window(row, column)].reshape(3, -1).T, values[window(row, column)].ravel()
            centred = x - x.mean(0)  # the ridge does not touch the intercept
            slopes = np.linalg.solve(centred.T @ centred / len(x) + epsilon * np.eye(3), centred.T @ y / len(x))
            fits[:, row, column] = (*slopes, y.mean() - slopes @ x.mean(0))
    expected = np.array(
        [[fits[:, *window(row, column)].mean((1, 2)) for column in range(9)] for row in range(7)]
    ).transpose(2, 0, 1)
    found = local_fits(torch.from_numpy(values), torch.from_numpy(colours), radius, epsilon)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("strip", [1, 300, 1 << 20])
def test_the_fits_are_applied_to_the_pixels_whatever_the_strips(strip: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guided, "_STRIP_PIXELS", strip)
    rng = np.random.default_rng(1)
    probability, coarse = torch.from_numpy(rng.random((12, 12))).float(), torch.from_numpy(rng.random((3, 12, 12)))
    pixels = rng.integers(0, 256, (41, 57, 3), dtype=np.uint8)
    fits = local_fits(probability, coarse.float(), 2, 0.01)
    everywhere = F.interpolate(fits[None], (41, 57), mode="bilinear", align_corners=False)[0].numpy()
    expected = (everywhere[:3] * pixels.transpose(2, 0, 1) / 255).sum(0) + everywhere[3]
    found = list(guided_strips(probability, coarse.float(), pixels, radius=2, epsilon=0.01))
    assert [row for rows, _ in found for row in range(rows.start, rows.stop)] == list(range(41))
    np.testing.assert_allclose(torch.cat([part for _, part in found]).numpy(), expected, atol=1e-5)


def cells(*rectangles: tuple[int, int, int, int], side: int = 100) -> NDArray[np.bool_]:
    """A mask of rectangles: first and last row, first and last column, the last ones outside."""
    mask = np.zeros((side, side), bool)
    for top, bottom, left, right in rectangles:
        mask[top:bottom, left:right] = True
    return mask


def test_a_region_shows_the_mask_with_a_margin():
    # 100 x 100 cells on 300 x 400 px: rows 60 to 120, columns 80 to 160; 1.7 times that, around the same middle
    assert region_around(cells((20, 40, 20, 40)), (300, 400)) == Region(52, 39, 188, 141)


def test_a_region_is_not_narrow_and_stays_inside_the_image():
    assert region_around(cells((0, 50, 98, 100)), (500, 500)) == Region(245, 0, 500, 425)  # 0.6 x 425 px wide
    assert region_around(cells((50, 51, 99, 100)), (500, 500)) == Region(468, 236, 500, 268)


def test_nothing_is_gained_by_a_region_as_large_as_the_image():
    assert region_around(cells((5, 90, 5, 95)), (300, 300)) is None
    assert region_around(cells((0, 9, 0, 9), (91, 100, 91, 100)), (300, 300)) is None


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_first_look_in_a_region_is_read_at_the_regions_places(align_corners: bool):
    height, width, region = 160, 320, Region(100, 40, 260, 120)
    logits = torch.from_numpy(gaussian_filter(np.random.default_rng(5).normal(size=(64, 64)), 6)).float()
    resized: dict[str, Any] = {"mode": "bilinear", "align_corners": align_corners}
    whole = F.interpolate(logits[None, None], (height, width), **resized)[0, 0]
    part = part_of(logits, region, (height, width), align_corners=align_corners)
    # enlarged to the region's size, they are the whole image's there
    enlarged = F.interpolate(part[None, None], (region.height, region.width), **resized)[0, 0]
    np.testing.assert_allclose(enlarged.numpy(), whole[40:120, 100:260].numpy(), atol=float(logits.std()) / 20)
    shifted = whole[40:120, 102:262].numpy()
    assert abs(enlarged.numpy() - shifted).max() > float(logits.std()) / 10
