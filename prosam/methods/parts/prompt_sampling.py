"""Matcher's prompt sampling: many small sets of the matched points, one of which may be just right.

Shape letters: P points, n points in a set, M sets.
"""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from prosam.params.rivals import SamplingSettings

_ALL_SUBSETS_UP_TO = 8  # points


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
