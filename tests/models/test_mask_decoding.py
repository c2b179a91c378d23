"""Decoding many prompt sets on many images at once, against segment-anything's MaskDecoder, one at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from prosam.models.many_prompts import decode_above, decode_many
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import decode_candidates, decode_masks, embed_points
from prosam.models.segment_anything import Sam

B, K = 2, 2
Decode = Callable[[Sam, Tensor, Tensor], Tensor]


def fast(sam: Sam, embedding: Tensor, prompts: Tensor) -> Tensor:
    return MaskTokenDecoder(sam)(embedding, prompts)


DECODERS: tuple[Decode, ...] = (decode_masks, fast)


def original(sam: Sam, embedding: Tensor, prompts: Tensor, *, multimask: bool = False) -> tuple[Tensor, Tensor]:
    """segment-anything's own decoder: one image and one prompt set a call; (B, K, masks, 4g, 4g) and (B, K, masks)."""
    g = sam.prompt_encoder.image_embedding_size[0]
    no_mask = sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(1, -1, g, g)
    masks, ious = [], []
    for image, sets in zip(embedding, prompts, strict=True):
        for prompt_set in sets:
            mask, iou = sam.mask_decoder(
                image_embeddings=image[None],
                image_pe=sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=prompt_set[None],
                dense_prompt_embeddings=no_mask,
                multimask_output=multimask,
            )
            masks.append(mask[0])
            ious.append(iou[0])
    shape = embedding.shape[0], prompts.shape[1]
    return torch.stack(masks).unflatten(0, shape), torch.stack(ious).unflatten(0, shape)


def inputs(sam: Sam, prompts: int = 50, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Embeddings (B, d, g, g) and prompts (B, K, N, d) of the size that SAM's own have."""
    d, g = sam.prompt_encoder.embed_dim, sam.prompt_encoder.image_embedding_size[0]
    noise = torch.Generator().manual_seed(1)
    embedding = torch.randn(B, d, g, g, generator=noise)
    return embedding.to(dtype), torch.randn(B, K, prompts, d, generator=noise).to(dtype)


def assert_close(ours: Tensor, expected: Tensor, tolerance: float) -> None:
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() <= tolerance * max(1.0, expected.abs().max().item())


@pytest.mark.parametrize("prompts", [1, 50])
@torch.no_grad()
def test_many_sets_on_many_images_equal_the_original_one_at_a_time(sam: Sam, prompts: int):
    embedding, sparse = inputs(sam, prompts)
    expected, _ = original(sam, embedding, sparse)
    assert expected.std() > 0.01  # else anything would be close
    for decode in DECODERS:
        assert_close(decode(sam, embedding, sparse), expected[:, :, 0], 1e-5)


@pytest.mark.parametrize("decode", DECODERS)
@torch.no_grad()
def test_images_and_sets_do_not_touch_each_other(sam: Sam, decode: Decode):
    embedding, sparse = inputs(sam, 5)
    together = decode(sam, embedding, sparse)
    assert_close(decode(sam, embedding.flip(0), sparse.flip(0, 1)).flip(0, 1), together, 1e-5)
    assert_close(decode(sam, embedding[1:], sparse[1:, 1:]), together[1:, 1:], 1e-5)


@torch.no_grad()
def test_candidates_are_the_originals_four_masks_and_their_estimated_iou(sam: Sam):
    embedding, sparse = inputs(sam, 5)
    masks, ious = decode_candidates(sam, embedding, sparse[:, 0])
    for multimask, part in ((False, slice(0, 1)), (True, slice(1, None))):
        expected_masks, expected_ious = original(sam, embedding, sparse[:, :1], multimask=multimask)
        assert_close(masks[:, part], expected_masks[:, 0], 1e-5)
        assert_close(ious[:, part], expected_ious[:, 0], 1e-5)


def originals_of_one_image(
    sam: Sam, embedding: Tensor, prompts: Tensor, dense: Tensor, *, multimask: bool
) -> tuple[Tensor, Tensor]:
    """segment-anything's own decoder with a mask input a prompt set, (M, masks, 4g, 4g) and (M, masks)."""
    found = [
        sam.mask_decoder(
            image_embeddings=embedding[None],
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=prompt_set[None],
            dense_prompt_embeddings=one[None],
            multimask_output=multimask,
        )
        for prompt_set, one in zip(prompts, dense, strict=True)
    ]
    return torch.cat([masks for masks, _ in found]), torch.cat([quality for _, quality in found])


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("with_masks", [False, True])
@torch.no_grad()
def test_many_sets_on_one_image_are_the_originals(sam: Sam, multimask: bool, with_masks: bool):
    embeddings, sparse = inputs(sam, 3)
    embedding, prompts = embeddings[0], sparse.flatten(0, 1)[:3]
    drawn = torch.randn(3, 1, *(4 * side for side in embedding.shape[1:]), generator=torch.Generator().manual_seed(2))
    dense = sam.prompt_encoder(points=None, boxes=None, masks=drawn)[1]
    no_mask = sam.prompt_encoder.no_mask_embed.weight[..., None, None].expand_as(dense)
    given = dense if with_masks else None
    masks, quality = decode_many(sam, embedding, prompts, dense=given, multimask=multimask, at_once=2)
    given = dense if with_masks else no_mask
    expected, expected_quality = originals_of_one_image(sam, embedding, prompts, given, multimask=multimask)
    assert expected.std() > 0.01
    assert_close(masks, expected, 1e-5)
    assert_close(quality, expected_quality, 1e-5)


@pytest.mark.parametrize("multimask", [False, True])
@torch.no_grad()
def test_of_good_masks_alone_the_originals_are_decoded(sam: Sam, multimask: bool):
    embeddings, sparse = inputs(sam, 6)
    embedding, prompts = embeddings[0], torch.cat([sparse.flatten(0, 1), sparse.flatten(0, 1) * 3])
    no_mask = sam.prompt_encoder.no_mask_embed.weight[..., None, None]
    dense = no_mask.expand(len(prompts), -1, *embedding.shape[1:])
    expected, estimates = originals_of_one_image(sam, embedding, prompts, dense, multimask=multimask)
    between = estimates.flatten().sort().values
    least = float(between[len(between) // 2 - 1 : len(between) // 2 + 1].mean())  # half of the masks are good
    masks, places, quality = decode_above(sam, embedding, prompts, least, multimask=multimask, at_once=3)
    assert places.tolist() == (estimates > least).nonzero().tolist()
    assert_close(masks, expected[estimates > least], 1e-5)
    assert_close(quality, estimates, 1e-5)
    assert decode_above(sam, embedding, prompts, float(between[-1]) + 1, multimask=multimask)[0].shape == (
        0,
        *expected.shape[-2:],
    )


def test_no_set_gives_no_mask(sam: Sam):
    embedding, sparse = inputs(sam, 3)
    masks, quality = decode_many(sam, embedding[0], sparse[0, :0], multimask=True)
    assert masks.shape == (0, 3, *(4 * side for side in embedding.shape[2:]))
    assert quality.shape == (0, 3)


def masks_and_gradient(sam: Sam, decode: Decode, embedding: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
    """Masks, and the gradient of their mean square with respect to the prompts."""
    prompts = prompts.clone().requires_grad_()
    logits = decode(sam, embedding, prompts)
    (gradient,) = torch.autograd.grad(logits.square().mean(), prompts)
    return logits.detach(), gradient


def first_mask(sam: Sam, embedding: Tensor, prompts: Tensor) -> Tensor:
    return original(sam, embedding, prompts)[0][:, :, 0]


@pytest.fixture
def in_double(sam: Sam, monkeypatch: pytest.MonkeyPatch) -> Sam:
    """The SAM in double precision; segment-anything makes its grid of positions in single precision."""
    positions = sam.prompt_encoder.get_dense_pe().double()
    monkeypatch.setattr(sam.prompt_encoder, "get_dense_pe", lambda: positions)
    return sam.double()


def assert_gradients_equal(sam: Sam, prompts: int, dtype: torch.dtype, tolerance: float) -> None:
    embedding, sparse = inputs(sam, prompts, dtype)
    expected_masks, expected = masks_and_gradient(sam, first_mask, embedding, sparse)
    for decode in DECODERS:
        masks, gradient = masks_and_gradient(sam, decode, embedding, sparse)
        assert (gradient - expected).abs().max() <= tolerance * expected.abs().max()
        assert_close(masks, expected_masks, max(tolerance / 10, 1e-12))
    assert all(p.grad is None and not p.requires_grad for p in sam.parameters())  # they are frozen


def test_gradients_of_prompts_equal_the_originals(sam: Sam):
    assert_gradients_equal(sam, 10, torch.float32, 1e-4)


@pytest.mark.slow
def test_in_double_precision_masks_and_gradients_equal_the_originals_to_rounding(in_double: Sam):
    assert_gradients_equal(in_double, 3, torch.float64, 1e-12)


def points_and_labels() -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(0)
    return torch.rand(4, 3, 2, generator=noise) * 127, torch.randint(0, 2, (4, 3), generator=noise)


def test_embedded_points_are_the_originals_with_its_padding_point(sam: Sam):
    coordinates, labels = points_and_labels()
    expected, _ = sam.prompt_encoder(points=(coordinates, labels), boxes=None, masks=None)
    padded = torch.cat([coordinates, torch.zeros(4, 1, 2)], 1), torch.cat([labels, -torch.ones(4, 1).long()], 1)
    assert_close(embed_points(sam, *padded), expected, 1e-6)
    without_padding = expected[:, :3]
    assert_close(embed_points(sam, coordinates, labels), without_padding, 1e-6)


def test_embedded_boxes_are_the_originals(sam: Sam):
    boxes = torch.tensor([[3.0, 5.0, 60.0, 70.0], [0.0, 0.0, 127.0, 127.0], [10.5, 20.25, 11.0, 90.0]])
    expected, _ = sam.prompt_encoder(points=None, boxes=boxes, masks=None)
    assert_close(embed_points(sam, boxes.view(3, 2, 2), torch.tensor([[2, 3]]).expand(3, 2)), expected, 1e-6)


def test_points_and_a_box_in_one_set_are_the_originals(sam: Sam):
    coordinates, labels = points_and_labels()
    boxes = torch.rand(4, 4, generator=torch.Generator().manual_seed(3)) * 127
    expected, _ = sam.prompt_encoder(points=(coordinates, labels), boxes=boxes, masks=None)
    both = torch.cat([coordinates, boxes.view(4, 2, 2)], 1)
    meanings = torch.cat([labels, torch.tensor([[2, 3]]).expand(4, 2)], 1)
    assert_close(embed_points(sam, both, meanings), expected, 1e-6)
