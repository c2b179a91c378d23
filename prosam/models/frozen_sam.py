"""A frozen SAM, with the image size that it is used at."""

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
        sam: the model. It has its image encoder only if the caller asked for it, since embeddings are usually stored.
        decoder: SAM's mask decoder.
        image_size: S, side of the square that images are squashed to, px.
        align_corners: how mask logits are upsampled; see `torch.nn.functional.interpolate`.
        device: where all weights are.
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
            sam: a frozen model.
            image_size: S, px.
            upsampling: how mask logits are upsampled; `models.upsampling` of params.yaml.
            device: where its weights are.
        """
        return cls(
            sam=sam,
            decoder=MaskTokenDecoder(sam),
            image_size=image_size,
            align_corners=upsampling == "corners",
            device=device,
        )

    def embed(self, images: Tensor) -> Tensor:
        """SAM's embeddings of new images, (B, 3, S, S) uint8 to (B, d, g, g), rounded like those of a store.

        A few images are encoded at a time, since ViT-H's attention to a whole image takes gigabytes an image.

        Raises:
            ValueError: the models were loaded without SAM's image encoder.
        """
        if isinstance(self.sam.image_encoder, nn.Identity):
            raise ValueError("these models were loaded without SAM's image encoder")
        parts = images.split(self.images_at_once)
        return torch.cat([encode_images(self.sam, part).half() for part in parts]).float()

    @property
    def images_at_once(self) -> int:
        """How many images are encoded at a time. On a CPU it is one, so that its bits do not depend on the others."""
        return 8 if self.device.type == "cuda" else 1

    def full_size(self, logits: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Mask logits (B, K, r, r) resized to `size`, by default the image size: (B, K, H, W)."""
        size = size or (self.image_size, self.image_size)
        if logits.shape[-2:] == size:
            return logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=self.align_corners)
