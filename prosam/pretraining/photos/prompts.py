"""Points and boxes on the objects of a photograph, as an annotator would give them to SAM.

Coordinates are shares of the image's side, so that they fit any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.models.segment_anything import Sam
from prosam.pretraining.click_prompts import BACKGROUND, BOX_END, BOX_START, FOREGROUND, PADDING
from prosam.pretraining.photos.views import MASK_SIDE, View

PHOTO_PROMPT_KINDS = ("one point", "points", "box", "several objects")
PROMPT_SLOTS = 13  # of an example: two points on each of six objects, and one beside them
_MOST_OBJECTS = 6
_JITTER = 0.05  # of a box's sides, at most, as a share of its width or height
_BACKGROUND_SHARE = 0.4  # of the prompts with points that have one beside the object


@dataclass(frozen=True)
class PhotoPrompt:
    """A prompt and the mask it asks for.

    Attributes:
        places: (PROMPT_SLOTS, 2) float32 x, y in [0, 1].
        labels: (PROMPT_SLOTS,) int64, see `prosam.models.sam.embed_points`.
        mask: (R, R) bool.
    """

    places: NDArray[np.float32]
    labels: NDArray[np.int64]
    mask: NDArray[np.bool_]


def draw_photo_prompt(view: View, index: int, kind: str, rng: np.random.Generator, *, smallest: int) -> PhotoPrompt:
    """A random prompt.

    Args:
        view: of a photo.
        index: of the object in question.
        kind: of PHOTO_PROMPT_KINDS; `several objects` are of the category of that object, it among them.
        rng: source of randomness.
        smallest: cells of the smallest object that is one of several.
    """
    places, labels, mask = np.zeros((PROMPT_SLOTS, 2), np.float32), np.full(PROMPT_SLOTS, PADDING), view.mask(index)
    if kind == "box":
        rows, columns = np.nonzero(mask)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / MASK_SIDE
        sides = np.tile(box[2:] - box[:2], 2)
        box = (box + rng.uniform(-_JITTER, _JITTER, 4) * sides).clip(0, 1)
        places[:2], labels[:2] = box.reshape(2, 2), (BOX_START, BOX_END)
        return PhotoPrompt(places, labels, mask)
    chosen = _several(view, index, rng, smallest) if kind == "several objects" else [index]
    count = 0
    for one in chosen:
        points = 1 if kind == "one point" else int(rng.integers(1, 3))
        places[count : count + points] = _places(view.mask(one), points, rng)
        labels[count : count + points] = FOREGROUND
        count += points
    mask = view.union(chosen)
    if kind != "one point" and rng.random() < _BACKGROUND_SHARE and not mask.all():
        places[count], labels[count] = _places(~mask, 1, rng)[0], BACKGROUND
    return PhotoPrompt(places, labels, mask)


def _several(view: View, index: int, rng: np.random.Generator, smallest: int) -> list[int]:
    others = [
        other
        for other in view.objects[view.photo_of[index]]
        if other != index
        and view.class_of[other] == view.class_of[index]
        and view.cells[other] >= smallest
        and not view.crowd[other]
    ]
    return [index, *rng.permutation(others)[: _MOST_OBJECTS - 1].tolist()] if others else [index]


def _places(mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask)
    drawn = rng.integers(len(rows), size=count)
    return (np.stack([columns[drawn], rows[drawn]], 1) + 0.5) / MASK_SIDE


def embed_mask_inputs(sam: Sam, masks: Tensor) -> Tensor:
    """SAM's dense prompts, (M, T, d), of (M, R, R) logits."""
    return sam.prompt_encoder.mask_downscaling(masks[:, None]).flatten(2).transpose(1, 2)


def embed_places(sam: Sam, places: Tensor, labels: Tensor) -> Tensor:
    """SAM's sparse prompts, (M, N, d), of (M, N, 2) places and (M, N) labels."""
    encoder = sam.prompt_encoder
    positions = encoder.pe_layer._pe_encoding(places)
    meanings = torch.cat([encoder.not_a_point_embed.weight, *(e.weight for e in encoder.point_embeddings)])
    return positions * (labels >= 0)[..., None] + meanings[labels + 1]
