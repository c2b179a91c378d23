"""What a run predicts from several sampled prompts, merged by each strategy.

Logits are merged where the decoder makes them and brought to the target's size afterwards; binary masks (a probability
above 0.5, a positive logit) are made at the target's size and merged there. So the maxima of the two differ, the last
two strategies differ only in ties, and for VRP-SAM, whose samples are all its one prompt, all six agree.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.evaluation.uncertainty import pairwise_disagreement
from prosam.features.pairs import AnnotatedReference
from prosam.models.distributions import PromptDistribution
from prosam.params.studies import StrategiesParams
from prosam.studies.decoding import decode_in_parts
from prosam.studies.pixel_rows import full_masks, pixel_rows
from prosam.studies.strategies import STRATEGIES
from prosam.studies.study import StudyRow, Subject, batches
from prosam.training.seeds import step_generator


@torch.no_grad()
def rows(subject: Subject, settings: StrategiesParams) -> Iterator[StudyRow]:
    """Predict by each strategy, from the same K samples.

    Yields:
        Rows with the columns of `STUDY`.
    """
    for first, part in batches(subject):
        references = subject.tensors.references([AnnotatedReference(e.reference, e.class_id) for e in part])
        targets = subject.tensors.targets([e.target for e in part])
        prompts = subject.method.prompts(subject.method.learn(references), targets)
        clean = subject.method.decode(targets, prompts.mean[:, None])
        drawn = torch.cat([_samples(prompts, i, settings.samples, subject.seed, first + i) for i in range(len(part))])
        sampled = decode_in_parts(subject.method.models, targets, drawn, subject.batch)
        for i in range(len(part)):
            masks = full_masks(subject, first + i, sampled[i])
            uncertainty: StudyRow = {"disagreement": pairwise_disagreement(torch.from_numpy(masks)).item()}
            merged = merge(subject, first + i, clean[i, 0], sampled[i], masks)
            described = [{"strategy": strategy} | uncertainty for strategy in STRATEGIES]
            yield from pixel_rows(subject, first + i, merged, described)


def _samples(prompts: PromptDistribution, row: int, count: int, seed: int, episode: int) -> Tensor:
    """An episode's K samples, (1, K, N, d)."""
    return prompts.of_image(row).sample(count, step_generator(seed, episode, prompts.mean.device))


def merge(subject: Subject, number: int, clean: Tensor, sampled: Tensor, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask of each strategy.

    Args:
        subject: of the study.
        number: of the episode.
        clean: (r, r) logits of the mean prompt.
        sampled: (K, r, r) logits of the samples.
        masks: (K, H, W), of the samples.

    Returns:
        (6, H, W), in the order of STRATEGIES.
    """
    by_logits = full_masks(subject, number, torch.stack([clean, sampled.amax(0), sampled.mean(0)]))
    votes, most = masks.sum(0), len(masks)
    return np.concatenate([by_logits, np.stack([votes > 0, 2 * votes >= most, 2 * votes > most])])
