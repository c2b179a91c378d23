"""SAM's own geometry: the longest side of an image is resized to the square's, the rest is padded right and below.

Shape letters: H and W the image's own size, S side of the square, g side of SAM's grid, r side of its masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from prosam.distributed.copies import cpu_unless_cuda


@dataclass(frozen=True)
class PaddedSquare:
    """One image in SAM's square.

    Attributes:
        size: H and W, px.
        side: S, px.
    """

    size: tuple[int, int]
    side: int

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width of the image inside the square, px."""
        scale = self.side / max(self.size)
        return int(self.size[0] * scale + 0.5), int(self.size[1] * scale + 0.5)

    def places(self, points: Tensor) -> Tensor:
        """Points (N, 2), x and y in px of the image, in px of the square; float32."""
        (height, width), (h, w) = self.size, self.resized
        there = points.to(cpu_unless_cuda(points.device)).double()
        return (there * there.new_tensor([w / width, h / height])).float().to(points.device)

    def full_size(self, maps: Tensor) -> Tensor:
        """Maps (N, r, r) of the square as maps (N, H, W) of the image: to S, cropped, then to the image's size."""
        square = F.interpolate(maps[:, None], (self.side, self.side), mode="bilinear", align_corners=False)
        h, w = self.resized
        return F.interpolate(square[..., :h, :w], self.size, mode="bilinear", align_corners=False)[:, 0]

    def annotated_cells(self, mask: Tensor, grid: int, *, painted: int, mean: float, std: float) -> Tensor:
        """The cells of SAM's grid that an annotation covers, as PerSAM decides it.

        The annotation is resized as an image, normalised and padded. A cell reads the four pixels about its centre and
        counts if they are above the normalisation's mean on average. An annotation that covers no cell in this sense
        gets the cell that holds most of its pixels; the published code computes NaN from it.

        Args:
            mask: (H, W) bool.
            grid: g.
            painted: value of the annotation's pixels, at most 255. What is compared with it is `mean`.
            mean: of the normalisation's first channel.
            std: of the same.

        Returns:
            (g, g) bool; without any cell only if the mask has no pixel.
        """
        h, w = self.resized
        picture = Image.fromarray(mask.cpu().numpy().astype(np.uint8) * np.uint8(painted))
        pixels = torch.from_numpy(np.asarray(picture.resize((w, h), Image.Resampling.BILINEAR)).copy()).float()
        square = torch.zeros(self.side, self.side)
        square[:h, :w] = (pixels - mean) / std
        cells = F.interpolate(square[None, None], (grid, grid), mode="bilinear", align_corners=False)[0, 0] > 0
        if not cells.any() and mask.any():
            places = (mask.nonzero().cpu().double() + 0.5) * (self.side / max(self.size)) * (grid / self.side)
            rows, columns = places.long().clamp_max(grid - 1).unbind(1)
            cells.flatten()[torch.bincount(rows * grid + columns).argmax()] = True
        return cells.to(mask.device)
