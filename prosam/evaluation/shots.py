"""A trained run with several references for each episode.

Shape letters: B episodes, L references of the longest list, N prompts of one reference, d prompt dimension, r side of
the mask logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from prosam.data.episodes import Episode
from prosam.evaluation.columns import of_shots
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference, Targets
from prosam.methods.fusion import Fusion, fuse
from prosam.methods.prompting import PromptMethod

FUSIONS: tuple[Fusion, ...] = ("average", "concatenate")


def prompts_of_references(
    method: PromptMethod,
    tensors: EpisodeTensors,
    references: Sequence[Sequence[str]],
    class_ids: Sequence[int],
    targets: Targets,
) -> Tensor:
    """The mean prompts that each reference gives for its target, (B, L, N, d).

    Places of the lists are computed one after the other, so that memory does not grow with their length.

    Args:
        method: with its prompt encoder in eval mode.
        tensors: of the data set's images.
        references: B lists of image ids, none empty; the last one of a list that is too short is repeated.
        class_ids: of the B episodes.
        targets: B.
    """
    by_place = []
    for place in range(max(len(images) for images in references)):
        wanted = [
            AnnotatedReference(images[min(place, len(images) - 1)], class_id)
            for images, class_id in zip(references, class_ids, strict=True)
        ]
        by_place.append(method.prompts(method.learn(tensors.references(wanted)), targets).mean)
    return torch.stack(by_place, 1)


@torch.no_grad()
def logits_at_shots(
    method: PromptMethod, tensors: EpisodeTensors, episodes: Sequence[Episode], targets: Targets, shots: Sequence[int]
) -> dict[str, Tensor]:
    """What a run answers to B episodes with several references, for each number of shots and each way of fusion.

    An episode with fewer references than shots has all that it has.

    Args:
        method: the run's.
        tensors: of the data set's images.
        episodes: B.
        targets: theirs.
        shots: numbers of references, each more than one.

    Returns:
        (B, r, r) mask logits by the names of `of_shots`.
    """
    if not shots:
        return {}
    references = [episode.references[: max(shots)] for episode in episodes]
    prompts = prompts_of_references(method, tensors, references, [e.class_id for e in episodes], targets)
    answers = {}
    for count in shots:
        there = torch.tensor([min(count, len(images)) for images in references], device=prompts.device)
        for fusion in FUSIONS:
            logits: Tensor | None = None
            for k in there.unique().tolist():
                rows = torch.nonzero(there == k)[:, 0]
                some = Targets(targets.features[rows], targets.level4[rows], targets.embedding[rows])
                decoded = method.decode(some, fuse(prompts[rows, :k], fusion)[:, None])[:, 0]
                logits = decoded.new_empty(len(episodes), *decoded.shape[1:]) if logits is None else logits
                logits[rows] = decoded
            assert logits is not None
            answers[of_shots(count, fusion)] = logits
    return answers
