"""PerSAM and PerSAM-F against a re-derivation in float64 (`derived_persam`), with random weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prosam.features.seen import SeenImage, Shot
from prosam.methods.parts.mask_weights import fit_mask_weights
from prosam.methods.parts.padded_square import PaddedSquare
from prosam.methods.parts.prototype import place_at, similarity_map
from prosam.methods.persam import PerSam, guidance_map
from prosam.methods.persam_f import PerSamF
from prosam.models.embedding_details import embedding_channels
from prosam.models.sam_lite import build_lite_sam
from prosam.params.rivals import FitSettings, PerSamFSettings
from tests.methods.derived_persam import DerivedPerSam
from tests.methods.random_sam import GRID, SIDE, block_of_cells, random_embedding, random_sam

QUICK = PerSamFSettings(fit=FitSettings(steps=5))
SIZES = [(96, 128), (75, 50), (128, 128), (301, 260)]


def shot(seed: int, size: tuple[int, int] = (100, 80)) -> Shot:
    """A reference with an object of 3 x 2 cells or so in its middle."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(size, dtype=torch.bool)
    mask[size[0] // 4 : 3 * size[0] // 4, size[1] // 5 : size[1] // 2] = True
    embedding = random_embedding(generator, block_of_cells(GRID, 2, 1, 4, 3))
    return Shot(SeenImage(size, embedding, None), mask)


def target(seed: int, size: tuple[int, int]) -> SeenImage:
    cells = block_of_cells(GRID, 1 + seed % 3, 2, 3, 3)
    return SeenImage(size, random_embedding(torch.Generator().manual_seed(1000 + seed), cells), None)


def embedding_of(image: SeenImage) -> Tensor:
    assert image.embedding is not None
    return image.embedding


def assert_same_mask(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    scale = expected.std()
    assert torch.allclose(found.double(), expected, atol=1e-3 * scale.item())
    clear = expected.abs() > 2e-3 * scale
    assert torch.equal((found > 0)[clear], (expected > 0)[clear])


SEEDS = [3, 4, 8, 12, 19, 20]  # whose maps have one greatest and one least pixel, not several at the image's edge


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", SIZES)
def test_persam_finds_the_masks_and_scores_of_its_derivation(seed: int, size: tuple[int, int]):
    sam = random_sam(seed)
    method, derived = PerSam(sam), DerivedPerSam(sam)
    reference, image = shot(seed), target(seed, size)
    concept = method.learn([reference])
    prototype = derived.prototype(embedding_of(reference.image), reference.mask)
    expected = derived.find(prototype, embedding_of(image), size)
    found = method.find(concept, image)
    assert concept.prototype is not None
    assert torch.allclose(concept.prototype.double(), prototype, atol=1e-5)
    assert_same_mask(found.logits, expected["full"])
    assert 0 < (expected["full"] > 0).double().mean() < 1
    assert found.score == pytest.approx(min(max(expected["quality"], 0), 1), abs=1e-4)
    assert found.presence == pytest.approx(expected["presence"], abs=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_the_points_are_the_most_and_the_least_similar_pixel(size: tuple[int, int]):
    sam = random_sam(1)
    reference, image = shot(1), target(1, size)
    concept = PerSam(sam).learn([reference])
    assert concept.prototype is not None
    similarity = similarity_map(sam, concept.prototype, image).flatten()
    found = [tuple(place_at(index, size[1])[0].tolist()) for index in (similarity.argmax(), similarity.argmin())]
    expected = DerivedPerSam(sam).find(concept.prototype.double(), embedding_of(image), size)["points"]
    assert found == [(x, y) for x, y, _ in expected]


@pytest.mark.parametrize("change", [{"in_place": False}, {"softmax_twice": False}])
def test_the_derivation_would_notice_another_guidance(change: dict[str, bool]):
    sam, image = random_sam(3), target(3, SIZES[0])
    prototype = DerivedPerSam(sam).prototype(embedding_of(shot(3).image), shot(3).mask)
    right = DerivedPerSam(sam).find(prototype, embedding_of(image), SIZES[0])
    other = DerivedPerSam(sam, **change).find(prototype, embedding_of(image), SIZES[0])
    assert (right["first"] - other["first"]).abs().max() > 0.01 * right["first"].std()
    assert ((right["full"] > 0) != (other["full"] > 0)).any()


def test_the_guidance_uses_the_unbiased_deviation_and_squashes_the_whole_image():
    similarity = torch.tensor([[0.0, 1.0]])
    assert torch.allclose(guidance_map(similarity, 2)[0], torch.tensor([-0.5, 0.5]).div(0.5**0.5).sigmoid())
    wide = torch.arange(16.0).repeat(4, 1)
    columns = (torch.tensor([1.5, 5.5, 9.5, 13.5]) - 7.5) / wide.std()
    assert torch.allclose(guidance_map(wide, 4), columns.sigmoid().repeat(4, 1))


def test_a_map_without_variation_guides_nowhere():
    assert (guidance_map(torch.full((5, 7), 0.25), 4) == 0.5).all()
    assert (guidance_map(torch.full((1, 1), 0.3), 4) == 0.5).all()


@pytest.mark.parametrize("painted", [255, 128])
def test_annotated_cells_are_those_of_the_derivation(painted: int):
    derived = DerivedPerSam(random_sam())
    generator = torch.Generator().manual_seed(3)
    for size in SIZES:
        mask = torch.rand(size[0] // 8 + 1, size[1] // 8 + 1, generator=generator) > 0.4
        mask = mask.repeat_interleave(8, 0).repeat_interleave(8, 1)[: size[0], : size[1]]
        cells = PaddedSquare(size, SIDE).annotated_cells(mask, GRID, painted=painted, mean=123.675, std=58.395)
        assert [tuple(cell) for cell in cells.nonzero().tolist()] == derived.cells(mask, painted)
        assert cells.any()


def test_128_needs_all_four_pixels_that_a_cell_reads_and_255_half_of_them():
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    stride, centre = SIDE // GRID, SIDE // GRID // 2
    for column, count in enumerate([1, 2, 3, 4]):
        for pixel in range(count):
            mask[centre - 1 + pixel // 2, column * stride + centre - 1 + pixel % 2] = True
    square = PaddedSquare((SIDE, SIDE), SIDE)
    counted = {
        painted: square.annotated_cells(mask, GRID, painted=painted, mean=123.675, std=58.395)[0, :4].tolist()
        for painted in (255, 128)
    }
    assert counted == {255: [False, True, True, True], 128: [False, False, False, True]}


@pytest.mark.parametrize("size", [(100, 80), (1000, 300)])
def test_a_one_pixel_annotation_counts_the_cell_that_holds_it(size: tuple[int, int]):
    mask = torch.zeros(size, dtype=torch.bool)
    mask[size[0] - 1, 3] = True
    assert not DerivedPerSam(random_sam()).cells(mask)
    cells = PaddedSquare(size, SIDE).annotated_cells(mask, GRID, painted=255, mean=123.675, std=58.395)
    column = int(3.5 * SIDE / max(size) / (SIDE // GRID))
    assert cells.nonzero().tolist() == [[GRID - 1, column]]


@pytest.mark.parametrize("method", [PerSam(random_sam()), PerSamF(random_sam(), QUICK)])
def test_without_an_annotated_pixel_nothing_is_found(method: PerSam | PerSamF):
    nothing = Shot(shot(0).image, torch.zeros_like(shot(0).mask))
    found = method.find(method.learn([nothing, nothing]), target(0, (96, 128)))  # pyright: ignore[reportArgumentType]
    assert found.logits.shape == (96, 128)
    assert not (found.logits > 0).any()
    assert (found.score, found.presence) == (0, 0)


@pytest.mark.parametrize("method", [PerSam(random_sam(1)), PerSamF(random_sam(1), QUICK)])
def test_references_without_an_annotated_pixel_are_left_out(method: PerSam | PerSamF):
    nothing = Shot(shot(1).image, torch.zeros_like(shot(1).mask))
    alone, among = method.learn([shot(0)]), method.learn([nothing, shot(0), nothing])
    image = target(0, (75, 50))
    assert torch.equal(method.find(alone, image).logits, method.find(among, image).logits)  # pyright: ignore[reportArgumentType]


def test_the_prototype_of_several_references_is_the_mean_of_theirs():
    sam = random_sam()
    shots = [shot(seed, size) for seed, size in enumerate([(100, 80), (60, 128), (90, 90)])]
    derived = DerivedPerSam(sam)
    for method, prototype in ((PerSam(sam), derived.prototype), (PerSamF(sam, QUICK), derived.half_prototype)):
        expected = torch.stack([prototype(embedding_of(one.image), one.mask) for one in shots]).mean(0)
        found = method.learn(shots).prototype
        assert found is not None
        assert torch.allclose(found.double(), expected, atol=1e-5)


def test_an_embedding_with_details_is_compared_without_them():
    sam = build_lite_sam().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    dim, grid = embedding_channels(sam), sam.prompt_encoder.image_embedding_size[0]
    cells = block_of_cells(grid, 8, 8, 10, 10)
    embedding = random_embedding(generator, cells, channels=dim)
    mask = cells.bool().repeat_interleave(4, 0).repeat_interleave(4, 1)
    reference = Shot(SeenImage((128, 128), embedding, None), mask)
    concept = PerSam(sam).learn([reference])
    assert concept.prototype is not None
    assert torch.allclose(concept.prototype, embedding[: sam.prompt_encoder.embed_dim, cells.bool()].mean(1), atol=1e-5)
    found = PerSam(sam).find(concept, reference.image)
    assert found.logits.shape == (128, 128)
    assert found.logits.isfinite().all()


# --------------------------------------------------------------------------------------------------- PerSAM-F


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", SIZES)
def test_persam_f_finds_the_masks_and_scores_of_its_derivation(seed: int, size: tuple[int, int]):
    sam = random_sam(seed)
    method, derived = PerSamF(sam, PerSamFSettings(fit=FitSettings(steps=40, lr=0.02))), DerivedPerSam(sam)
    reference, image = shot(seed), target(seed, size)
    concept = method.learn([reference])
    prototype = derived.half_prototype(embedding_of(reference.image), reference.mask)
    assert concept.prototype is not None
    assert torch.allclose(concept.prototype.double(), prototype, atol=1e-5)
    expected = derived.find_f(prototype, concept.weights.double(), embedding_of(image), size)
    found = method.find(concept, image)
    assert_same_mask(found.logits, expected["full"])
    assert found.score == pytest.approx(min(max(expected["quality"], 0), 1), abs=1e-4)
    assert found.presence == pytest.approx(expected["presence"], abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_fit_is_that_of_adamw_with_automatic_differentiation(seed: int):
    sam = random_sam(seed)
    reference, derived = shot(seed), DerivedPerSam(sam)
    concept = PerSamF(sam).learn([reference])  # 1000 steps, as published
    prototype = derived.half_prototype(embedding_of(reference.image), reference.mask)
    expected = derived.fit(prototype, embedding_of(reference.image), reference.mask, 1000)
    assert torch.allclose(concept.weights.double(), expected, atol=1e-4)
    assert (expected - 1 / 3).abs().max() > 0.05  # it went somewhere


def test_the_fit_of_several_references_descends_the_mean_of_their_losses():
    generator = torch.Generator().manual_seed(0)
    first = 4 * torch.randn(3, 12, 10, generator=generator), torch.rand(12, 10, generator=generator) > 0.6
    second = 4 * torch.randn(3, 7, 9, generator=generator), torch.rand(7, 9, generator=generator) > 0.3
    settings = FitSettings(steps=30, lr=0.03)
    both = fit_mask_weights([first, second], settings)
    free = torch.nn.Parameter(torch.full((2,), 1 / 3, dtype=torch.float64))
    optimiser = torch.optim.AdamW([free], lr=0.03, eps=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 30)
    for _ in range(30):
        losses = []
        for logits, annotation in (first, second):
            truth = annotation.double()
            x = torch.einsum("m,mhw->hw", torch.cat([1 - free.sum()[None], free]), logits.double())
            p = x.sigmoid()
            focal = -(0.25 * truth * (1 - p) ** 2 * p.log() + 0.75 * (1 - truth) * p**2 * (1 - p).log())
            losses.append(1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1) + focal.mean())
        optimiser.zero_grad()
        (sum(losses) / 2).backward()  # pyright: ignore[reportAttributeAccessIssue]
        optimiser.step()
        schedule.step()
    assert torch.allclose(both[1:].double(), free.detach(), atol=1e-5)
    assert float(both.sum()) == pytest.approx(1)


@pytest.mark.parametrize("filled", [True, False])
def test_the_fit_is_finite_for_logits_of_any_size(filled: bool):
    logits = torch.tensor([-1e4, 1e4, 200.0]).view(3, 1, 1).expand(3, 6, 5)
    weights = fit_mask_weights([(logits, torch.full((6, 5), filled))], FitSettings(steps=20))
    assert weights.isfinite().all()


@pytest.mark.parametrize("method", [PerSam, PerSamF])
def test_an_empty_mask_on_the_way_ends_in_an_empty_mask(method: type[PerSam] | type[PerSamF]):
    sam = random_sam(0)
    for mlp in sam.mask_decoder.output_hypernetworks_mlps:  # all logits are 0: nothing is above
        mlp.layers[-1].weight.zero_()
        mlp.layers[-1].bias.zero_()
    built = method(sam)
    found = built.find(built.learn([shot(0)]), target(0, (50, 70)))  # pyright: ignore[reportArgumentType]
    assert found.logits.shape == (50, 70)
    assert not (found.logits > 0).any()
    assert found.score == 0
    assert 0 < found.presence < 1


def test_a_one_pixel_image_gets_an_answer():
    method = PerSam(random_sam(0))
    reference = Shot(SeenImage((1, 1), shot(0).image.embedding, None), torch.ones(1, 1, dtype=torch.bool))
    found = method.find(method.learn([reference]), SeenImage((1, 1), target(0, (1, 1)).embedding, None))
    assert found.logits.shape == (1, 1)
    assert found.logits.isfinite().all()
