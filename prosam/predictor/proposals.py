"""Proposals for single objects: SAM is asked at places inside a concept's mask, and each connected part is one too.

Shape letters: r side of a square grid of mask logits, cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.models.frozen_sam import FrozenSam
from prosam.models.sam import embed_points

Field = NDArray[np.float32]
Cells = NDArray[np.bool_]

_MOST_SEEDS = 48  # SAM takes some 5 ms for each
# measured on a grid of 128 cells, and scaled to others:
_MEASURED_SIDE = 128
_LEAST_CELLS = 30  # a smaller proposal is a speck
_DENSEST = 4  # cells between seeds, at least
_PEAK_WINDOW = 7  # cells
_LEAST_DEPTH = 1.5  # cells from a seed to the edge of the mask

_LEAST_INSIDE = 0.5  # share of SAM's mask that lies in the concept's
_BELOW = 2.0  # how far below the lowest level a proposal may reach
_COMPONENT_WEIGHT, _COMPONENT_POWER = 0.6, 4
_AT_ONCE = 32  # prompts in one batch of the decoder

_POINT, _PADDING, _CORNERS = 1, -1, (2, 3)  # labels of `embed_points`


@dataclass(frozen=True)
class Levels:
    """Which heights of a concept's logits are looked at.

    Attributes:
        parts: each connected part above one of them is a proposal.
        seeds: SAM is asked at places above it.
    """

    parts: tuple[float, ...]
    seeds: float


ONE_LOOK = Levels(parts=(0,), seeds=0)


@dataclass(frozen=True)
class Proposal:
    """What may be an object.

    Attributes:
        cells: (r, r), its mask.
        field: (r, r) logits; positive in `cells`, and nowhere else.
        score: comparable with those of other proposals.
    """

    cells: Cells
    field: Field
    score: float


def propose(models: FrozenSam, embedding: Tensor, logits: Field, levels: Levels) -> list[Proposal]:
    """Proposals for the objects of a concept's mask, those of SAM and the connected parts of the mask.

    A proposal of SAM scores by SAM's estimate of its IoU, by the share of it that is in the concept's mask, and by the
    concept's mean probability in it. A part of the mask scores by that probability to the fourth: it stands for itself
    where the concept is sure of its outline, and SAM does where it is not.

    Args:
        models: SAM, with its device.
        embedding: (1, D, g, g) of what the logits show.
        logits: (r, r) of the concept.
        levels: see there.
    """
    probability, least = _sigmoid(logits), least_cells(len(logits))
    found, parts = [], []
    for level in levels.parts:
        for part in components(logits > level, least):
            score = _COMPONENT_WEIGHT * float(probability[part].mean()) ** _COMPONENT_POWER
            found.append(Proposal(part, _field_of(part, logits - level), score))
            parts.append(part)
    mask = logits > levels.seeds
    seeds = _seeds(mask)
    boxes = [_box(part) for part in parts]
    places = [((x + 0.5, y + 0.5), (0.0, 0.0)) for y, x in seeds] + boxes
    if not places:
        return found
    labels = [(_POINT, _PADDING)] * len(seeds) + [_CORNERS] * len(boxes)
    for number, (own, quality) in enumerate(_asked(models, embedding, places, labels, len(logits))):
        whole = own > 0
        if number < len(seeds) and not whole[seeds[number]]:
            continue
        cells = whole & (logits > levels.seeds - _BELOW)
        area = int(cells.sum())
        if area < least or (whole & mask).sum() < _LEAST_INSIDE * whole.sum():
            continue
        inside = (cells & mask).sum() / area
        score = max(quality, 0.01) * float(inside) * float(probability[cells].mean())
        found.append(Proposal(cells, _field_of(cells, own), score))
    return found


def least_cells(side: int) -> int:
    """Area of the smallest object on a grid."""
    return max(4, round(_LEAST_CELLS * (side / _MEASURED_SIDE) ** 2))


def components(mask: Cells, least: int = 1) -> list[Cells]:
    """The connected parts of a mask from `least` cells, from the top; each as large as the mask."""
    from scipy import ndimage

    labels, count = cast(tuple[NDArray[np.int32], int], ndimage.label(mask))
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    return [labels == number for number in range(1, count + 1) if areas[number] >= least]


def _seeds(mask: Cells) -> list[tuple[int, int]]:
    """Rows and columns of places in a mask: where it is thickest, and on a grid."""
    from scipy import ndimage

    scale = len(mask) / _MEASURED_SIDE
    depth = cast(NDArray[np.float64], ndimage.distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1]
    smooth = ndimage.gaussian_filter(depth, scale)
    deep = mask & (depth >= max(1.0, scale * _LEAST_DEPTH))
    peaks = np.argwhere((smooth == ndimage.maximum_filter(smooth, max(3, round(scale * _PEAK_WINDOW)))) & deep)
    seeds = [(int(y), int(x)) for y, x in peaks[np.argsort(-depth[*peaks.T], kind="stable")][:_MOST_SEEDS]]
    left = _MOST_SEEDS - len(seeds)
    if left:
        step = max(round(scale * _DENSEST), int(np.ceil((deep.sum() / left) ** 0.5)))
        grid = [(y, x) for y in range(step // 2, len(mask), step) for x in range(step // 2, len(mask), step)]
        seeds += [place for place in grid if deep[place]][:left]
    return seeds


def _box(part: Cells) -> tuple[tuple[float, float], tuple[float, float]]:
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    return (float(columns[0]), float(rows[0])), (float(columns[-1] + 1), float(rows[-1] + 1))


@torch.no_grad()
def _asked(
    models: FrozenSam,
    embedding: Tensor,
    places: Sequence[tuple[tuple[float, float], tuple[float, float]]],
    labels: Sequence[tuple[int, int]],
    side: int,
) -> list[tuple[Field, float]]:
    """SAM's mask logits (r, r) and its estimate of their IoU, for each prompt of two places in cells."""
    # embed_points counts from the centre of the first pixel
    where = torch.tensor(places, dtype=torch.float32, device=models.device) * (models.image_size / side) - 0.5
    meaning = torch.tensor(labels, device=models.device)
    found: list[tuple[Field, float]] = []
    for start in range(0, len(places), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        prompts = embed_points(models.sam, where[part], meaning[part])
        masks, quality = models.decoder.rated(embedding, prompts[None])
        found.extend(zip(masks[0].cpu().numpy(), quality[0].tolist(), strict=True))
    return found


def _field_of(cells: Cells, logits: Field) -> Field:
    """Logits whose sign says what belongs to a proposal; smooth where they already agree."""
    return np.where(cells, np.maximum(logits, 0.1), np.minimum(logits, -0.1)).astype(np.float32)


def _sigmoid(logits: Field) -> Field:
    return np.exp(-np.logaddexp(0, -logits))
