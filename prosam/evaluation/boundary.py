"""The boundary F-score: how well the edges of two masks agree (Martin et al. 2004, as DAVIS and others use it).

IoU hardly notices edges: on a large object, a rim of a few pixels is a percent of the area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

BOUNDARY_TOLERANCE = 0.0075  # of the image's diagonal


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask (H, W) that have one of their four neighbours outside it.

    Beyond the image the mask continues as at its edge: an object that the image cuts off has no boundary there.
    """
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def boundary_f(prediction: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """The harmonic mean of two shares: of each mask's boundary, the part that is near the other's.

    Args:
        prediction: (H, W).
        truth: (H, W).
        tolerance: the Euclidean distance that counts as near, as a share of the image's diagonal.

    Returns:
        In [0, 1]. Two masks without a boundary, such as two empty ones, agree; one without disagrees with one that has
        a boundary.
    """
    found, true = boundary(prediction), boundary(truth)
    if not found.any() or not true.any():
        return float(found.any() == true.any())
    near = tolerance * float(np.hypot(*truth.shape))
    precision = float((_distance_to(true)[found] <= near).mean())
    recall = float((_distance_to(found)[true] <= near).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _distance_to(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(H, W), each pixel's distance to the nearest of some, px."""
    return np.asarray(distance_transform_edt(~pixels))
