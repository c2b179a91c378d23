"""A second look: masks with edges at the image's own resolution.

SAM's masks have 256 cells a side at most. Enlarged to a photograph's size, they look like blobs. Two things make them
finer:

- Around what was found, a region of the image is shown to the network at its full size, where the object is larger. The
  concept's prompts for that region are decoded, and the two masks' logits are averaged.
- The mask is enlarged under the guidance of the image's colours (`prosam.predictor.guided`).

`python -m prosam.pretraining.photos.edges` measures either; docs/photographs.md has the figures, and what was tried
besides.

Shape letters: H, W size of the image, px, r side of SAM's masks, S side of the network's square input, px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.data.images import square_image
from prosam.methods.fusion import Fusion
from prosam.methods.prompting import PromptConcept, PromptMethod
from prosam.predictor.encoding import ImageEncoder
from prosam.predictor.guided import guided_strips
from prosam.predictor.regions import Region, regions_around

_MOST_LOOKS = 2  # at an image, for one concept
_WEIGHT = 0.5  # of the second look's logits
_SEAM = 0.12  # of a region's sides: where the second look fades into the first
_FINER = 1.5  # the grid of the guided upsampling, relative to r


@dataclass(frozen=True)
class Look:
    """What a second look saw.

    Attributes:
        region: of the image.
        square: (3, S, S) uint8 RGB, the region squashed to a square.
        logits: (r, r), mask logits of the region, those of both looks averaged.
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

    def at(self, concept: PromptConcept, logits: Tensor) -> list[Look]:
        """Look at the regions around a concept's mask.

        Args:
            concept: on the device.
            logits: (r, r), the first look's.

        Returns:
            The looks in the order in which they are painted over one another; none if the mask is empty.
        """
        mask = (logits > 0).cpu().numpy()
        if not mask.any():
            return []
        size = self._image.shape[:2]
        regions = regions_around(mask, size, _MOST_LOOKS)
        looks = [self._look(concept, logits, region) for region in regions]
        if len(regions) != 1 or not _covers(regions[0], mask, size):
            looks.insert(0, Look(Region(0, 0, size[1], size[0]), self._whole_square(), logits))
        return looks

    def _look(self, concept: PromptConcept, logits: Tensor, region: Region) -> Look:
        square = square_image(np.ascontiguousarray(region.of(self._image)), self._method.models.image_size)
        targets = self._encoder.part(square)
        prompts = self._method.fused_prompts(concept, targets, self._fusion).mean()
        second = self._method.decode(targets, prompts)[0, 0]
        first = part_of(logits, region, self._image.shape[:2])
        return Look(region, square, torch.lerp(first, second, _WEIGHT))

    def _whole_square(self) -> NDArray[np.uint8]:
        if self._whole is None:  # the same for all concepts
            self._whole = square_image(self._image, self._method.models.image_size)
        return self._whole


def refined(logits: Tensor, looks: Sequence[Look], image: NDArray[np.uint8]) -> Tensor:
    """A mask at its image's own size.

    Args:
        logits: (r, r), the first look's.
        looks: at the image, at least one.
        image: (H, W, 3) RGB.

    Returns:
        (H, W), positive where the object is: four times the probability's excess over a half, which near the edge is
        the logit.
    """
    size = image.shape[:2]
    first = looks[0].region
    if (first.height, first.width) == size:
        full = logits.new_empty(size)
    else:
        full = F.interpolate(logits.sigmoid()[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        full.sub_(0.5).mul_(4)
    for look in looks:
        region = look.region
        place = full[region.top : region.bottom, region.left : region.right]
        down, across = (
            _fading(length, start > 0, stop < end, full)
            for length, start, stop, end in (
                (region.height, region.top, region.bottom, size[0]),
                (region.width, region.left, region.right, size[1]),
            )
        )
        side = round(_FINER * look.logits.shape[-1])
        probability = _squashed(look.logits, side).sigmoid()
        coarse = F.interpolate(torch.from_numpy(look.square).to(full.device).float()[None], (side, side), mode="area")
        whole = down is None and across is None
        for rows, finer in guided_strips(probability, coarse[0] / 255, region.of(image)):
            values = finer.sub_(0.5).mul_(4)
            if whole:
                place[rows] = values
            else:
                weight = values.new_ones(()) if down is None else down[rows, None]
                place[rows] = place[rows].lerp(values, weight if across is None else weight * across)
    return full


def part_of(logits: Tensor, region: Region, size: tuple[int, int]) -> Tensor:
    """The logits (r, r) of a whole image in a region of it, on r x r cells of the region; bilinear."""
    r = logits.shape[-1]
    cells = (torch.arange(r, device=logits.device) + 0.5) / r
    x = (region.left + cells * region.width) * 2 / size[1] - 1
    y = (region.top + cells * region.height) * 2 / size[0] - 1
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    return F.grid_sample(logits[None, None], places[None], padding_mode="border", align_corners=False)[0, 0]


def _covers(region: Region, mask: NDArray[np.bool_], size: tuple[int, int]) -> bool:
    """Whether no cell of a mask (r, r) lies outside a region or where a second look fades."""
    rows, columns = np.nonzero(mask)
    for found, cells, length, first, last in (
        (rows, mask.shape[0], size[0], region.top, region.bottom),
        (columns, mask.shape[1], size[1], region.left, region.right),
    ):
        if found.min() * length / cells < first or (found.max() + 1) * length / cells > last:
            return False
    return True


def _squashed(logits: Tensor, side: int) -> Tensor:
    return F.interpolate(logits[None, None], (side, side), mode="bilinear", align_corners=False)[0, 0]


def _fading(length: int, at_start: bool, at_end: bool, like: Tensor) -> Tensor | None:
    """(length,) weights that rise from 0 over the first part and fall to 0 over the last; None for 1 throughout."""
    if not at_start and not at_end:
        return None
    places = (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) / length
    weights = torch.ones_like(places)
    if at_start:
        weights = torch.minimum(weights, places / _SEAM)
    if at_end:
        weights = torch.minimum(weights, (1 - places) / _SEAM)
    return weights
