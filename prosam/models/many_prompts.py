"""Many prompt sets on one image: SAM's full decoder, as methods that train nothing use it.

Shape letters: M prompt sets, N prompts a set, d prompt dimension, D channels of an embedding, g side of its grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prosam.models.sam import decode_candidates
from prosam.models.segment_anything import Sam


@torch.no_grad()
def decode_many(
    sam: Sam, embedding: Tensor, prompts: Tensor, *, dense: Tensor | None = None, multimask: bool, at_once: int = 64
) -> tuple[Tensor, Tensor]:
    """Masks of M prompt sets on one image, and SAM's own estimates of their IoU.

    Args:
        sam: whose decoder.
        embedding: (D, g, g).
        prompts: (M, N, d), see `prosam.models.sam.embed_points`.
        dense: (M, d, g, g), what SAM's prompt encoder makes of a mask a prompt set; None for its "no mask".
        multimask: masks 1 to 3, otherwise mask 0 alone.
        at_once: prompt sets decoded at a time, which bounds the memory.

    Returns:
        (M, 3 or 1, 4g, 4g) logits and (M, 3 or 1) estimates.
    """
    wanted = slice(1, 4) if multimask else slice(0, 1)
    masks, quality = [], []
    for start in range(0, len(prompts), at_once):
        part = prompts[start : start + at_once]
        images = embedding.expand(len(part), -1, -1, -1)
        found, estimates = decode_candidates(
            sam, images, part, dense=None if dense is None else dense[start : start + at_once]
        )
        masks.append(found[:, wanted])
        quality.append(estimates[:, wanted])
    return torch.cat(masks), torch.cat(quality)
