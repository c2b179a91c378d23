"""PerSAM's cascade: SAM is asked again with its own mask, first with the points, then with the mask's box as well.

Shape letters: H and W the image's own size, N points, D channels of an embedding, g side of SAM's grid, r = 4g side of
its masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prosam.methods.parts.padded_square import PaddedSquare
from prosam.models.many_prompts import decode_many
from prosam.models.sam import embed_points
from prosam.models.segment_anything import Sam

_BOX_CORNERS = (2, 3)  # their labels; see `embed_points`
_PADDING = -1


@dataclass(frozen=True)
class Candidate:
    """One mask of SAM.

    Attributes:
        low: (r, r) logits of the square.
        full: (H, W) logits of the image.
        quality: SAM's own estimate of its IoU.
    """

    low: Tensor
    full: Tensor
    quality: float


class Cascade:
    """Decodes points on one image, with SAM's own masks as further prompts."""

    def __init__(self, sam: Sam, embedding: Tensor, square: PaddedSquare, points: Tensor, labels: tuple[int, ...]):
        """Begin with points.

        Args:
            sam: whose decoder.
            embedding: (D, g, g).
            square: the image's place in SAM's square.
            points: (N, 2) x and y, px of the image.
            labels: N times 1 for foreground or 0 for background.
        """
        self._sam, self._embedding, self._square = sam, embedding, square
        self._points, self._labels = points, labels

    def prompts(self, box: Tensor | None = None) -> Tensor:
        """SAM's prompts for the points: (1, N + 1, d) with its padding token, or (1, N + 2, d) with a box's corners."""
        points, labels = self._square.places(self._points), list(self._labels)
        if box is None:
            points, labels = torch.cat([points, points.new_zeros(1, 2)]), [*labels, _PADDING]
        else:
            points = torch.cat([points, self._square.places(box.view(2, 2))])
            labels = [*labels, *_BOX_CORNERS]
        return embed_points(self._sam, points[None], torch.tensor(labels, device=points.device)[None])

    def best(self, low: Tensor, box: Tensor | None = None) -> Candidate:
        """The best of three masks by SAM's own estimate, given a mask.

        Args:
            low: (r, r) logits, the mask that is given.
            box: (4,), the box that is given as well; see `box_of`.
        """
        dense = self._sam.prompt_encoder.mask_downscaling(low[None, None])
        masks, quality = decode_many(self._sam, self._embedding, self.prompts(box), dense=dense, multimask=True)
        chosen = int(quality[0].argmax())
        low = masks[0, chosen]
        return Candidate(low, self._square.full_size(low[None])[0], float(quality[0, chosen]))

    def twice(self, low: Tensor, box: Tensor | None = None) -> Candidate:
        """Both steps: the best mask, then the best mask of its box. The first one stays if it is empty.

        Args:
            low: (r, r) logits of the mask to begin with.
            box: (4,), a box for the first step; PerSAM has none.
        """
        first = self.best(low, box)
        own_box = box_of(first.full > 0)
        return first if own_box is None else self.best(first.low, own_box)


def box_of(mask: Tensor) -> Tensor | None:
    """The least and greatest x and y of an (H, W) bool mask: x0, y0, x1, y1, (4,) int64; None if it is empty."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    return torch.stack([columns[0], rows[0], columns[-1], rows[-1]])
