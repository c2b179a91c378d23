"""A frozen SAM, with the size of image that it is used at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import encode_images
from prosam.models.segment_anything import Sam


@dataclass(frozen=True, kw_only=True)
class FrozenSam:
    """SAM in eval mode.

    Attributes:
        sam: without its image encoder, whose embeddings are stored, unless that was asked for.
        decoder: SAM's, decodes prompts.
        image_size: S, side of the square that images are squashed to.
        align_corners: how mask logits are brought to full size.
        device: of all weights.
    """

    sam: Sam
    decoder: MaskTokenDecoder
    image_size: int
    align_corners: bool
    device: torch.device

    @classmethod
    def of(cls, sam: Sam, *, image_size: int, upsampling: Literal["centres", "corners"], device: torch.device) -> Self:
        """A loaded SAM, on its device.

        Args:
            sam: frozen.
            image_size: S, px.
            upsampling: of mask logits, as in params.yaml.
            device: of its weights.
        """
        return cls(
            sam=sam,
            decoder=MaskTokenDecoder(sam),
            image_size=image_size,
            align_corners=upsampling == "corners",
            device=device,
        )

    def embed(self, images: Tensor) -> Tensor:
        """SAM's embeddings of new images, (B, 3, S, S) uint8 to (B, d, g, g), rounded as those of a store are.

        A few at a time: the attention of ViT-H to a whole image takes gigabytes for each.

        Raises:
            ValueError: the models were loaded without SAM's image encoder.
        """
        if isinstance(self.sam.image_encoder, nn.Identity):
            raise ValueError("these models were loaded without SAM's image encoder")
        at_once = 8 if self.device.type == "cuda" else 1  # one alone has the same bits whatever its neighbours are
        return torch.cat([encode_images(self.sam, part).half() for part in images.split(at_once)]).float()

    def full_size(self, logits: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Mask logits (B, K, r, r) at the image size, or another: (B, K, H, W)."""
        size = size or (self.image_size, self.image_size)
        if logits.shape[-2:] == size:
            return logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=self.align_corners)
