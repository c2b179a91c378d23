"""Masks from points, scribbles and boxes, for methods that know masks only: SAM itself is asked.

A box is SAM's prompt for boxes, and nothing outside it counts. Of points and scribbles, up to five pixels become
foreground points: the one nearest to the middle of what is drawn, then each time the one farthest from those before it.
SAM's single mask (mask 0) is the answer for all of them. If it is empty, what was drawn stands for the object.

Shape letters: H, W size of an image, px, S side of SAM's square, px, n drawn pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from prosam.data.images import square_image
from prosam.models.frozen_sam import FrozenSam
from prosam.models.many_prompts import decode_many
from prosam.models.sam import embed_points
from prosam.params import AnnotationKind

_MOST_POINTS = 5
_POINT, _PADDING, _CORNERS = 1, -1, (2, 3)  # labels of `embed_points`


@torch.no_grad()
def object_mask(
    models: FrozenSam, pixels: NDArray[np.uint8], drawn: NDArray[np.bool_], kind: AnnotationKind
) -> NDArray[np.bool_]:
    """The object that an annotation marks.

    Args:
        models: SAM with its image encoder, used at its own size.
        pixels: (H, W, 3) uint8 RGB.
        drawn: (H, W), the annotated pixels, not empty.
        kind: of the annotation; a mask is the object already.

    Returns:
        (H, W), not empty.
    """
    if kind == "mask":
        return drawn
    height, width = drawn.shape
    if kind == "box":
        rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
        places = np.array([(columns[0], rows[0]), (columns[-1] + 1, rows[-1] + 1)])
        labels = _CORNERS
    else:
        rows, columns = np.nonzero(drawn)
        spread = spread_points(np.stack([columns, rows], 1).astype(np.float64) + 0.5, _MOST_POINTS)
        places = np.concatenate([spread, np.zeros((1, 2))])  # SAM pads points without a box
        labels = (*[_POINT] * len(spread), _PADDING)
    scale = models.image_size / np.array([width, height])
    coordinates = torch.from_numpy(places * scale - 0.5).float()  # from the centre of the first pixel
    prompts = embed_points(models.sam, coordinates[None].to(models.device), torch.tensor([labels]).to(models.device))
    embedding = models.embed(torch.from_numpy(square_image(pixels, models.image_size))[None])[0]
    logits, _ = decode_many(models.sam, embedding, prompts, multimask=False)
    mask = (models.full_size(logits, (height, width))[0, 0] > 0).cpu().numpy()
    if kind == "box":
        mask &= drawn
    return mask if mask.any() else drawn


def spread_points(places: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """At most `most` of the places (n, 2), far from one another; the first is the one nearest to their mean."""
    chosen = [int(((places - places.mean(0)) ** 2).sum(1).argmin())]
    distances = np.full(len(places), np.inf)
    while len(chosen) < min(most, len(places)):
        distances = np.minimum(distances, ((places - places[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distances.argmax()))
    return places[chosen]
