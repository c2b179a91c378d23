"""Evaluation of methods that train nothing, on the same frozen episodes as trained runs, at each target's own size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.data.dataset import Dataset
from prosam.data.episodes import Episode
from prosam.evaluation.evaluate import Outcome
from prosam.evaluation.overlap import overlap
from prosam.features.seen import SeenImage, Shot
from prosam.methods.method import ConceptT
from prosam.methods.training_free import TrainingFree


def evaluate_rival(
    method: TrainingFree[ConceptT], see: Callable[[str], SeenImage], dataset: Dataset, episodes: Sequence[Episode]
) -> Iterator[tuple[Episode, dict[str, Outcome]]]:
    """Run a method on every episode, in order. The reference's annotation is its mask.

    Args:
        method: the method.
        see: what the frozen models say of an image, by its id.
        dataset: gives masks and void pixels.
        episodes: frozen pairs.

    Yields:
        An episode and the outcome, under the name `run`.
    """
    for episode in episodes:
        mask = torch.from_numpy(dataset.mask(episode.reference, episode.class_id))
        concept = method.learn([Shot(see(episode.reference), mask)])
        found = method.find(concept, see(episode.target))
        truth, void = dataset.mask(episode.target, episode.class_id), dataset.void(episode.target, episode.class_id)
        prediction = (at_size(found.logits, (truth.shape[0], truth.shape[1])) > 0).cpu().numpy()
        yield episode, {"run": Outcome(prediction, overlap(prediction, truth, void))}


def at_size(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """A method's logits (r, r') resized bilinearly to (H, W), pixel centres on pixel centres."""
    if logits.shape == size:
        return logits
    return F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0]
