"""Which proposals are the objects: the best first, without duplicates, each cell in one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from prosam.predictor.proposals import Cells, Proposal, components

_SAME_IOU = 0.5  # two proposals that overlap more are one object
_CONTAINED = 0.8  # share of the smaller proposal that makes it a part of the other
_LEAST_SCORE = 0.15
_ENOUGH, _LEAST_SHARE = 0.25, 0.7  # what scores less than that, and less than that share of the best, is mostly a part
_MANY, _SHARE = 6, 0.8  # objects are many of a kind from this number, if this share of them is alike in area
_SURE = 0.3  # score of those that are counted for it: what is seen where there is one object scores less
_ALIKE, _NEARLY_ALIKE = 2.0, 2.5  # factors of the median area
_LEAST_ALIKE = 0.05  # score of another object among many of a kind
_LEAST_LEFT = 0.5  # share of a proposal that better ones leave to it
_COVERED = 0.5  # share of a part of the mask that is in objects, from which on the rest of it goes to the nearest


def choose(proposals: Sequence[Proposal], mask: Cells, *, least: int) -> list[Proposal]:
    """The objects, by score; no two share a cell.

    Args:
        proposals: for the objects of a mask.
        mask: (r, r) of the concept. What no object covers of a part of it goes to the nearest object, if objects
            cover most of the part; otherwise it is dropped.
        least: cells of the smallest object.
    """
    single = _without_duplicates(proposals)
    best = max((one.score for one in single), default=0.0)
    enough = max(_LEAST_SCORE, min(_ENOUGH, _LEAST_SHARE * best))
    return _apart([one for one in single if one.score >= enough], mask, least)


def choose_alike(proposals: Sequence[Proposal], mask: Cells, *, least: int) -> list[Proposal] | None:
    """Many objects of one size, such as coins; None if there are few, or their sizes differ.

    Among many of a kind a lower score is enough for one more of that size. See also `choose`.
    """
    single = _without_duplicates(proposals)
    areas = np.array([one.cells.sum() for one in single if one.score >= _SURE])
    if len(areas) < _MANY:
        return None
    usual = float(np.median(areas))
    if ((areas > usual / _ALIKE) & (areas < usual * _ALIKE)).mean() < _SHARE:
        return None
    found = [
        one
        for one in single
        if one.score >= _LEAST_SCORE
        or (one.score >= _LEAST_ALIKE and usual / _NEARLY_ALIKE < one.cells.sum() < usual * _NEARLY_ALIKE)
    ]
    return _apart(found, mask, least)


def _apart(proposals: Sequence[Proposal], mask: Cells, least: int) -> list[Proposal]:
    """Give each cell to one proposal, the best first; leave out those of which little is left."""
    taken, kept = np.zeros_like(mask), []
    for one in proposals:
        cells = one.cells & ~taken
        if cells.sum() < max(least, _LEAST_LEFT * one.cells.sum()):
            continue
        taken |= cells
        kept.append((cells, one))
    owner = np.zeros(mask.shape, np.int32)
    for number, (cells, _) in enumerate(kept, 1):
        owner[cells] = number
    owner = _filled(owner, mask, least) if kept else owner
    return [_limited(one, owner == number) for number, (_, one) in enumerate(kept, 1)]


def _without_duplicates(proposals: Sequence[Proposal]) -> list[Proposal]:
    """From the best, without those that overlap a better one much or are a part of it, or it of them."""
    kept: list[tuple[Proposal, int]] = []
    for one in sorted(proposals, key=lambda proposal: -proposal.score):
        area = int(one.cells.sum())
        for other, its_area in kept:
            shared = int((one.cells & other.cells).sum())
            if shared > _SAME_IOU * (area + its_area - shared) or shared > _CONTAINED * min(area, its_area):
                break
        else:
            kept.append((one, area))
    return [one for one, _ in kept]


def _filled(owner: NDArray[np.int32], mask: Cells, least: int) -> NDArray[np.int32]:
    """Give the rest of mostly covered parts of the mask to the nearest object."""
    from scipy import ndimage

    nearest = cast(
        NDArray[np.intp], ndimage.distance_transform_edt(owner == 0, return_distances=False, return_indices=True)
    )
    filled = owner.copy()
    for part in components(mask, least):
        rest = part & (owner == 0)
        if rest.any() and rest.sum() <= (1 - _COVERED) * part.sum():
            filled[rest] = owner[tuple(nearest[:, rest])]
    return filled


def _limited(one: Proposal, cells: Cells) -> Proposal:
    """The proposal with these cells."""
    field = np.where(cells, np.maximum(one.field, 0.1), np.minimum(one.field, -0.1))
    return Proposal(cells, field, one.score)
