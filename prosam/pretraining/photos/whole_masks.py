"""Episodes of photographs with their masks at the photos' own sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prosam.pretraining.photos.folder import Photo

LEAST_SHARE = 0.01  # of a photo's area that a category covers, as in `prosam.pretraining.photos.episodes`


@dataclass(frozen=True)
class WholeMaskEpisode:
    """A reference and a target of a category.

    Attributes:
        class_id: of the category.
        reference: a photo, and `reference_mask` (H, W) of the category in it.
        target: another one, likewise.
    """

    class_id: int
    reference: Photo
    reference_mask: NDArray[np.bool_]
    target: Photo
    target_mask: NDArray[np.bool_]


def draw_whole_masks(train: list[Photo], val: list[Photo], episodes: int, *, seed: int) -> list[WholeMaskEpisode]:
    """One reference from train, one target from val, of a category drawn evenly; both show it on 1 % of their area.

    Args:
        train: photos of references.
        val: photos of targets.
        episodes: number of episodes.
        seed: of the draw.

    Raises:
        InputError: an outline is no mask of its image.
    """
    references, targets = _photos_by_category(train), _photos_by_category(val)
    rng, class_ids = np.random.default_rng([seed, 5]), sorted(references.keys() & targets.keys())
    drawn: list[WholeMaskEpisode] = []
    for _ in range(episodes):
        class_id = class_ids[int(rng.integers(len(class_ids)))]
        target = targets[class_id][int(rng.integers(len(targets[class_id])))]
        reference = references[class_id][int(rng.integers(len(references[class_id])))]
        drawn.append(
            WholeMaskEpisode(
                class_id,
                reference,
                _category_masks(reference)[class_id],
                target,
                _category_masks(target)[class_id],
            )
        )
    return drawn


def _photos_by_category(photos: list[Photo]) -> dict[int, list[Photo]]:
    found: dict[int, list[Photo]] = {}
    for photo in photos:
        for class_id, mask in _category_masks(photo).items():
            if mask.mean() >= LEAST_SHARE:
                found.setdefault(class_id, []).append(photo)
    return found


def _category_masks(photo: Photo) -> dict[int, NDArray[np.bool_]]:
    """By class id, (H, W), what all objects of the category cover; groups that are marked as a crowd do not count."""
    masks: dict[int, NDArray[np.bool_]] = {}
    for annotation, mask in zip(photo.image.annotations, photo.masks(), strict=True):
        if not annotation.crowd:
            masks[annotation.class_id] = masks.get(annotation.class_id, np.zeros_like(mask)) | mask
    return masks
