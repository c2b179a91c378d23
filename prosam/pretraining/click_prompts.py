"""Points and boxes drawn from a scene's instances, as an annotator would give them to SAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROMPT_KINDS = ("one point", "points", "box", "several objects")
SLOTS = 7  # prompts of one example, padded
FOREGROUND, BACKGROUND, BOX_START, BOX_END, PADDING = 1, 0, 2, 3, -1
_MIN_AREA = 30  # px; smaller remains of occluded objects are not asked for


@dataclass(frozen=True)
class ClickPrompt:
    """A prompt and the mask it asks for.

    Attributes:
        coordinates: (SLOTS, 2) float32 x, y in px.
        labels: (SLOTS,) int64, as `prosam.models.sam.embed_points` wants them.
        mask: (S, S) bool.
    """

    coordinates: NDArray[np.float32]
    labels: NDArray[np.int64]
    mask: NDArray[np.bool_]


def draw_prompt(instances: NDArray[np.uint8], kind: str, rng: np.random.Generator) -> ClickPrompt | None:
    """A random prompt of a kind; None when the scene shows no object large enough.

    Args:
        instances: (S, S), 0 background, then one value an object.
        kind: one of PROMPT_KINDS.
        rng: source of randomness.
    """
    areas = np.bincount(instances.ravel())
    objects = np.flatnonzero(areas > _MIN_AREA)
    objects = objects[objects > 0]
    if not len(objects):
        return None
    number = int(rng.integers(2, min(3, len(objects)) + 1)) if kind == "several objects" and len(objects) > 1 else 1
    chosen = rng.choice(objects, number, replace=False)
    mask = np.isin(instances, chosen)
    coordinates, labels = np.zeros((SLOTS, 2), np.float32), np.full(SLOTS, PADDING)
    if kind == "box":
        rows, columns = np.nonzero(mask)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
        reach = 0.1 * max(box[2] - box[0], box[3] - box[1])
        box += np.clip(rng.standard_normal(4) * reach / 2, -reach, reach)
        coordinates[:2], labels[:2] = box.reshape(2, 2), (BOX_START, BOX_END)
        return ClickPrompt(coordinates, labels, mask)
    count = 0
    for instance in chosen:
        for _ in range(1 if kind == "one point" else int(rng.integers(1, 3))):
            coordinates[count], labels[count] = _pixel(instances == instance, rng), FOREGROUND
            count += 1
    if kind != "one point" and rng.random() < 0.4:
        coordinates[count], labels[count] = _pixel(~mask, rng), BACKGROUND
    return ClickPrompt(coordinates, labels, mask)


def _pixel(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    inside = np.flatnonzero(mask)
    row, column = divmod(int(inside[rng.integers(len(inside))]), mask.shape[1])
    return column, row
