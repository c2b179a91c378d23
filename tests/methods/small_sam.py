"""A SAM of segment-anything's own classes at reduced size, with random weights that give masks of both signs."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from prosam.models.segment_anything import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

SIZE = 128  # px of the square
GRID = 8  # of the embedding


@cache
def small_sam() -> Sam:
    """A frozen SAM, the same object for all tests of a process."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sam = Sam(
            image_encoder=ImageEncoderViT(
                img_size=SIZE, patch_size=SIZE // GRID, embed_dim=32, depth=2, num_heads=2, out_chans=64
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=64, image_embedding_size=(GRID, GRID), input_image_size=(SIZE, SIZE), mask_in_chans=16
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(depth=2, embedding_dim=64, mlp_dim=128, num_heads=4),
                transformer_dim=64,
            ),
        )
        for parameter in sam.parameters():  # biases and norms too: zeros and ones would hide a mistake
            parameter.data += 0.02 * torch.randn_like(parameter)
        # masks near the point: sharp attention, and kernels that differ from point to point
        for name, parameter in sam.mask_decoder.named_parameters():
            if "attn" in name and "weight" in name:
                parameter.data *= SHARPNESS
            if "hypernetworks" in name and parameter.ndim == 2:
                parameter.data *= KERNELS
            if "hypernetworks" in name and name.endswith("layers.2.bias"):
                parameter.data -= RARITY
            if name == "output_upscaling.3.bias":
                parameter.data += 1  # a positive upscaled embedding, so that RARITY makes masks smaller
    return sam.eval().requires_grad_(False)


SHARPNESS, KERNELS, RARITY = 6.0, 2.0, -0.6  # chosen by looking: masks of 0 to 50 % of the square, several clusters


def embed_noise(sam: Sam, seed: int) -> Tensor:
    """The embedding (D, g, g) of an image of a few coloured patches."""
    noise = torch.Generator().manual_seed(seed)
    coarse = 255 * torch.rand(1, 3, 5, 5, generator=noise)
    image = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="nearest")
    with torch.no_grad():
        return sam.image_encoder(sam.preprocess(image[0])[None])[0]
