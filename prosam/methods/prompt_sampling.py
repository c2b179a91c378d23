"""Matcher's prompt sampling: many small sets of the matched points, one of which may be just right.

Shape letters: P points, n points in a set, M sets.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_ALL_SUBSETS_UP_TO = 8  # points


@dataclass(frozen=True)
class SamplingSettings:
    """Of the sets; the defaults are those published for COCO.

    Attributes:
        least: points in a set; fewer only if there are fewer.
        most: points in a set; fewer if there are fewer.
        draws: sets of each size, if there are more than 8 points. Of at most 8 points, all sets are used.
        centres: the points are replaced by so many centres of k-means first. None for the points themselves.
        boxed: whether the box around all points is given with each set.
    """

    least: int = 1
    most: int = 6
    draws: int = 64
    centres: int | None = None
    boxed: bool = False


def draw_subsets(points: NDArray[np.int64], settings: SamplingSettings, rng: random.Random) -> list[NDArray[np.int64]]:
    """Sets of points of each size, (M, n, 2) of (P, 2).

    Args:
        points: x and y, px. Their order decides what is drawn.
        settings: of the sets.
        rng: Python's own generator, as in the published code, so that the draws are the same.
    """
    count, sets = len(points), []
    for size in range(min(settings.least, count), min(settings.most, count) + 1):
        if count > _ALL_SUBSETS_UP_TO:
            chosen = [rng.sample(range(count), size) for _ in range(settings.draws)]
        else:
            chosen = [list(subset) for subset in combinations(range(count), size)]
        sets.append(points[np.array(chosen)])
    return sets


def cluster_centres(points: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The centres of k-means, begun by k-means++, truncated to whole px: (count, 2), or (P, 2) if there are fewer."""
    from sklearn.cluster import KMeans  # takes seconds to import

    count = min(count, len(points))
    return KMeans(count, n_init=1, random_state=0).fit(points).cluster_centers_.astype(np.int64)


def centre_grid(count: int, side: int) -> NDArray[np.float64]:
    """The centres of count x count cells of a square of that side: (count^2, 2) x and y, px, row by row."""
    centres = (np.arange(count) + 0.5) / count * side
    return np.stack([np.tile(centres, count), np.repeat(centres, count)], 1)
