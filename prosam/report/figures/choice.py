"""Which episodes the report shows; they are chosen by rule, not by hand."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Rank = Literal["good", "typical", "bad", "many objects", "irregular"]

RANKS: dict[Rank, tuple[float, float]] = {"good": (0.90, 0.99), "typical": (0.45, 0.55), "bad": (0.01, 0.10)}
MANY = 3  # objects


def choose_episodes(mean_iou: NDArray[np.float64], truths: pd.DataFrame, count: int) -> dict[Rank, list[int]]:
    """Indices of the episodes to show; none appears twice, and few episodes may leave fewer than `count` of a rank.

    Good, typical and bad ones are evenly spread over the `RANKS`, shares of all episodes by IoU. Then, whatever their
    IoU, those with the most objects, at least `MANY`, one of each target; and those whose largest object fills least
    of its convex hull, one of each class.

    Args:
        mean_iou: (E,), over the runs.
        truths: (E,) rows, as `describe_truths` has them.
        count: wanted of each rank.
    """
    order = np.argsort(mean_iou, kind="stable")
    chosen: dict[Rank, list[int]] = {}
    shown: set[int] = set()
    for name, (low, high) in RANKS.items():
        places = np.rint(np.linspace(high, low, count) * (len(order) - 1)).astype(int).tolist()
        chosen[name] = [index for place in dict.fromkeys(places) if (index := int(order[place])) not in shown]
        shown.update(chosen[name])
    numbered = truths.reset_index(drop=True)
    numbered = numbered[~numbered.index.isin(shown)]
    many = numbered[numbered["objects"] >= MANY].sort_values("objects", ascending=False, kind="stable")
    chosen["many objects"] = many.drop_duplicates("target").index[:count].tolist()
    rest = numbered.drop(index=chosen["many objects"]).dropna(subset="solidity")
    irregular = rest.sort_values("solidity", kind="stable").drop_duplicates("class_id")
    chosen["irregular"] = irregular.index[:count].tolist()
    return chosen
