"""SAM `lite`: an embedding with details, decoded the same way by all decoders."""

from __future__ import annotations

import pytest
import torch

from prosam.models.embedding_details import as_image, as_tokens, embedding_channels, split_details
from prosam.models.many_prompts import decode_many
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import SAM_BUILDERS, decode_candidates, decode_masks, encode_images, preprocess
from prosam.models.sam_lite import build_lite_sam
from prosam.models.segment_anything import Sam
from tests.models.random_weights import random_images, randomise, relative_difference


@pytest.fixture(scope="module")
def sam() -> Sam:
    lite = build_lite_sam(128)
    randomise(lite.state_dict())
    return lite.eval().requires_grad_(False)


@pytest.mark.parametrize("factor", [2, 4])
def test_details_come_back_from_tokens_in_their_places(factor: int):
    image = torch.randn(2, 3, 5 * factor, 5 * factor)
    tokens = as_tokens(image, 5)
    assert tokens.shape == (2, 25, factor**2, 3)
    assert torch.equal(as_image(tokens), image)
    corner = image[0, :, :factor, :factor].flatten(1).T  # the first cell's, in whatever order
    assert torch.equal(tokens[0, 0].sort(0).values, corner.sort(0).values)


@torch.no_grad()
def test_the_embedding_holds_the_necks_parts(sam: Sam):
    images = random_images(2, 128)
    embedding = encode_images(sam, images)
    assert embedding.shape == (2, embedding_channels(sam), 32, 32)
    assert embedding_channels(sam) == 64 + 4 * 16 + 16 * 8
    core, details = split_details(sam, embedding)
    assert details is not None
    expected = sam.image_encoder.neck.parts(sam.image_encoder.trunk.stages(preprocess(sam, images)))
    for found, part in zip((core.flatten(2).transpose(1, 2), *details), expected, strict=True):
        assert relative_difference(found, part) < 1e-4


@torch.no_grad()
def test_the_fast_decoder_equals_the_readable_one(sam: Sam):
    embedding = encode_images(sam, random_images(2, 128))
    prompts = torch.randn(2, 3, 5, 64, generator=torch.Generator().manual_seed(0))
    slow, fast = decode_masks(sam, embedding, prompts), MaskTokenDecoder(sam)(embedding, prompts)
    assert slow.shape == (2, 3, 128, 128)
    assert slow.std() > 0.01
    assert relative_difference(fast, slow) < 1e-4
    candidates, _ = decode_candidates(sam, embedding, prompts[:, 0])
    assert relative_difference(candidates[:, 0], slow[:, 0]) < 1e-4


@torch.no_grad()
def test_many_sets_on_one_image_are_the_candidates(sam: Sam):
    embedding = encode_images(sam, random_images(1, 128))
    prompts = torch.randn(21, 2, 64, generator=torch.Generator().manual_seed(0))  # more than a CPU takes at once
    masks, quality = decode_candidates(sam, embedding.expand(21, -1, -1, -1), prompts)
    assert masks.std() > 0.01
    for multimask, part in ((False, slice(0, 1)), (True, slice(1, None))):
        found, estimates = decode_many(sam, embedding[0], prompts, multimask=multimask)
        assert relative_difference(found, masks[:, part]) < 1e-4
        assert relative_difference(estimates, quality[:, part]) < 1e-4


@torch.no_grad()
def test_without_details_it_is_segment_anythings_own_decoder(sam: Sam):
    embedding = encode_images(sam, random_images(1, 128))
    plain = embedding.clone()
    plain[:, 64:] = 0
    prompts = torch.randn(1, 1, 5, 64, generator=torch.Generator().manual_seed(0))
    expected, _ = sam.mask_decoder(
        image_embeddings=plain[:, :64],
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=prompts[:, 0],
        dense_prompt_embeddings=sam.prompt_encoder.no_mask_embed.weight[..., None, None].expand(1, 64, 32, 32),
        multimask_output=False,
    )
    assert relative_difference(decode_masks(sam, plain, prompts), expected) < 1e-4
    assert relative_difference(decode_masks(sam, embedding, prompts), expected) > 1e-3  # and details do matter


@pytest.mark.parametrize("size", [256, 384, 512])
@torch.no_grad()
def test_the_grid_does_not_depend_on_the_images_size(size: int):
    sam = SAM_BUILDERS["lite"]().eval()
    sam.image_encoder.img_size = size
    assert encode_images(sam, random_images(1, size)).shape == (1, 256, 32, 32)
