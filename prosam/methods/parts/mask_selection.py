"""Which of an image's masks Matcher joins.

Shape letters: K masks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prosam.methods.parts.mask_scores import MaskScores
from prosam.params.rivals import SelectionSettings

_TINY = 1e-6


def selected(scores: MaskScores, settings: SelectionSettings, *, shots: int) -> tuple[Tensor, float]:
    """The indices of the masks that are joined, the best one first, and its score.

    Args:
        scores: of K masks.
        settings: of the rule.
        shots: number of references.
    """
    purity, coverage = scores.purity(), scores.coverage()
    # the transport costs most, and neither filter looks at it
    left = above_least(coverage, settings.least_coverage).nonzero()[:, 0]
    left = left[above_least(purity[left], settings.least_purity)]
    most = settings.most if shots == 1 else settings.most_of_several
    if settings.share_of_best is None and settings.emd == 1 and settings.purity == 0:
        left = left[_needed(scores, left, settings, most)]
    weight = coverage[left] if settings.covered else 1
    total = settings.emd * scores.emd(left.tolist()) + settings.purity * purity[left] * weight
    ranked, order = total.sort(descending=True, stable=True)
    if settings.share_of_best is None:
        distance = 1 - ranked
        relative = (distance - distance[0]) / (distance[-1] + _TINY)
        good = (distance < settings.distance) & (relative < settings.excess)
    else:
        good = ranked > settings.share_of_best * ranked[0]
        good[most:] = False
    good[0] = True
    return left[order[good][:most]], float(ranked[0])


def above_least(values: Tensor, least: float) -> Tensor:
    """Which of the values (K,) are at least `least`, or the greatest there is: (K,) bool."""
    return values >= min(least, float(values.max()))


def _needed(scores: MaskScores, left: Tensor, settings: SelectionSettings, most: int) -> Tensor:
    """Which masks, of those left, the choice depends on: positions in ascending order.

    The choice depends on the masks of the least distances, and on the greatest distance. The bounds of the distances
    show which masks can be neither, so that their transport need not be computed.
    """
    least, greatest = scores.emd_bounds(left.tolist())
    low, high = 1 - greatest, 1 - least  # of the distance d
    first = high.min()  # the least d is at most that
    # a mask is chosen if it is the best, or close enough to it and among the first `most`
    close = torch.minimum(first + settings.excess * (high.max() + _TINY), first.new_tensor(settings.distance))
    near = low <= torch.maximum(first, close)
    if len(high) > most:
        near &= low <= high.kthvalue(most).values
    farthest = high >= low.max()
    return (near | farthest).nonzero()[:, 0]
