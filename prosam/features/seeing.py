"""Frozen models at work on one image, for methods that train nothing.

Shape letters as in `prosam.features.seen`, and S side of SAM's square, px; T side of the backbone's square, px.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from prosam.data.images import square_image
from prosam.features.seen import Needs, SeenImage
from prosam.models.backbones import Backbone
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.models.sam import encode_padded


@dataclass(frozen=True)
class Seeing:
    """Computes what a method needs of an image.

    Attributes:
        needs: of the method.
        sam: with its image encoder.
        backbone: on the same device; None if the method needs none.
    """

    needs: Needs
    sam: FrozenSam
    backbone: Backbone | None

    @classmethod
    def of(cls, needs: Needs, models: FrozenModels | FrozenSam) -> Seeing:
        """With the models that a method is given."""
        return cls(needs, models, models.backbone if isinstance(models, FrozenModels) else None)

    @property
    def sam_side(self) -> int:
        """S."""
        return int(self.sam.sam.prompt_encoder.input_image_size[0])

    @property
    def token_side(self) -> int:
        """T: what the backbone was made for, and otherwise the size of the models."""
        assert self.backbone is not None
        return self.backbone.token_square or self.sam.image_size

    def takes_squashed(self, size: int) -> bool:
        """Whether SAM's embeddings of images squashed to `size` px are those that the method needs."""
        if self.needs.geometry != "squashed" or size != self.sam_side:
            return False
        return self.needs.tokens is None or self.needs.first == "sam" or self.token_side == size

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8], stored: Tensor | None = None) -> SeenImage:
        """What the models say of (H, W, 3) RGB.

        Args:
            image: its pixels.
            stored: (D, g, g), SAM's embedding in the geometry that the method needs, if it is known already.
        """
        size = (image.shape[0], image.shape[1])
        if self.needs.picture is not None:
            return SeenImage(size, None, None, self._picture(image, self.needs.picture))
        if self.needs.tokens is None:
            return SeenImage(size, self._embedding(image) if stored is None else stored, None)
        assert self.backbone is not None
        if self.needs.geometry is None:
            return SeenImage(size, None, self._tokens(torch.from_numpy(square_image(image, self.token_side))))
        if self.needs.geometry == "padded":
            tokens = self._tokens(torch.from_numpy(square_image(image, self.token_side)))
            return SeenImage(size, self._embedding(image) if stored is None else stored, tokens)
        if self.needs.first == "tokens":
            of_backbone = square_image(image, self.token_side)
            of_sam = square_image(np.ascontiguousarray(of_backbone.transpose(1, 2, 0)), self.sam_side)
            small = torch.from_numpy(of_backbone)
        else:
            of_sam = square_image(image, self.sam_side)
            # shrunk as the published code does it: bilinear, without antialiasing
            small = torch.from_numpy(of_sam)
            if self.token_side != self.sam_side:
                shape = (self.token_side, self.token_side)
                small = F.interpolate(small[None].float(), shape, mode="bilinear", align_corners=False)[0]
        embedding = stored
        if embedding is None:
            embedding = self.sam.embed(torch.from_numpy(of_sam)[None])[0]
        return SeenImage(size, embedding, self._tokens(small))

    def _embedding(self, image: NDArray[np.uint8]) -> Tensor:
        if self.needs.geometry == "squashed":
            return self.sam.embed(torch.from_numpy(square_image(image, self.sam_side))[None])[0]
        scale = self.sam_side / max(image.shape[:2])
        height, width = (int(side * scale + 0.5) for side in image.shape[:2])
        resized = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))[None]
        return encode_padded(self.sam.sam, pixels).half().float()[0]  # rounded like those of a store

    def _picture(self, image: NDArray[np.uint8], side: int) -> Tensor:
        resized = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(resized).transpose(2, 0, 1).copy()).to(self.sam.device)

    def _tokens(self, square: Tensor) -> Tensor:
        assert self.backbone is not None
        on_device = square[None].to(self.sam.device)
        return self.backbone.tokens(on_device, normed=self.needs.tokens == "normed")[0]
