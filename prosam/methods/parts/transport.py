"""Exact optimal transport between two sets of places, each of the same weight."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prosam.models.segment_anything import without_package_init

_MOST_STEPS = 1_000_000  # of the network simplex; it needs far fewer


def transport_cost(costs: NDArray[np.floating]) -> float:
    """The least cost of moving the uniform distribution over n places to that over m places.

    Args:
        costs: (n, m), of moving all from one place to another; neither n nor m is 0.
    """
    if 1 in costs.shape:
        return float(costs.mean())  # there is only one way
    return float(_network_simplex()([], [], np.ascontiguousarray(costs, np.float64), numItermax=_MOST_STEPS))


def cost_bounds(costs: NDArray[np.floating]) -> tuple[float, float]:
    """What `transport_cost` is between: what it costs if only one side is kept to, and if all is spread evenly."""
    return max(float(costs.min(1).mean()), float(costs.min(0).mean())), float(costs.mean())


@cache
def _network_simplex() -> Any:
    """POT's solver, without the rest of POT: that imports scikit-learn, which takes seconds."""
    with without_package_init("ot"):
        from ot.lp import emd2
    return emd2
