"""The true mask of each episode's target: how large, of how many pieces, and of what shape."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from prosam import layout
from prosam.data.open import open_dataset
from prosam.report.inputs import Setting


def describe_truths(setting: Setting) -> pd.DataFrame:
    """The truth of each episode, all folds after one another.

    Returns:
        Columns fold, target, class_id, share (of the target that the class covers, in [0, 1]), objects (8-connected
        pieces) and solidity (of the largest piece).

    Raises:
        InputError: a mask is missing or damaged.
    """
    dataset = open_dataset(layout.raw(setting.tested_on))
    found: dict[tuple[str, int], tuple[float, int, float]] = {}
    rows = []
    for fold in setting.folds:
        episodes = setting.results[setting.runs[0], fold].episodes
        for target, class_id in zip(episodes["target"].astype(str), episodes["class_id"].astype(int), strict=True):
            if (target, class_id) not in found:
                mask = dataset.mask(target, class_id)
                pieces, objects = ndimage.label(mask, np.ones((3, 3)))
                largest = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]) if objects else mask
                found[target, class_id] = float(mask.mean()), objects, solidity(largest)
            rows.append((fold, target, class_id, *found[target, class_id]))
    return pd.DataFrame(rows, columns=["fold", "target", "class_id", "share", "objects", "solidity"])


def solidity(piece: NDArray[np.bool_]) -> float:
    """The area of a mask by that of its convex hull, in (0, 1]: of pixels as squares, not points; NaN without any.

    Args:
        piece: (H, W).
    """
    filled = np.flatnonzero(piece.any(axis=1))
    if not filled.size:
        return float("nan")
    inside = piece[filled]
    first, end = inside.argmax(axis=1), inside.shape[1] - inside[:, ::-1].argmax(axis=1)
    rows = np.concatenate([filled, filled + 1, filled, filled + 1])
    columns = np.concatenate([first, first, end, end])
    return float(piece.sum() / ConvexHull(np.column_stack([rows, columns]).astype(np.float64)).volume)
