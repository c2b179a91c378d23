"""Which of an image's masks Matcher joins.

Shape letters: K masks.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from prosam.methods.mask_scores import MaskScores

_TINY = 1e-6


@dataclass(frozen=True)
class SelectionSettings:
    """Of the masks that are joined; the defaults are those published for COCO.

    A mask's score is emd x its emd + purity x its purity, where the purity is multiplied by its coverage if `covered`.

    Attributes:
        emd: weight.
        purity: weight.
        covered: see above.
        least_purity: masks below are left out; if all are below, those of the greatest purity stay.
        least_coverage: likewise.
        most: masks that are joined for one reference.
        most_of_several: masks that are joined for several references.
        share_of_best: of the best `most` masks, those with a score greater than that share of the best one's are
            joined. None for the rule of the next two.
        distance: with d = 1 - score, d must be less than that.
        excess: d may exceed the least d by less than that share of the greatest d.
    """

    emd: float = 1.0
    purity: float = 0.0
    covered: bool = False
    least_purity: float = 0.02
    least_coverage: float = 0.0
    most: int = 9
    most_of_several: int = 5
    share_of_best: float | None = None
    distance: float = 0.33
    excess: float = 0.1


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
