"""Evaluation of methods that train nothing, on the same frozen episodes as trained runs, at each target's own size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.data.dataset import Dataset
from prosam.data.episodes import Episode
from prosam.evaluation.columns import of_shots
from prosam.evaluation.evaluate import Outcome
from prosam.evaluation.overlap import overlap
from prosam.evaluation.stopwatch import Stopwatch
from prosam.features.seen import SeenImage, Shot
from prosam.methods.method import ConceptT
from prosam.methods.training_free import TrainingFree


def evaluate_rival(
    methods: Mapping[int, TrainingFree[ConceptT]],
    see: Callable[[str], SeenImage],
    masks: Callable[[str, int], NDArray[np.bool_]],
    dataset: Dataset,
    episodes: Sequence[Episode],
    stopwatch: Stopwatch | None = None,
) -> Iterator[tuple[Episode, dict[str, Outcome]]]:
    """Run a method on every episode, in order, with one reference and with several.

    Args:
        methods: the method by number of shots, 1 among them. Each has its own, so that a method that draws at random
            answers at one shot as if there were no others.
        see: what the frozen models say of an image, by its id.
        masks: the reference's object as the method is given it, (H, W), by image id and class id.
        dataset: gives the truth and void pixels.
        episodes: frozen, with as many references as the largest number of shots, or fewer.
        stopwatch: measures `learn` and `find` by number of shots, without what the frozen models compute of images.

    Yields:
        An episode and the outcomes: `run` at one shot, the others under the names of `of_shots`.
    """
    stopwatch = stopwatch or Stopwatch()
    for episode in episodes:
        truth, void = dataset.mask(episode.target, episode.class_id), dataset.void(episode.target, episode.class_id)
        outcomes = {}
        for count, method in methods.items():
            shots = [
                Shot(see(image), torch.from_numpy(masks(image, episode.class_id)))
                for image in episode.references[:count]
            ]
            target = see(episode.target)
            with stopwatch.part(f"learn-{count}"):
                concept = method.learn(shots)
            with stopwatch.part(f"find-{count}"):
                found = method.find(concept, target)
                prediction = (at_size(found.logits, (truth.shape[0], truth.shape[1])) > 0).cpu().numpy()
            name = "run" if count == 1 else of_shots(count, None)
            outcomes[name] = Outcome(prediction, overlap(prediction, truth, void))
        yield episode, outcomes


def at_size(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """A method's logits (r, r') resized bilinearly to (H, W), pixel centres on pixel centres."""
    if logits.shape == size:
        return logits
    return F.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0]
