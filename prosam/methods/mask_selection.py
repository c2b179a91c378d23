"""Which of an image's masks Matcher joins.

Shape letters: K masks.
"""

from __future__ import annotations

from torch import Tensor

from prosam.methods.mask_scores import MaskScores
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
    weight = coverage[left] if settings.covered else 1
    total = settings.emd * scores.emd(left.tolist()) + settings.purity * purity[left] * weight
    ranked, order = total.sort(descending=True, stable=True)
    most = settings.most if shots == 1 else settings.most_of_several
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
