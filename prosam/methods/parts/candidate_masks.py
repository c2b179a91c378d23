"""SAM's masks of many prompt sets, without the unsure, the unstable, and those that say the same.

All masks of all prompt sets may need gigabytes. They are therefore decoded twice: first to measure those whose quality
suffices, some at a time, then again those that are kept, which are few.

Shape letters: M prompt sets, N prompts a set, d prompt dimension, D channels of an embedding, g side of SAM's grid,
r = 4g side of its masks, s side of the square at which masks are measured, px, K masks kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.models.many_prompts import decode_above, decode_many
from prosam.models.segment_anything import Sam
from prosam.params.rivals import MaskFilter

_SETS_AT_ONCE = 256
_MASKS_AT_ONCE = 32  # at the square's size
_STABILITY_OFFSET = 1.0  # logits


@dataclass(frozen=True)
class PromptSets:
    """Prompt sets of one length.

    Attributes:
        prompts: (M, N, d).
        multimask: whether SAM's three masks are meant, or the single one.
        filter: what a mask needs; None for nothing.
        matched: whether the prompts come from matches with a reference.
    """

    prompts: Tensor
    multimask: bool
    filter: MaskFilter | None
    matched: bool = True


@dataclass(frozen=True)
class _Found:
    """K masks.

    Attributes:
        origins: (K, 3) int64, the group, the prompt set in it, and which of SAM's outputs.
        quality: (K,), SAM's estimates of their IoU.
        boxes: (K, 4) least x and y and greatest x and y, px of the square, float32.
    """

    origins: Tensor
    quality: Tensor
    boxes: Tensor


class CandidateMasks:
    """Decodes prompt sets on one image."""

    def __init__(self, sam: Sam, embedding: Tensor, side: int):
        """Begin with an image.

        Args:
            sam: whose decoder.
            embedding: (D, g, g) of the squashed image.
            side: s.
        """
        self._sam, self._embedding, self._side = sam, embedding, side

    @torch.no_grad()
    def of(self, groups: Sequence[PromptSets], *, overlap: float | None) -> Tensor:
        """Logits (K, r, r) of the masks that pass their filter and are not suppressed by a better one.

        If no mask passes, the one mask of matched prompts that SAM is surest of stands in; the published code fails.

        Args:
            groups: prompt sets, with their filters.
            overlap: of two masks whose boxes have a greater IoU, the one with the smaller estimate is left out. None if
                none is left out.
        """
        passing, spares = [], []
        for number, group in enumerate(groups):
            for start in range(0, len(group.prompts), _SETS_AT_ONCE):
                part = slice(start, start + _SETS_AT_ONCE)
                least = float("-inf") if group.filter is None else group.filter.quality
                masks, places, quality = decode_above(
                    self._sam, self._embedding, group.prompts[part], least, multimask=group.multimask
                )
                good = quality[places[:, 0], places[:, 1]]
                passing.append(self._passing(group.filter, masks, good, _originating(places, (number, start))))
                if group.matched:
                    best = (quality == quality.max()).nonzero()[:1]
                    spares.append((float(quality.max()), _originating(best, (number, start))))
        origins = torch.cat([found.origins for found in passing])
        if not len(origins):
            origins = max(spares, key=lambda spare: spare[0])[1]
        elif overlap is not None:
            boxes, quality = (torch.cat([getattr(found, name) for found in passing]) for name in ("boxes", "quality"))
            origins = origins[without_overlaps(boxes, quality, overlap)]
        return self._again(groups, origins)

    def at_full_size(self, logits: Tensor) -> Tensor:
        """Logits (K, r, r) at the square's size (K, s, s), by way of SAM's square, as segment-anything does it."""
        sam_side = self._sam.image_encoder.img_size
        x = F.interpolate(logits[:, None], (sam_side, sam_side), mode="bilinear", align_corners=False)
        return F.interpolate(x, (self._side, self._side), mode="bilinear", align_corners=False)[:, 0]

    def _passing(self, wanted: MaskFilter | None, masks: Tensor, quality: Tensor, origins: Tensor) -> _Found:
        """Those that are stable enough, of (K, r, r), (K,) and (K, 3)."""
        stable, boxes = [], []
        for part in masks.split(_MASKS_AT_ONCE) if len(masks) else ():
            full = self.at_full_size(part)
            stable.append(stability(full) >= (0 if wanted is None else wanted.stability))
            boxes.append(boxes_around(full > 0))
        kept = torch.cat(stable) if stable else origins.new_zeros(0, dtype=torch.bool)
        if wanted is None:
            kept = torch.ones_like(kept)  # an empty mask, too, which has no stability
        around = torch.cat(boxes) if boxes else quality.new_zeros(0, 4)
        return _Found(origins[kept], quality[kept], around[kept])

    def _again(self, groups: Sequence[PromptSets], origins: Tensor) -> Tensor:
        """Decode the masks that are kept: (K, r, r) in the order of (K, 3)."""
        grid = self._embedding.shape[-1]
        result = self._embedding.new_empty(len(origins), 4 * grid, 4 * grid)
        for number, group in enumerate(groups):
            mine = (origins[:, 0] == number).nonzero()[:, 0]
            for part in mine.split(_SETS_AT_ONCE) if len(mine) else ():
                sets, place = origins[part, 1].unique(return_inverse=True)
                masks, _ = decode_many(self._sam, self._embedding, group.prompts[sets], multimask=group.multimask)
                result[part] = masks[place, origins[part, 2]]
        return result


def _originating(places: Tensor, origin: tuple[int, int]) -> Tensor:
    """(K, 2) prompt sets of a part of a group, and outputs, as (K, 3)."""
    group, start = origin
    return torch.cat([torch.full_like(places[:, :1], group), places[:, :1] + start, places[:, 1:]], 1)


def stability(logits: Tensor) -> Tensor:
    """The IoU of each mask above +1 and above -1, (K,) of (K, s, s); NaN where both are empty."""
    above, below = ((logits > offset).sum((1, 2)) for offset in (_STABILITY_OFFSET, -_STABILITY_OFFSET))
    return above / below


def boxes_around(masks: Tensor) -> Tensor:
    """Least x and y and greatest x and y of (K, s, s) bool masks, (K, 4) float32; an empty mask has 0."""
    rows, columns = masks.any(2), masks.any(1)
    ends = []
    for line in (columns, rows):
        first = line.int().argmax(1)
        last = line.shape[1] - 1 - line.flip(1).int().argmax(1)
        ends.append((first, last))
    (left, right), (top, bottom) = ends
    boxes = torch.stack([left, top, right, bottom], 1).float()
    return boxes * rows.any(1)[:, None]


def without_overlaps(boxes: Tensor, quality: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression: the indices of the boxes (K, 4) that stay, in descending quality (K,).

    A box is left out if its IoU with a better one that stays is greater than `overlap`. Sizes are differences of pixel
    indices, as in segment-anything, so the box of one pixel has no area and suppresses nothing.
    """
    order = quality.sort(descending=True, stable=True).indices
    corners = boxes[order].cpu()
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    left, kept = torch.arange(len(order)), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        first = torch.maximum(corners[left, :2], corners[best, :2])
        last = torch.minimum(corners[left, 2:], corners[best, 2:])
        common = (last - first).clamp_min(0).prod(1)
        left = left[~(common / (areas[left] + areas[best] - common) > overlap)]
    return order[torch.stack(kept).to(order.device)]
