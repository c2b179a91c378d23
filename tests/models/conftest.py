"""SAMs to test against segment-anything: the bundled one, and one with the decoder of the published checkpoints."""

from __future__ import annotations

import pytest
import torch

from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.sam import load_sam
from prosam.models.segment_anything import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer


def published_decoder_sam() -> Sam:
    """ViT-B, L and H's prompt encoder and mask decoder (256-d, 64 x 64), random, behind a minimal image encoder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sam = Sam(
            image_encoder=ImageEncoderViT(
                img_size=1024, patch_size=16, embed_dim=8, depth=1, num_heads=1, out_chans=256
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
                transformer_dim=256,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
            ),
        )
        for parameter in sam.parameters():  # biases and norms too: zeros and ones would hide a mistake
            parameter.data += 0.02 * torch.randn_like(parameter)
    return sam.eval().requires_grad_(False)


@pytest.fixture(params=["tiny", "published"])
def sam(request: pytest.FixtureRequest) -> Sam:
    """A frozen SAM; made anew for each test, which may change its precision."""
    return load_sam("tiny", SAM_WEIGHTS) if request.param == "tiny" else published_decoder_sam()
