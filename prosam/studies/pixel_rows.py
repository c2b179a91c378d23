"""Rows of pixel counts at the target's own size, as evaluation counts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from prosam.evaluation.overlap import overlap
from prosam.studies.study import StudyRow, Subject


def full_masks(subject: Subject, number: int, logits: Tensor) -> NDArray[np.bool_]:
    """Mask logits of an episode's target, (K, r, r), as masks (K, H, W) at its own size."""
    episode = subject.episodes[number]
    height, width = subject.dataset.mask(episode.target, episode.class_id).shape
    return (subject.method.models.full_size(logits[None], (height, width))[0] > 0).cpu().numpy()


def pixel_rows(
    subject: Subject, number: int, masks: NDArray[np.bool_], conditions: Sequence[StudyRow]
) -> Iterator[StudyRow]:
    """Compare masks with an episode's truth.

    Args:
        subject: of the study.
        number: of the episode.
        masks: (K, H, W), at the target's own size.
        conditions: K times the columns that tell under which condition a mask came about.

    Yields:
        K rows: episode, class_id, the condition, the counts of `Overlap`, iou.
    """
    episode = subject.episodes[number]
    truth = subject.dataset.mask(episode.target, episode.class_id)
    void = subject.dataset.void(episode.target, episode.class_id)
    for mask, condition in zip(masks, conditions, strict=True):
        found = overlap(mask, truth, void)
        yield {"episode": number, "class_id": episode.class_id, **condition, **asdict(found), "iou": found.iou}
