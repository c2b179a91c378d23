"""The prompt encoder, against docs/method.md written out in numpy, and its two initialisations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.sam import load_sam
from prosam.models.distributions import Dirac, Gaussian, PromptDistribution
from prosam.models.prompt_encoder import Attention, PromptEncoder
from prosam.models.sam import dense_positions, embed_points

Array = NDArray[np.float64]
B, CHANNELS, DIM, GRID, PROMPTS = 3, 12, 16, 6, 7


def build(**changes: Any) -> PromptEncoder:
    settings = {"feature_channels": CHANNELS, "dim": DIM, "grid": GRID, "num_prompts": PROMPTS, "dropout": 0.0}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PromptEncoder(**(settings | changes)).eval()


def randomised(**changes: Any) -> PromptEncoder:
    """An encoder none of whose parameters is zero or one, so that none of them is out of sight."""
    encoder = build(**changes)
    noise = torch.Generator().manual_seed(5)
    for parameter in encoder.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=noise)
    return encoder


def inputs() -> dict[str, Tensor]:
    noise = torch.Generator().manual_seed(1)
    annotation = (torch.rand(B, 1, GRID, GRID, generator=noise) < 0.3).float()
    annotation[2] = 0  # nothing left of it on the grid
    return {
        "reference": torch.randn(B, CHANNELS, GRID, GRID, generator=noise),
        "annotation": annotation,
        "target": torch.randn(B, CHANNELS, GRID, GRID, generator=noise),
        "pseudo_mask": torch.rand(B, 1, GRID, GRID, generator=noise),
    }


@torch.no_grad()
def run(encoder: PromptEncoder, given: dict[str, Tensor], seed: int | None = None) -> PromptDistribution:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    code = encoder.encode_reference(given["reference"], given["annotation"], generator)
    return encoder.encode_target(code, given["target"], given["pseudo_mask"], generator)


# ----------------------------------------------------------------------------- docs/method.md, steps 2 to 7, in numpy


def a(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def detr_positions() -> Array:
    """(GRID^2, DIM): DETR's PositionEmbeddingSine with normalize=True, cell by cell."""
    half = DIM // 2
    cells = np.zeros((GRID, GRID, DIM))
    for row in range(GRID):
        for column in range(GRID):
            for offset, position in ((0, row), (half, column)):
                place = (position + 1) / (GRID + 1e-6) * 2 * math.pi
                for i in range(half):
                    angle = place / 10000 ** (2 * (i // 2) / half)
                    cells[row, column, offset + i] = math.sin(angle) if i % 2 == 0 else math.cos(angle)
    return cells.reshape(GRID * GRID, DIM)


def attend(block: Attention, queries: Array, keys: Array, values: Array) -> Array:
    """Post-norm attention with 4 heads: (N, d), (M, d), (M, d) to (N, d)."""
    module = block.attention
    assert module.in_proj_bias is not None
    weights, biases = np.split(a(module.in_proj_weight), 3), np.split(a(module.in_proj_bias), 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((queries, keys, values), weights, biases, strict=True))
    size, heads = DIM // 4, []
    for head in range(4):
        part = slice(head * size, (head + 1) * size)
        scores = np.exp(q[:, part] @ k[:, part].T / math.sqrt(size))
        heads.append(scores / scores.sum(1, keepdims=True) @ v[:, part])
    x = queries + np.concatenate(heads, 1) @ a(module.out_proj.weight).T + a(module.out_proj.bias)
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return x * a(block.norm.weight) + a(block.norm.bias)


def by_the_method(encoder: PromptEncoder, given: dict[str, Array], target_positions: Array) -> Array:
    """The prompts of one pair before the heads, (N, d)."""

    def downsample(features: Array) -> Array:
        return np.maximum(a(encoder.downsample.weight)[:, :, 0, 0] @ features.reshape(CHANNELS, -1), 0)

    def merge(features: Array, prototype: Array, mask: Array) -> Array:
        stacked = np.concatenate([features, np.repeat(prototype[:, None], GRID * GRID, 1), 10 * mask.reshape(1, -1)])
        return np.maximum(a(encoder.merge.weight)[:, :, 0, 0] @ stacked, 0).T

    reference, target = downsample(given["reference"]), downsample(given["target"])
    mask = given["annotation"].reshape(-1)
    prototype = (reference * mask).sum(1) / (mask.sum() + 0.0005)
    seen = merge(reference, prototype, given["annotation"])
    queries = attend(encoder.reference_attention, a(encoder.queries.weight), seen + detr_positions(), seen)
    queries = attend(encoder.reference_mixing, queries, queries, queries)
    seen = merge(target, prototype, given["pseudo_mask"])
    queries = attend(encoder.target_attention, queries, seen + target_positions, seen)
    return attend(encoder.target_mixing, queries, queries, queries)


@pytest.mark.parametrize("distribution", ["dirac", "t3"])
def test_it_computes_what_the_method_says(distribution: str):
    encoder, given = randomised(distribution=distribution), inputs()
    found = run(encoder, given)
    for pair in range(B):
        expected = by_the_method(encoder, {k: a(v)[pair] for k, v in given.items()}, detr_positions())
        if encoder.mean_head is not None and encoder.log_sigma_head is not None:
            assert isinstance(found, Gaussian)
            mean_head, sigma_head = encoder.mean_head, encoder.log_sigma_head
            sigma = np.exp(expected @ a(sigma_head.weight).T + a(sigma_head.bias))
            assert np.allclose(a(found.sigma[pair]), sigma, rtol=1e-5, atol=1e-5)
            expected = expected @ a(mean_head.weight).T + a(mean_head.bias)
        else:
            assert isinstance(found, Dirac)
        assert np.abs(a(found.mean[pair]) - expected).max() < 1e-5


def test_a_batch_equals_its_members_one_by_one():
    encoder, given = randomised(), inputs()
    together = run(encoder, given)
    for pair in range(B):
        alone = run(encoder, {k: v[pair : pair + 1] for k, v in given.items()})
        assert torch.allclose(alone.mean[0], together.mean[pair], atol=1e-6)


@pytest.mark.parametrize(("distribution", "expected"), [("dirac", 1_592_064), ("t3", 1_723_648)])
@pytest.mark.parametrize("anchored", [False, True])
def test_the_number_of_trainable_parameters_is_the_papers(distribution: str, expected: int, anchored: bool):
    # downsample, merge, queries, four times attention (projections, biases, norm), two heads
    d = 256
    formula = 1536 * d + (2 * d + 1) * d + 50 * d + 4 * (4 * d * d + 6 * d) + (distribution == "t3") * 2 * (d * d + d)
    assert formula == expected
    encoder = PromptEncoder(
        feature_channels=1536,
        dim=d,
        grid=64,
        num_prompts=50,
        distribution=distribution,
        anchors=torch.zeros(d, 64, 64) if anchored else None,
    )
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == expected
    assert all(p.requires_grad for p in encoder.parameters())


def test_two_more_linear_layers_give_vrp_sam_the_parameters_of_prosam():
    encoder = PromptEncoder(feature_channels=1536, dim=256, grid=64, distribution="dirac", appended_linear=2)
    assert sum(p.numel() for p in encoder.parameters()) == 1_723_648


def test_appended_layers_are_linear_and_come_last():
    longer, plain = randomised(distribution="dirac", appended_linear=2), build(distribution="dirac")
    state = longer.state_dict()
    plain.load_state_dict({name: value for name, value in state.items() if not name.startswith("appended")})
    expected = run(plain, inputs()).mean
    for layer in (0, 1):
        expected = expected @ state[f"appended.{layer}.weight"].T + state[f"appended.{layer}.bias"]
    assert torch.allclose(run(longer, inputs()).mean, expected, atol=1e-4)


# ----------------------------------------------------------------------------------------- the anchored initialisation


@pytest.fixture(scope="module")
def positions() -> Tensor:
    """The bundled SAM's dense positional encoding, (64, 16, 16)."""
    return dense_positions(load_sam("tiny", SAM_WEIGHTS))


@pytest.fixture
def anchored(positions: Tensor) -> PromptEncoder:
    return build(dim=64, grid=16, num_prompts=50, anchors=positions)


def test_anchored_queries_are_sams_positions_at_the_r2_points(anchored: PromptEncoder, positions: Tensor):
    for k in range(50):
        x, y = (0.5 + 0.75488 * k) % 1, (0.5 + 0.56984 * k) % 1
        assert torch.equal(anchored.queries.weight[k], positions[:, int(16 * y), int(16 * x)])


def test_anchored_target_attention_reads_a_querys_own_place(anchored: PromptEncoder):
    q, k, v = anchored.target_attention.attention.in_proj_weight.chunk(3)
    assert torch.equal(q, 2.5 * torch.eye(64))
    assert torch.equal(k, 2.5 * torch.eye(64))
    assert v.abs().min() > 0
    for block in (anchored.reference_attention, anchored.reference_mixing, anchored.target_mixing):
        assert block.attention.in_proj_weight.abs().min() > 0  # left at random


def test_anchored_attention_adds_nothing_at_first(anchored: PromptEncoder):
    for block in (
        anchored.reference_attention,
        anchored.reference_mixing,
        anchored.target_attention,
        anchored.target_mixing,
    ):
        assert not block.attention.out_proj.weight.any()
        assert not block.attention.out_proj.bias.any()


def test_anchored_prompts_start_as_their_queries_with_sigma_one(anchored: PromptEncoder):
    noise = torch.Generator().manual_seed(0)
    features = torch.randn(2, CHANNELS, 16, 16, generator=noise)
    mask = torch.ones(2, 1, 16, 16)
    with torch.no_grad():
        found = anchored.encode_target(anchored.encode_reference(features, mask), features, mask)
    queries = anchored.queries.weight.detach()
    expected = torch.nn.functional.layer_norm(queries, (64,))  # four times: the first changes nothing of note after
    assert isinstance(found, Gaussian)
    assert torch.equal(found.sigma, torch.ones(2, 50, 64))
    assert torch.allclose(found.mean, expected.expand(2, -1, -1), atol=1e-3)


@pytest.mark.parametrize("label", [0, 1])
def test_labelled_prompts_start_as_points_that_the_pseudo_mask_labels(positions: Tensor, label: int):
    sam = load_sam("tiny", SAM_WEIGHTS)
    embeddings = torch.cat([sam.prompt_encoder.point_embeddings[i].weight.detach() for i in (0, 1)])
    encoder = build(dim=64, grid=16, num_prompts=50, anchors=positions, labels=embeddings)
    features = torch.randn(1, CHANNELS, 16, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.full((1, 1, 16, 16), float(label))
    with torch.no_grad():
        found = encoder.encode_target(encoder.encode_reference(features, mask), features, mask).mean[0]
    cells = [[int(16 * ((0.5 + 0.75488 * k) % 1)), int(16 * ((0.5 + 0.56984 * k) % 1))] for k in range(50)]
    corners = torch.tensor(cells)[None] * 8.0 + 3.5  # `embed_points` adds half a pixel; a cell has 8
    points = [embed_points(sam, corners, torch.full((1, 50), wanted))[0] for wanted in (label, 1 - label)]
    same, other = (torch.cosine_similarity(found, of_sam, dim=1) for of_sam in points)
    assert same.median() > 0.98  # the normalisation takes away the mean, which is large in the image's middle alone
    assert same.min() > 0.85
    assert (same > other).all()


def test_anchored_keys_use_sams_positions_for_the_target_and_sines_for_the_reference(
    anchored: PromptEncoder, positions: Tensor
):
    paper = build(dim=64, grid=16, num_prompts=50)
    assert torch.equal(anchored.target_positions[0], positions.flatten(1).T)
    assert torch.equal(anchored.reference_positions, paper.reference_positions)
    assert torch.equal(paper.target_positions, paper.reference_positions)


def test_anchored_target_keys_enter_the_computation():
    anchors = torch.randn(DIM, GRID, GRID, generator=torch.Generator().manual_seed(2))
    encoder, given = randomised(distribution="dirac", anchors=anchors), inputs()
    expected = by_the_method(encoder, {k: a(v)[0] for k, v in given.items()}, a(anchors.flatten(1).T))
    assert np.abs(a(run(encoder, given).mean[0]) - expected).max() < 1e-5


# ------------------------------------------------------------------------------------------------------ channel dropout


def reduced(encoder: PromptEncoder, features: Tensor, seed: int) -> Tensor:
    """The features after `downsample`, ReLU and dropout: what the prototype averages where the mask is one pixel."""
    mask = torch.zeros(features.shape[0], 1, GRID, GRID)
    mask[:, :, 0, 0] = 1
    code = encoder.encode_reference(features, mask, torch.Generator().manual_seed(seed))
    return code.prototype.detach()[..., 0, 0] * 1.0005


def test_dropout_drops_whole_channels_and_scales_the_rest():
    encoder = randomised(dropout=0.25, dim=64)
    same_everywhere = torch.randn(40, CHANNELS, 1, 1, generator=torch.Generator().manual_seed(0)).expand(
        -1, -1, GRID, GRID
    )
    whole = reduced(encoder, same_everywhere, 0)
    encoder.train()
    dropped = reduced(encoder, same_everywhere, 0)
    alive = whole > 1e-3
    kept = (dropped > 0)[alive]
    assert torch.allclose(dropped[alive][kept], whole[alive][kept] / 0.75, rtol=1e-5)
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.05)
    total = torch.stack([reduced(encoder, same_everywhere, seed) for seed in range(60)]).mean(0)
    assert (total.sum() / whole.sum()).item() == pytest.approx(1, abs=0.02)  # the expectation is preserved


def test_a_dropped_channel_is_zero_at_every_position():
    encoder = randomised(dropout=0.5)
    encoder.train()
    features = inputs()["reference"]
    masks = torch.eye(GRID * GRID).view(-1, 1, GRID, GRID)  # each position alone, with the same dropout for all
    prototypes = [
        encoder.encode_reference(features[:1], mask[None], torch.Generator().manual_seed(3)).prototype for mask in masks
    ]
    per_position = torch.cat(prototypes).detach()[..., 0, 0]
    with torch.no_grad():
        alive = (encoder.downsample(features[:1]) > 0)[0].flatten(1).T
    kept = (per_position > 0).any(0)
    assert torch.equal(per_position > 0, alive & kept)
    assert 0 < kept.sum() < DIM


def test_dropout_follows_its_generator_and_rests_in_evaluation():
    encoder, given = randomised(dropout=0.5), inputs()
    calm = run(encoder, given, 0).mean
    assert torch.equal(run(encoder, given, 1).mean, calm)
    encoder.train()
    assert torch.equal(run(encoder, given, 0).mean, run(encoder, given, 0).mean)
    assert not torch.equal(run(encoder, given, 0).mean, run(encoder, given, 1).mean)
    assert not torch.equal(run(encoder, given, 0).mean, calm)
