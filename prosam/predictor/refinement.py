"""A second look: masks with edges at the image's own resolution.

SAM's masks have 256 cells a side at most. Enlarged to a photograph's size, they look like blobs. Two things make them
finer:

- The network is shown the region around the mask, where the object is larger than in the whole image. The concept's
  prompts for that region are decoded, and the logits of both looks are averaged. The region is mirrored, because two
  looks that differ more make fewer mistakes in common.
- The mask is enlarged under the guidance of the image's colours, see `prosam.predictor.guided`.

`python -m prosam.pretraining.photos.edges` measures the result.

Shape letters: H, W size of the image, px, r side of SAM's masks, S side of the network's square input, px.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.data.images import square_image
from prosam.distributed.copies import cpu_unless_cuda
from prosam.methods.fusion import Fusion
from prosam.methods.prompting import PromptConcept, PromptMethod
from prosam.predictor.encoding import ImageEncoder
from prosam.predictor.guided import guided_strips
from prosam.predictor.region import Region, region_around

_WEIGHT = 0.5  # of the second look's logits
_SEAM = 0.12  # of a region's sides: there the second look fades into the first
_FINER = 1.5  # the side of the guided upsampling's coarse grid, relative to r


@dataclass(frozen=True)
class Look:
    """What both looks saw of a concept in a region.

    Attributes:
        region: of the image; it holds the whole mask of the first look.
        square: (3, S, S) RGB, the region squashed to a square.
        logits: (r, r), mask logits of the region.
    """

    region: Region
    square: NDArray[np.uint8]
    logits: Tensor


class SecondLook:
    """Looks at an image once more, where concepts were found."""

    def __init__(self, method: PromptMethod, encoder: ImageEncoder, fusion: Fusion, image: NDArray[np.uint8]):
        """Begin with an image.

        Args:
            method: the method.
            encoder: encodes regions of the image.
            fusion: how the prompts of several references are fused.
            image: (H, W, 3) RGB.
        """
        self._method, self._encoder, self._image = method, encoder, image
        self._fusion: Fusion = fusion
        self._whole: NDArray[np.uint8] | None = None

    def at(self, concept: PromptConcept, logits: Tensor) -> Look | None:
        """Look at the region around a concept's mask; None if the mask is empty.

        If the mask takes up most of the image, nothing is decoded once more: the look is at the whole image, with the
        logits of the first look.

        Args:
            concept: on the device.
            logits: (r, r), the first look's.
        """
        mask = (logits > 0).cpu().numpy()
        if not mask.any():
            return None
        height, width = self._image.shape[:2]
        region = region_around(mask, (height, width))
        if region is None:
            return Look(Region(0, 0, width, height), self._whole_square(), logits)
        square = square_image(np.ascontiguousarray(region.of(self._image)), self._method.models.image_size)
        targets = self._encoder.part(square[:, :, ::-1])
        prompts = self._method.fused_prompts(concept, targets, self._fusion).mean()
        second = self._method.decode(targets, prompts)[0, 0].flip(-1)
        first = part_of(logits, region, (height, width), align_corners=self._method.models.align_corners)
        return Look(region, square, torch.lerp(first, second, _WEIGHT))

    def _whole_square(self) -> NDArray[np.uint8]:
        if self._whole is None:  # the same for all concepts
            self._whole = square_image(self._image, self._method.models.image_size)
        return self._whole


def refined(logits: Tensor, look: Look, image: NDArray[np.uint8], *, align_corners: bool) -> Tensor:
    """A mask at its image's own size.

    Args:
        logits: (r, r), the first look's.
        look: at the image.
        image: (H, W, 3) RGB.
        align_corners: see `FrozenSam`.

    Returns:
        (H, W), positive where the object is: four times the probability's excess over a half, which near the edge is
        the logit.
    """
    size, region = image.shape[:2], look.region

    def enlarged(values: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(values[None, None], size, mode="bilinear", align_corners=align_corners)[0, 0]

    if (region.height, region.width) == size:
        full = logits.new_empty(size)
    else:
        full = _from_probability(enlarged(logits.sigmoid(), size))
    place = full[region.top : region.bottom, region.left : region.right]
    down = _fading(region.height, region.top > 0, region.bottom < size[0]).to(full.device)
    across = _fading(region.width, region.left > 0, region.right < size[1]).to(full.device)
    side = round(_FINER * look.logits.shape[-1])
    probability = enlarged(look.logits, (side, side)).sigmoid()
    square = torch.from_numpy(look.square).to(cpu_unless_cuda(full.device)).float()
    coarse = (F.interpolate(square[None], (side, side), mode="area")[0] / 255).to(full.device)
    for rows, finer in guided_strips(probability, coarse, region.of(image)):
        values = _from_probability(finer)
        if place.shape != full.shape:
            values = place[rows].lerp(values, down[rows, None] * across)
        place[rows] = values
    return full


def part_of(logits: Tensor, region: Region, size: tuple[int, int], *, align_corners: bool) -> Tensor:
    """The logits of a whole image in a region of it, on as many cells; bilinear.

    Args:
        logits: (r, r).
        region: of the image.
        size: (H, W) of the image.
        align_corners: see `FrozenSam`.

    Returns:
        (r, r).
    """
    rim = 0.5 if align_corners else 0.0  # px from the edge to where the outermost cells' places in [-1, 1] begin
    r, there = logits.shape[-1], cpu_unless_cuda(logits.device)
    cells = torch.arange(r, device=there)
    shares = cells / (r - 1) if align_corners else (cells + 0.5) / r
    x, y = (
        2 * (start + shares * (length - 2 * rim)) / (whole - 2 * rim) - 1
        for start, length, whole in ((region.left, region.width, size[1]), (region.top, region.height, size[0]))
    )
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
    whole = logits[None, None].to(there)
    part = F.grid_sample(whole, places, padding_mode="border", align_corners=align_corners)
    return part[0, 0].to(logits.device)


def _from_probability(probability: Tensor) -> Tensor:
    """See `refined`; in place, since images are large."""
    return probability.sub_(0.5).mul_(4)


def _fading(length: int, at_start: bool, at_end: bool) -> Tensor:
    """(length,) weights of 1 that rise from 0 at the start and fall to 0 at the end, as asked for."""
    places = (torch.arange(length) + 0.5) / (length * _SEAM)
    weights = torch.ones(length)
    if at_start:
        weights = torch.minimum(weights, places)
    return torch.minimum(weights, places.flip(0)) if at_end else weights
