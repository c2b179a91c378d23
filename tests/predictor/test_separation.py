"""Objects of a concept, each for itself, with the bundled model for shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from prosam import Concept, InputError, Predictor
from prosam.predictor import separation
from prosam.predictor.separation import Separation, windows
from tests.scenes import pair

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def tiled(predictor: Predictor) -> tuple[Concept, Pixels]:
    """A concept and an image that shows its object four times, each in a quarter of its own."""
    reference, _, class_id = pair(0)
    concept = predictor.learn([(reference.image, reference.mask(class_id))], "it")
    return concept, np.tile(reference.image, (2, 2, 1))


def test_the_objects_of_an_image_make_up_its_mask_and_none_shares_a_pixel(
    predictor: Predictor, tiled: tuple[Concept, Pixels]
):
    concept, image = tiled
    found = predictor.segment(image, concept, threshold=0, instances=True)["it"]
    assert found.instances is not None
    assert found.count == len(found.instances) > 1
    assert np.array_equal(np.sum([one.mask for one in found.instances], 0), found.mask)
    scores = [one.score for one in found.instances]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


def test_the_same_image_gives_the_same_objects_whatever_is_computed_with_it(
    predictor: Predictor, tiled: tuple[Concept, Pixels]
):
    concept, image = tiled
    one, other = (predictor.segment(image, concept, threshold=0, instances=True) for _ in range(2))
    renamed = Concept("other", concept.model, concept.made_by, concept.kinds, concept.state, concept.learned_from)
    both = predictor.segment(image, [concept, renamed], threshold=0, instances=True)
    assert np.array_equal(one.instance_labels, other.instance_labels)
    for found in both:
        assert [(i.box, i.score) for i in found.instances or ()] == [(i.box, i.score) for i in one.instances]
    assert len(both.instances) == 2 * one.count


def test_an_absent_concept_has_no_objects_and_without_the_option_nobody_counts(
    predictor: Predictor, tiled: tuple[Concept, Pixels]
):
    concept, image = tiled
    found = predictor.segment(image, concept, threshold=1, instances=True)["it"]
    assert (found.count, found.present, bool(found.mask.any())) == (0, False, False)
    without = predictor.segment(image, concept)
    assert without["it"].instances is None
    with pytest.raises(InputError, match="pass instances=True"):
        _ = without.count


def test_of_large_objects_no_second_look_is_taken(predictor: Predictor, monkeypatch: pytest.MonkeyPatch):
    looks: list[int] = []
    monkeypatch.setattr(Separation, "_second_look", lambda *_: looks.append(1) or np.full((128, 128), -9, np.float32))
    reference, _, class_id = pair(0)
    concept = predictor.learn([(reference.image, reference.mask(class_id))])
    for share, expected in ((0.0, 0), (1.0, 1)):
        looks.clear()
        monkeypatch.setattr(separation, "_SMALL", share)
        predictor.segment(reference.image, concept, threshold=0, instances=True)
        assert len(looks) == expected


@pytest.mark.parametrize("side", [64, 256])
def test_windows_cover_the_image_and_share_a_quarter_of_their_side(side: int):
    covered = np.zeros((side, side), int)
    for top, left, own in windows(side):
        covered[top : top + own, left : left + own] += 1
    assert covered.min() == 1
    shared = (covered[0] > 1).sum()
    assert shared / windows(side)[0].side == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5, 3)])
def test_odd_sizes_give_a_result(predictor: Predictor, tiled: tuple[Concept, Pixels], size: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    result = predictor.segment(image, tiled[0], threshold=0, instances=True)
    assert result.instance_labels.shape == size


def test_the_rating_of_a_mask_is_that_of_the_plain_decoder(predictor: Predictor):
    from prosam.models.sam import decode_candidates, embed_points

    sam, decoder = predictor.finder.models.sam, predictor.finder.models.decoder
    generator = torch.Generator().manual_seed(0)
    grid, dim = sam.prompt_encoder.image_embedding_size[0], sam.prompt_encoder.embed_dim
    embedding = torch.randn(1, dim, grid, grid, generator=generator)
    places = torch.rand(5, 2, 2, generator=generator) * 128
    prompts = embed_points(sam, places, torch.tensor([[1, -1], [1, 0], [2, 3], [1, 1], [2, 3]]))
    with torch.no_grad():
        masks, quality = decoder.rated(embedding, prompts[None])
        expected, estimates = decode_candidates(sam, embedding.expand(5, -1, -1, -1), prompts)
    torch.testing.assert_close(masks[0], expected[:, 0], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(quality[0], estimates[:, 0], atol=1e-5, rtol=1e-4)
    assert torch.equal(masks, decoder(embedding, prompts[None]))


def test_components_are_scipys_parts():
    from prosam.predictor.proposals import components

    mask = ndimage.binary_opening(np.random.default_rng(3).random((64, 64)) < 0.8, np.ones((3, 3)))
    labels, count = ndimage.label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    expected = [labels == number for number in range(1, count + 1) if (labels == number).sum() >= 30]
    assert len(expected) > 0
    assert np.array_equal(components(mask, 30), expected)
