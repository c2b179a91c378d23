"""Annotations on the feature grid, and the pseudo mask, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from prosam.models.pseudo_mask import annotation_grid, foreground_features, pseudo_masks

C4, SIDE = 5, 6


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    norms = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / norms) if norms else 0.0


def by_brute_force(reference: Tensor, annotation: Tensor, target: Tensor) -> np.ndarray:
    """(h, h): the maximum over *all* reference positions, whose features are multiplied by the annotation."""
    masked = (reference * annotation).double().numpy()
    expected = np.empty((SIDE, SIDE))
    for row, column in np.ndindex(SIDE, SIDE):
        here = target[:, row, column].double().numpy()
        expected[row, column] = max(cosine(masked[:, y, x], here) for y, x in np.ndindex(SIDE, SIDE))
    return expected


def features(seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(C4, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) + shift


ANNOTATIONS = {
    "some": (features(7)[:1] > 0).float(),
    "one cell": torch.zeros(1, SIDE, SIDE).index_fill_(1, torch.tensor([2]), 1.0) * (torch.arange(SIDE) == 3),
    "all": torch.ones(1, SIDE, SIDE),
    "none": torch.zeros(1, SIDE, SIDE),
}


@pytest.mark.parametrize("name", ANNOTATIONS)
@pytest.mark.parametrize("shift", [0.0, 3.0, -3.0])  # -3 makes references and targets point apart: similarities below 0
def test_a_pseudo_mask_is_the_largest_cosine_similarity_over_all_reference_positions(name: str, shift: float):
    annotation = ANNOTATIONS[name]
    reference, target = features(0, 3.0 if shift else 0.0), features(1, shift)
    found = pseudo_masks([foreground_features(reference, annotation)], target[None], normalised=False)
    assert found.shape == (1, 1, SIDE, SIDE)
    expected = by_brute_force(reference, annotation, target)
    assert np.abs(found[0, 0].numpy() - expected).max() < 1e-5
    low, high = expected.min(), expected.max()
    normalised = pseudo_masks([foreground_features(reference, annotation)], target[None], normalised=True)[0, 0]
    assert np.abs(normalised.numpy() - (expected - low) / (high - low + 1e-7)).max() < 1e-4


def test_a_normalised_pseudo_mask_reaches_from_0_to_1_for_each_target():
    references = [foreground_features(features(i), ANNOTATIONS["some"]) for i in range(3)]
    targets = torch.stack([features(10), features(11, 5.0), features(12) * 100])
    found = pseudo_masks(references, targets, normalised=True).flatten(1)
    assert torch.equal(found.amin(1), torch.zeros(3))
    assert torch.allclose(found.amax(1), torch.ones(3), atol=1e-4)


def test_a_batch_equals_its_members_one_by_one():
    names = ["some", "none", "one cell", "all"]
    foreground = [foreground_features(features(i), ANNOTATIONS[name]) for i, name in enumerate(names)]
    targets = torch.stack([features(10 + i) for i in range(4)])
    for normalised in (True, False):
        together = pseudo_masks(foreground, targets, normalised=normalised)
        for i in range(4):
            alone = pseudo_masks(foreground[i : i + 1], targets[i : i + 1], normalised=normalised)
            assert torch.allclose(alone[0], together[i], atol=1e-6)


def drawings() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    dense = [rng.random((24, 36)) < share for share in (0.02, 0.3, 0.5, 0.7)]
    single = np.zeros((24, 36), bool)
    single[23, 35] = True
    left_half = np.zeros((24, 36), bool)
    left_half[:, :3] = True  # half of the first column of cells, to the pixel
    blob = np.zeros((24, 36), bool)
    blob[5:17, 7:20] = True
    return [*dense, single, left_half, blob, np.ones((24, 36), bool)]


@pytest.mark.parametrize("thin", [True, False])
@pytest.mark.parametrize("number", range(len(drawings())))
def test_an_annotation_on_the_grid_by_brute_force(number: int, thin: bool):
    drawn = drawings()[number]
    cells = np.array([[drawn[4 * y : 4 * y + 4, 6 * x : 6 * x + 6].mean() for x in range(6)] for y in range(6)])
    if thin:
        expected = cells > 0  # any touch
    else:
        expected = cells >= 0.5
        if not expected.any():
            expected = cells == cells.max()
    found = annotation_grid(torch.from_numpy(drawn), 6, thin=thin)
    assert found.shape == (1, 6, 6)
    assert np.array_equal(found[0].numpy().astype(bool), expected)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (299, 130), (599, 799)])
def test_a_single_pixel_of_a_large_photo_marks_its_cell(row: int, column: int):
    drawn = torch.zeros(600, 800, dtype=torch.bool)  # cells of 150 x 200 px, of which it covers 1 / 30,000
    drawn[row, column] = True
    expected = torch.zeros(1, 4, 4)
    expected[0, row // 150, column // 200] = 1
    for thin in (True, False):
        assert torch.equal(annotation_grid(drawn, 4, thin=thin), expected)


@pytest.mark.parametrize("thin", [True, False])
@pytest.mark.parametrize("shape", [(5, 7), (8, 8), (37, 50), (128, 3)])  # smaller than the grid, and not divided by it
def test_an_annotation_on_the_grid_is_empty_only_when_nothing_was_drawn(shape: tuple[int, int], thin: bool):
    assert not annotation_grid(torch.zeros(shape, dtype=torch.bool), 8, thin=thin).any()
    for row, column in np.ndindex(shape):
        drawn = torch.zeros(shape, dtype=torch.bool)
        drawn[row, column] = True
        found = annotation_grid(drawn, 8, thin=thin)[0]
        assert found.any()
        assert set(found.unique().tolist()) <= {0.0, 1.0}
        assert found[row * 8 // shape[0], column * 8 // shape[1]] == 1 or not thin


@pytest.mark.parametrize(("height", "width"), [(48, 48), (24, 36), (75, 100), (7, 200)])
def test_the_nearest_way_reads_one_pixel_of_the_square_for_each_cell(height: int, width: int):
    drawn = np.random.default_rng(0).random((height, width)) < 0.4
    expected = np.empty((6, 6), bool)
    for row, column in np.ndindex(6, 6):  # in a square of 48 px a cell begins at every eighth pixel
        expected[row, column] = drawn[8 * row * height // 48, 8 * column * width // 48]
    for thin in (True, False):
        found = annotation_grid(torch.from_numpy(drawn), 6, thin=thin, nearest_in=48)
        assert found.shape == (1, 6, 6)
        assert found.dtype == torch.float32
        assert np.array_equal(found[0].numpy(), expected)


def test_the_nearest_way_loses_what_lies_between_the_pixels_it_reads():
    drawn = torch.ones(48, 48, dtype=torch.bool)
    drawn[::8, ::8] = False
    assert not annotation_grid(drawn, 6, thin=False, nearest_in=48).any()
    assert annotation_grid(drawn, 6, thin=False).all()


def test_foreground_features_are_those_of_the_annotated_cells():
    level4, annotation = features(0), ANNOTATIONS["some"]
    found = foreground_features(level4, annotation)
    cells = [(y, x) for y, x in np.ndindex(SIDE, SIDE) if annotation[0, y, x]]
    assert torch.equal(found, torch.stack([level4[:, y, x] for y, x in cells], 1))


def test_features_of_next_to_no_length_look_like_nothing():
    reference, target = features(0), features(1)
    lengths = 10.0 ** torch.arange(-9, -3).expand(1, SIDE, SIDE)  # the product of two passes 1e-7, VRP-SAM's addend
    found = pseudo_masks(
        [foreground_features(reference, ANNOTATIONS["some"])], (target * lengths)[None], normalised=False
    )
    masked = (reference * ANNOTATIONS["some"]).flatten(1).double()
    seen = (target * lengths).flatten(1).double()
    products = masked.norm(dim=0)[:, None] * seen.norm(dim=0)[None]
    expected = (masked.T @ seen / (products + 1e-7)).amax(0).view(1, 1, SIDE, SIDE)
    assert (found - expected).abs().max() < 1e-6
    assert found[..., 0].max() < 0.1 < found[..., 5].max()
