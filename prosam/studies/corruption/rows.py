"""What a run predicts from corrupted images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.data.corruptions import corrupted
from prosam.data.episodes import Episode
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference
from prosam.params.studies import CorruptionName, CorruptionParams
from prosam.studies.pixel_rows import full_masks, pixel_rows
from prosam.studies.study import StudyRow, Subject, batches

CLEAN = ("none", 0)


@torch.no_grad()
def rows(subject: Subject, settings: CorruptionParams) -> Iterator[StudyRow]:
    """Predict from corrupted images; their features and embeddings are computed, which needs SAM's image encoder.

    Yields:
        Rows of the first `settings.episodes` episodes, with the columns of `STUDY`.
    """
    conditions: list[tuple[CorruptionName, int]] = [
        (name, severity) for name in settings.names for severity in settings.severities
    ]
    keys = [(side, name, severity) for side in settings.sides for name, severity in [CLEAN, *conditions]]
    described: list[StudyRow] = [{"corruption": name, "severity": size, "side": side} for side, name, size in keys]
    for first, part in _limited(subject, settings.episodes):
        clean = _predict(subject, subject.tensors, subject.tensors, part)
        logits: dict[tuple[str, str, int], Tensor] = {(side, *CLEAN): clean for side in settings.sides}
        for name, severity in conditions:
            altered = subject.tensors.altered(partial(_corrupt, name, severity, subject.seed))
            for side in settings.sides:
                references = subject.tensors if side == "target" else altered
                targets = subject.tensors if side == "reference" else altered
                logits[side, name, severity] = _predict(subject, references, targets, part)
        for i in range(len(part)):
            masks = full_masks(subject, first + i, torch.stack([logits[key][i] for key in keys]))
            yield from pixel_rows(subject, first + i, masks, described)


def _limited(subject: Subject, count: int) -> Iterator[tuple[int, Sequence[Episode]]]:
    for first, part in batches(subject):
        if first < count:
            yield first, part[: count - first]


def _corrupt(
    name: CorruptionName, severity: int, seed: int, image_id: str, image: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    return corrupted(image, name, severity, seed=seed, image_id=image_id)


def _predict(
    subject: Subject, of_references: EpisodeTensors, of_targets: EpisodeTensors, part: Sequence[Episode]
) -> Tensor:
    references = of_references.references([AnnotatedReference(e.reference, e.class_id) for e in part])
    return subject.method.predict(subject.method.learn(references), of_targets.targets([e.target for e in part]))
