"""SAM's architectures, and the decoding of many prompt sets on many images at once.

Shape letters: B images, K prompt sets an image, N prompts a set, d prompt dimension, D channels of an embedding (d, or
more where it carries details), g side of the embedding grid, S side of the square input, px.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.decoder_tokens import output_tokens
from prosam.models.embedding_details import split_details, upscaled
from prosam.models.mobile_sam import build_mobile_sam
from prosam.models.sam2 import SAM2_BUILDERS
from prosam.models.sam_lite import build_lite_sam
from prosam.models.segment_anything import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
    sam_model_registry,
)

BUNDLED_SAM = "tiny"
PHOTOGRAPH_SAM = "lite"


def build_tiny_sam() -> Sam:
    """The bundled default: SAM's own classes at 128 px, patch 8, 0.7 M parameters, randomly initialised."""
    size, patch, dim = 128, 8, 64
    grid = size // patch
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=size,
            patch_size=patch,
            embed_dim=96,
            depth=4,
            num_heads=4,
            mlp_ratio=3,
            out_chans=dim,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=8,
            global_attn_indexes=(1, 3),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=dim, image_embedding_size=(grid, grid), input_image_size=(size, size), mask_in_chans=16
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=dim, mlp_dim=256, num_heads=4),
            transformer_dim=dim,
            iou_head_depth=3,
            iou_head_hidden_dim=dim,
        ),
    )


SAM_BUILDERS: dict[str, Callable[[], Sam]] = {
    BUNDLED_SAM: build_tiny_sam,
    PHOTOGRAPH_SAM: build_lite_sam,
    "vit_t": build_mobile_sam,
    "vit_b": sam_model_registry["vit_b"],
    "vit_l": sam_model_registry["vit_l"],
    "vit_h": sam_model_registry["vit_h"],
    **SAM2_BUILDERS,
}


def preprocess(sam: Sam, images: Tensor) -> Tensor:
    """Images as SAM's encoder takes them: resized to its square input, then normalised.

    Args:
        sam: the model that determines the size and the normalisation.
        images: (B, 3, H, W) uint8 RGB.

    Returns:
        (B, 3, S, S) float32.
    """
    x = images.float()
    size = sam.image_encoder.img_size
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
    return (x - sam.pixel_mean) / sam.pixel_std


@torch.no_grad()
def encode_images(sam: Sam, images: Tensor, *, precision: torch.dtype = torch.float32) -> Tensor:
    """SAM's image embeddings: (B, 3, H, W) uint8 to (B, D, g, g).

    Args:
        sam: a model in eval mode.
        images: RGB, on any device.
        precision: type of matrix products and convolutions; norms and softmax stay in float32 (torch's autocast).
    """
    with torch.autocast(sam.device.type, dtype=precision, enabled=precision != torch.float32):
        return sam.image_encoder(preprocess(sam, images.to(sam.device)))


@torch.no_grad()
def encode_padded(sam: Sam, images: Tensor) -> Tensor:
    """SAM's image embeddings in its own geometry: (B, 3, H, W) uint8 to (B, D, g, g).

    Args:
        sam: a model in eval mode.
        images: RGB whose longer side is S. They are normalised and then padded with zeros, right and below.
    """
    size = sam.image_encoder.img_size
    x = (images.to(sam.device).float() - sam.pixel_mean) / sam.pixel_std
    return sam.image_encoder(F.pad(x, (0, size - x.shape[-1], 0, size - x.shape[-2])))


def dense_positions(sam: Sam) -> Tensor:
    """SAM's positional encoding of each cell of the embedding grid, (d, g, g)."""
    return sam.prompt_encoder.get_dense_pe()[0]


def embed_points(sam: Sam, coordinates: Tensor, labels: Tensor) -> Tensor:
    """SAM's sparse prompts for points and box corners, mixed in one batch.

    The values are those of segment-anything's PromptEncoder, which takes points and boxes in separate calls.

    Args:
        sam: the model that owns the embeddings.
        coordinates: (B, N, 2) x, y in px of the square input.
        labels: (B, N) int64: 1 foreground, 0 background, 2 and 3 a box's first and second corner, -1 padding.

    Returns:
        (B, N, d) float32.
    """
    encoder = sam.prompt_encoder
    positions = encoder.pe_layer.forward_with_coords(coordinates + 0.5, encoder.input_image_size)
    meanings = torch.cat([encoder.not_a_point_embed.weight, *(e.weight for e in encoder.point_embeddings)])
    return positions * (labels >= 0)[..., None] + meanings[labels + 1]


def _run_decoder(sam: Sam, embedding: Tensor, prompts: Tensor, dense: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Run the two-way transformer and the upscaler with one prompt set for each image.

    Args:
        sam: whose decoder.
        embedding: (M, D, g, g), with details packed in if the SAM has them.
        prompts: (M, N, d).
        dense: (M, d, g, g), of masks; None for SAM's "no mask".

    Returns:
        The output tokens (M, Q, d), IoU token first, then four mask tokens; and the upscaled embedding
        (M, d / 8, 4g, 4g).
    """
    decoder, size = sam.mask_decoder, embedding.shape[0]
    embedding, details = split_details(sam, embedding)
    tokens = torch.cat([output_tokens(decoder).expand(size, -1, -1), prompts], 1)
    source = embedding + (sam.prompt_encoder.no_mask_embed.weight[..., None, None] if dense is None else dense)
    positions = dense_positions(sam).expand_as(source)
    tokens, source = decoder.transformer(source, positions, tokens)
    return tokens, upscaled(decoder.output_upscaling, source.transpose(1, 2).reshape(embedding.shape), details)


def decode_masks(sam: Sam, embedding: Tensor, prompts: Tensor) -> Tensor:
    """SAM's single-mask output for K prompt sets on each of B images, in one batch.

    segment-anything's MaskDecoder pairs every prompt set with one image; here set (b, k) goes with image b. Only
    mask token 0 is decoded, the one that `multimask_output=False` keeps.

    Args:
        sam: frozen or not; gradients reach whatever requires them.
        embedding: (B, D, g, g) image embeddings.
        prompts: (B, K, N, d) sparse prompts.

    Returns:
        (B, K, 4g, 4g) mask logits.
    """
    b, k = prompts.shape[:2]
    repeated = embedding.repeat_interleave(k, 0) if k > 1 else embedding
    tokens, upscaled = _run_decoder(sam, repeated, prompts.flatten(0, 1))
    kernel = sam.mask_decoder.output_hypernetworks_mlps[0](tokens[:, 1])
    return torch.einsum("mc,mchw->mhw", kernel, upscaled).unflatten(0, (b, k))


def decode_candidates(
    sam: Sam, embedding: Tensor, prompts: Tensor, *, dense: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All four masks and SAM's own estimates of their IoU, for one prompt set an image.

    Args:
        sam: the model whose decoder is run.
        embedding: (M, D, g, g).
        prompts: (M, N, d).
        dense: (M, d, g, g), what SAM's prompt encoder makes of masks; None for its "no mask".

    Returns:
        (M, 4, 4g, 4g) mask logits and (M, 4) estimated IoU.
    """
    decoder = sam.mask_decoder
    tokens, upscaled = _run_decoder(sam, embedding, prompts, dense)
    kernels = [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)]
    masks = torch.einsum("mtc,mchw->mthw", torch.stack(kernels, 1), upscaled)
    return masks, decoder.iou_prediction_head(tokens[:, 0])
