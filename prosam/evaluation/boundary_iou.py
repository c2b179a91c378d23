"""Boundary IoU (Cheng et al. 2021): the IoU of the rims of two masks, which papers on PerSeg report beside mIoU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

RIM = 0.02  # width, of the image's diagonal


def rim(mask: NDArray[np.bool_], share: float = RIM) -> NDArray[np.bool_]:
    """The pixels of a mask (H, W) within a distance of what is outside it, as in the authors' code.

    The distance is the greater of that in rows and that in columns. The image's edge is outside as well.

    Args:
        mask: (H, W).
        share: of the image's diagonal; the distance is rounded, and 1 px at least.
    """
    width = max(1, round(share * float(np.hypot(*mask.shape))))
    inside = np.asarray(distance_transform_cdt(np.pad(mask, 1), metric="chessboard"))[1:-1, 1:-1]
    return mask & (inside <= width)


def rim_overlap(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixels of the intersection and of the union of two masks' rims."""
    found, true = rim(prediction), rim(truth)
    return int((found & true).sum()), int((found | true).sum())
