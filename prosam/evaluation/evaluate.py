"""Evaluation: methods on frozen episodes, at each target's own size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.data.episodes import Episode
from prosam.evaluation.overlap import Overlap, overlap
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference, Targets
from prosam.methods.method import Method

FurtherAnswers = Callable[[Sequence[Episode], Targets], Mapping[str, Tensor]]
"""Mask logits (B, r, r) of B episodes by name, beside those of the methods; see `prosam.evaluation.shots`."""


@dataclass(frozen=True)
class Outcome:
    """The result of one method on one episode.

    Attributes:
        prediction: (H, W) bool at the target's own size.
        overlap: overlap of the prediction with the truth.
    """

    prediction: NDArray[np.bool_]
    overlap: Overlap


@torch.no_grad()
def evaluate_episodes(
    methods: Mapping[str, Method],
    tensors: EpisodeTensors,
    episodes: Sequence[Episode],
    batch: int,
    further: FurtherAnswers | None = None,
) -> Iterator[tuple[Episode, dict[str, Outcome]]]:
    """Run every method on every episode with its first reference, in order.

    Args:
        methods: methods by name.
        tensors: tensors of the data set's images; the data set gives the truth.
        episodes: frozen pairs.
        batch: episodes predicted at once.
        further: answers of other kinds, which are scored as well.

    Yields:
        An episode and each method's outcome, then those of `further`.
    """
    dataset = tensors.dataset
    for start in range(0, len(episodes), batch):
        part = episodes[start : start + batch]
        references = tensors.references([AnnotatedReference(e.reference, e.class_id) for e in part])
        targets = tensors.targets([e.target for e in part])
        logits = {name: m.predict(m.learn(references), targets) for name, m in methods.items()}
        if further is not None:
            logits |= further(part, targets)
        for row, episode in enumerate(part):
            truth, void = dataset.mask(episode.target, episode.class_id), dataset.void(episode.target, episode.class_id)
            height, width = truth.shape
            outcomes = {}
            for name, low in logits.items():
                full = tensors.models.full_size(low[row][None, None], (height, width))
                prediction = (full[0, 0] > 0).cpu().numpy()
                outcomes[name] = Outcome(prediction, overlap(prediction, truth, void))
            yield episode, outcomes
