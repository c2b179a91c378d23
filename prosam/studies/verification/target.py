"""The object that a study of single prompts is made on, and what prompts are worth there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prosam.data.dataset import Dataset
from prosam.data.folds import ClassImages
from prosam.data.formats.masks import squash
from prosam.errors import InputError
from prosam.models.frozen_sam import FrozenSam
from prosam.studies.objective import Objective, objective_of


@dataclass(frozen=True)
class Target:
    """A class in an image.

    Attributes:
        image: id.
        class_id: a class that the image shows.
        share: of the image that the class covers, in [0, 1].
    """

    image: str
    class_id: int
    share: float


def pick_target(dataset: Dataset, images: ClassImages, *, min_share: float, seed: int | Sequence[int]) -> Target:
    """Draw a class in an image that covers enough of it; a seed always draws the same.

    Args:
        dataset: gives the masks.
        images: to draw from, of each class, such as `Fold.test`.
        min_share: least share of the image, in [0, 1].
        seed: of the draw.

    Raises:
        InputError: no class covers so much of any image.
    """
    pairs = [(image, class_id) for class_id, ids in images.items() for image in ids]
    for place in np.random.default_rng(seed).permutation(len(pairs)):
        image, class_id = pairs[place]
        if (share := float(dataset.mask(image, class_id).mean())) >= min_share:
            return Target(image, class_id, share)
    raise InputError(
        f"verification.min_share: none of {len(pairs)} objects covers {min_share:g} of its image; give less"
    )


def objective_on(models: FrozenSam, embedding: Tensor, dataset: Dataset, target: Target) -> Objective:
    """The objective of one target of a data set.

    Args:
        models: whose decoder and image size.
        embedding: (1, d, g, g), SAM's, of the target's image.
        dataset: gives the truth.
        target: a class in an image.
    """
    truth, void = (f(target.image, target.class_id) for f in (dataset.mask, dataset.void))
    squashed = [torch.from_numpy(squash(mask, models.image_size))[None, None] for mask in (truth, void)]
    on_device = embedding.to(models.device)
    return objective_of(models, on_device, squashed[0].to(on_device), (~squashed[1]).to(on_device))
