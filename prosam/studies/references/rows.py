"""What a run predicts from several references, and from single ones.

VRP-SAM's way of using k references is to concatenate their prompts: k N of them go to the decoder. The other is to
average them: prompt n of each reference stems from the same query n.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from prosam.evaluation.shots import prompts_of_references
from prosam.methods.fusion import fuse
from prosam.params.studies import ReferencesParams
from prosam.studies.pixel_rows import full_masks, pixel_rows
from prosam.studies.references import AVERAGED, CONCATENATED, SINGLE
from prosam.studies.study import StudyRow, Subject, batches


@torch.no_grad()
def rows(subject: Subject, settings: ReferencesParams) -> Iterator[StudyRow]:
    """Predict from k references of an episode's list, and from single ones of it.

    The list starts with the episode's own reference; the others are drawn without replacement from the images in which
    the class is annotated, but the target. Where a class has too few, the rows of larger k or choice are left out.
    These lists are the study's own: those of `folds.shots` are frozen with the episodes, for all methods.

    Yields:
        Rows with the columns of `STUDY`.
    """
    length = max(settings.choices, *settings.counts)
    annotated = {c: subject.masks.annotations.images(c) for c in {e.class_id for e in subject.episodes}}
    conditions: list[StudyRow] = [{"merge": SINGLE, "k": 1, "choice": choice} for choice in range(settings.choices)]
    conditions += [{"merge": merge, "k": k, "choice": 0} for merge in (CONCATENATED, AVERAGED) for k in settings.counts]
    for first, part in batches(subject):
        chosen = [_list(subject, first + i, annotated[e.class_id], length) for i, e in enumerate(part)]
        targets = subject.tensors.targets([e.target for e in part])
        of_classes = [e.class_id for e in part]
        prompts = prompts_of_references(subject.method, subject.tensors, chosen, of_classes, targets)
        merged = [_merged(prompts, condition) for condition in conditions]
        logits = [subject.method.decode(targets, one[:, None])[:, 0] for one in merged]
        by_episode = torch.stack(logits, 1)
        for i in range(len(part)):
            there = len(chosen[i])
            kept = [n for n, c in enumerate(conditions) if int(c["k"]) <= there and int(c["choice"]) < there]
            masks = full_masks(subject, first + i, by_episode[i, kept])
            yield from pixel_rows(subject, first + i, masks, [conditions[n] for n in kept])


def _merged(prompts: Tensor, condition: StudyRow) -> Tensor:
    """The prompts of a condition, (B, N, d) or (B, k N, d)."""
    k, choice = int(condition["k"]), int(condition["choice"])
    if condition["merge"] == SINGLE:
        return prompts[:, min(choice, prompts.shape[1] - 1)]
    return fuse(prompts[:, :k], "concatenate" if condition["merge"] == CONCATENATED else "average")


def _list(subject: Subject, number: int, images: list[str], length: int) -> list[str]:
    """The references of an episode, its own first; `length` of them or as many as there are."""
    episode = subject.episodes[number]
    others = [image for image in images if image not in (episode.reference, episode.target)]
    drawn = np.random.default_rng([subject.seed, number]).permutation(len(others))[: length - 1]
    return [episode.reference, *(others[i] for i in drawn)]
