"""What a run predicts from mean prompts with noise on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from prosam.features.pairs import AnnotatedReference
from prosam.params.studies import PromptNoiseParams
from prosam.studies.decoding import decode_in_parts
from prosam.studies.pixel_rows import full_masks, pixel_rows
from prosam.studies.study import StudyRow, Subject, batches
from prosam.training.seeds import step_generator


@torch.no_grad()
def rows(subject: Subject, settings: PromptNoiseParams) -> Iterator[StudyRow]:
    """Decode the mean prompt with Gaussian noise on it: p + size * scale * eps, eps ~ N(0, I).

    The scale is the root mean square of the episode's own prompt ("relative") or 1 ("absolute"). An episode's eps are
    the same for every size and for every run with as many prompts. Size 0 is the evaluation's prediction, with one
    draw.

    Yields:
        Rows with the columns of `STUDY`.
    """
    conditions: list[StudyRow] = [
        {"scale": scale, "size": size, "draw": draw}
        for scale, sizes in (("relative", settings.relative), ("absolute", settings.absolute))
        for size in sizes
        for draw in range(settings.draws if size else 1)
    ]
    noisy = [condition for condition in conditions if condition["size"]]
    for first, part in batches(subject):
        references = subject.tensors.references([AnnotatedReference(e.reference, e.class_id) for e in part])
        targets = subject.tensors.targets([e.target for e in part])
        mean = subject.method.prompts(subject.method.learn(references), targets).mean
        rms = mean.square().mean((1, 2)).sqrt()
        eps = torch.stack([_directions(mean, settings.draws, subject.seed, first + i) for i in range(len(part))])
        prompts = mean[:, None] + _noise(eps, rms, noisy)
        clean = subject.method.decode(targets, mean[:, None])
        decoded = decode_in_parts(subject.method.models, targets, prompts, subject.batch) if noisy else clean[:, :0]
        for i in range(len(part)):
            logits = iter(decoded[i])
            ordered = torch.stack([next(logits) if condition["size"] else clean[i, 0] for condition in conditions])
            described = [condition | {"prompt_rms": rms[i].item()} for condition in conditions]
            yield from pixel_rows(subject, first + i, full_masks(subject, first + i, ordered), described)


def _directions(mean: Tensor, draws: int, seed: int, episode: int) -> Tensor:
    """The eps of an episode, (draws, N, d); drawn on the CPU, so that they are the same on every device."""
    generator = step_generator(seed, episode, torch.device("cpu"))
    return torch.randn((draws, *mean.shape[1:]), generator=generator).to(mean.device)


def _noise(eps: Tensor, rms: Tensor, conditions: Sequence[StudyRow]) -> Tensor:
    """The noise of each condition, (B, K, N, d), from eps (B, draws, N, d) and rms (B,)."""
    chosen = eps[:, [int(condition["draw"]) for condition in conditions]]
    sizes = torch.tensor([float(condition["size"]) for condition in conditions], device=eps.device)
    relative = torch.tensor([condition["scale"] == "relative" for condition in conditions], device=eps.device)
    scale = torch.where(relative, rms[:, None], torch.ones_like(rms)[:, None]) * sizes
    return chosen * scale[..., None, None]
