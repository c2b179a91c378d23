"""The pseudo mask of a target: its similarity to the annotated part of the reference (docs/method.md, step 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.distributed.copies import on_device
from prosam.models.backbones import Backbone

_EPSILON = 1e-7
_WINDOW_STEP = 16  # cells


def annotation_grid(annotation: Tensor, grid: int, *, thin: bool, nearest_in: int | None = None) -> Tensor:
    """An annotation on the grid of the features, 0 or 1.

    Args:
        annotation: (H, W) bool, at the image's own size.
        grid: h.
        thin: whether it consists of points or scribbles. A cell then counts if the annotation touches it. Otherwise a
            cell counts if at least half of it is covered; if there is no such cell, the most covered ones count. An
            annotation therefore never vanishes.
        nearest_in: S, px, for VRP-SAM's way with any kind of annotation: it is sampled at (S, S) and then at the grid,
            each time at the nearest pixel towards the top left. Anything between those pixels is lost, as points mostly
            are. None for the coverage of cells.

    Returns:
        (1, h, h) float32.
    """
    if nearest_in is not None:
        # torch's `nearest` takes pixel floor(i H / S), unlike PIL's, which takes the one about the centre
        square = F.interpolate(annotation[None, None].float(), (nearest_in, nearest_in), mode="nearest")
        return F.interpolate(square, (grid, grid), mode="nearest")[0]
    coverage = F.adaptive_avg_pool2d(annotation[None].float(), grid)
    if thin:
        return (coverage > 0).float()
    return ((coverage >= coverage.max().clamp_max(0.5)) & (coverage > 0)).float()


def foreground_features(level4: Tensor, annotation: Tensor) -> Tensor:
    """The reference's level-4 features inside its annotation.

    Args:
        level4: (C4, h, w), computed from level 3 times the annotation.
        annotation: (1, h, w) 0 or 1, in the host's memory. The number of cells is needed at once, and reading it from a
            GPU would stall.

    Returns:
        (C4, M) for the M annotated cells.
    """
    cells = annotation.flatten().nonzero()[:, 0]
    return level4.flatten(1)[:, on_device(cells, level4.device)]


def mean_foreground(level4: Tensor, annotation: Tensor) -> list[Tensor]:
    """The mean of level 4 over the annotated cells of B references: B times (C4, 1), or (C4, 0) where there are none.

    Args:
        level4: (B, C4, h, h), of whole images.
        annotation: (B, 1, h, h) 0 or 1, in the host's memory.
    """
    cells = [foreground_features(one, annotated) for one, annotated in zip(level4, annotation, strict=True)]
    return [features.mean(1, keepdim=True) if features.shape[1] else features for features in cells]


def annotated_features(backbone: Backbone, level3: Tensor, annotation: Tensor) -> list[Tensor]:
    """The level-4 features of B references in their annotated cells.

    Where the backbone does not hide the surroundings, it is the mean of level 4 of the whole image over these cells.
    Otherwise it is what follows.

    Level 4 is computed only in a window about each annotation. The result is exact, since the window contains all cells
    that affect the annotated ones. All windows of a batch have one size; on a GPU it is a multiple of some cells, since
    cuDNN plans anew for each new size.

    Args:
        backbone: a frozen backbone.
        level3: (B, C3, h, h), level 3 of the references.
        annotation: (B, 1, h, h) 0 or 1, in the host's memory.

    Returns:
        B times (C4, M_b) for the M_b annotated cells, or (C4, 1) for their mean.
    """
    if not backbone.hides_surroundings:
        return mean_foreground(backbone.level4(level3), annotation)
    hidden = level3 * on_device(annotation, level3.device)
    reach, step = backbone.level4_reach, _WINDOW_STEP if level3.device.type == "cuda" else 1
    rows, columns = (_spans(annotation.amax(axes), reach, step) for axes in ((1, 3), (1, 2)))
    windows = [(..., row, column) for row, column in zip(rows, columns, strict=True)]
    level4 = backbone.level4(torch.stack([one[window] for one, window in zip(hidden, windows, strict=True)]))
    return [
        foreground_features(one, cells[window]) for one, cells, window in zip(level4, annotation, windows, strict=True)
    ]


def _spans(occupied: Tensor, reach: int, step: int) -> list[slice]:
    """For each row of (B, h) a span from its first to its last cell that is not 0, with `reach` cells on both sides.

    All spans have one length, which is a multiple of `step` or the whole row.
    """
    side = occupied.shape[1]
    ends = []
    for row in occupied:
        cells = row.nonzero()[:, 0].tolist() or [0]
        ends.append((max(cells[0] - reach, 0), min(cells[-1] + reach + 1, side)))
    length = min(side, -(-max(stop - start for start, stop in ends) // step) * step)
    starts = [min(start, side - length) for start, _ in ends]
    return [slice(start, start + length) for start in starts]


def pseudo_masks(foreground: Sequence[Tensor], target_level4: Tensor, *, normalised: bool) -> Tensor:
    """For each target position the largest cosine similarity to a reference position.

    VRP-SAM takes the maximum over all positions of the reference. Outside the annotation its features are zero and have
    similarity 0, so the maximum of 0 and the similarities to the foreground is the same. As in VRP-SAM, a small number
    added to the product of the two lengths gives features of length 0 the similarity 0.

    Args:
        foreground: B times (C4, M_b), from `foreground_features`.
        target_level4: (B, C4, h, h).
        normalised: whether each target's mask is normalised to [0, 1], as in the paper, or raw, as in VRP-SAM's code.

    Returns:
        (B, 1, h, h) float32.
    """
    b, _, h, w = target_level4.shape
    rows = []
    for reference, positions in zip(foreground, target_level4.flatten(2), strict=True):
        if reference.shape[1] == 0:
            rows.append(positions.new_zeros(h * w))
            continue
        lengths = reference.norm(dim=0)[:, None] * positions.norm(dim=0)
        similarity = (reference.T @ positions / (lengths + _EPSILON)).amax(0)
        rows.append(similarity.clamp_min(0) if reference.shape[1] < h * w else similarity)
    mask = torch.stack(rows)
    if normalised:
        low, high = mask.amin(1, keepdim=True), mask.amax(1, keepdim=True)
        mask = (mask - low) / (high - low + _EPSILON)
    return mask.view(b, 1, h, w)
