"""Guided upsampling: a mask is enlarged to an image's own resolution and follows the image's own edges.

The fast guided filter (He and Sun 2015): in each small window, the mask's probability is fitted as a linear function of
the colour. The fits are made on a coarse grid. They vary slowly, so they are enlarged and applied to the image's own
pixels.

Shape letters: H, W size of the image, px, s side of the coarse grid, R radius of the windows, in cells.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_RADIUS = 6  # R
_EPSILON = 1e-3  # of colours in [0, 1]; it smooths over what varies less than its root, which is 3 %
_STRIP_PIXELS = 1 << 18  # so that a strip stays in the processor's cache


def guided_strips(
    probability: Tensor, coarse: Tensor, pixels: NDArray[np.uint8], *, radius: int = _RADIUS, epsilon: float = _EPSILON
) -> Iterator[tuple[slice, Tensor]]:
    """Enlarge a mask to an image, a strip of rows at a time.

    Args:
        probability: (s, s) in [0, 1], of the whole image squashed to a square.
        coarse: (3, s, s), the image squashed likewise, colours in [0, 1].
        pixels: (H, W, 3) RGB.
        radius: R.
        epsilon: of the fits, see `local_fits`.

    Yields:
        The rows, and the probability in them, (rows, W); it may leave [0, 1] somewhat.
    """
    height, width = pixels.shape[:2]
    fits = local_fits(probability, coarse, radius, epsilon)
    fits = F.interpolate(fits[None], (fits.shape[1], width), mode="bilinear", align_corners=False)[0]
    step = max(_STRIP_PIXELS // width, 1)
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        weights, cells = _row_weights(rows, height, fits.shape[1])
        at_pixels = weights.to(fits.device) @ fits[:, cells]  # (4, rows, W)
        colours = torch.from_numpy(np.ascontiguousarray(pixels[rows].transpose(2, 0, 1))).to(fits.device)
        yield rows, at_pixels[3] + (at_pixels[:3] * colours).sum(0) / 255


def local_fits(values: Tensor, colours: Tensor, radius: int, epsilon: float) -> Tensor:
    """Ridge regressions of values on colours, one for each window of (2 R + 1)^2 cells, averaged over windows.

    Args:
        values: (h, w).
        colours: (3, h, w).
        radius: R.
        epsilon: the ridge, added to the colours' variances.

    Returns:
        (4, h, w): three slopes and an intercept for each cell, the means of the fits of all windows it lies in.
    """
    r, g, b = colours
    means = _window_means(torch.stack([r, g, b, values, r * r, r * g, r * b, g * g, g * b, b * b]), radius)
    mean_r, mean_g, mean_b, mean_value = means[:4]
    rr, gg, bb = (means[i] - m * m + epsilon for i, m in ((4, mean_r), (7, mean_g), (9, mean_b)))
    rg, rb, gb = means[5] - mean_r * mean_g, means[6] - mean_r * mean_b, means[8] - mean_g * mean_b
    covariance = _window_means(colours * values, radius) - means[:3] * mean_value
    # the inverse of the symmetric 3 x 3 matrix by its cofactors
    c00, c01, c02 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c11, c12, c22 = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * c00 + rg * c01 + rb * c02
    x, y, z = covariance
    slopes = torch.stack([c00 * x + c01 * y + c02 * z, c01 * x + c11 * y + c12 * z, c02 * x + c12 * y + c22 * z])
    slopes = slopes / determinant
    intercept = mean_value - (slopes * means[:3]).sum(0)
    return _window_means(torch.cat([slopes, intercept[None]]), radius)


def _window_means(x: Tensor, radius: int) -> Tensor:
    """(C, h, w), each the mean of the window's cells that exist."""
    side = 2 * radius + 1
    x = F.avg_pool2d(x[None], (side, 1), 1, (radius, 0), count_include_pad=False)
    return F.avg_pool2d(x, (1, side), 1, (0, radius), count_include_pad=False)[0]


def _row_weights(rows: slice, height: int, cells: int) -> tuple[Tensor, slice]:
    """Bilinear interpolation of some of H rows from s rows of cells: (rows, n) weights, and the n rows of cells."""
    places = ((torch.arange(rows.start, rows.stop) + 0.5) * cells / height - 0.5).clamp(0, cells - 1)
    first, last = int(places[0]), min(int(places[-1]) + 1, cells - 1)
    among = torch.arange(first, last + 1)
    return (1 - (places[:, None] - among).abs()).clamp_min(0), slice(first, last + 1)
