"""One start of the verification study.

Two ways to prompts for one object, with nothing but SAM's decoder and gradient descent: P prompts, each learnt for
itself, which is what VRP-SAM is trained for; and one distribution, learnt through its samples, which is what ProSAM is
trained for.

Shape letters: P prompts, N tokens of a prompt, d prompt dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prosam.params.verification import VerificationParams
from prosam.studies.objective import Objective
from prosam.studies.verification.optimisation import (
    LearntDistribution,
    LearntPrompts,
    learn_distribution,
    learn_prompts,
)
from prosam.training.seeds import step_generator


@dataclass(frozen=True)
class Scored:
    """Prompts and what they are worth.

    Attributes:
        prompts: (P, N, d).
        iou: (P,), in [0, 1].
        bce: (P,).
        noisy_iou: (P,) for each noise, by kind (`absolute` or `relative`) and size: mean IoU with Gaussian noise added.
    """

    prompts: Tensor
    iou: Tensor
    bce: Tensor
    noisy_iou: dict[tuple[str, float], Tensor]


@dataclass(frozen=True)
class Verification:
    """One start of the study.

    Attributes:
        start: its number.
        learnt: the prompts that were learnt directly, with the steps they took.
        distribution: what was learnt in their place.
        direct: the scores of the prompts that were learnt directly.
        samples: the scores of as many samples of the distribution.
        mean: the distribution's mean, P = 1; its noisy IoU is the mean over P times as many draws as of the others.
    """

    start: int
    learnt: LearntPrompts
    distribution: LearntDistribution
    direct: Scored
    samples: Scored
    mean: Scored


def verify(objective: Objective, dim: int, settings: VerificationParams, start: int, *, name: str) -> Verification:
    """Make one start of the study.

    The distribution's mean starts where the first of the prompts does.

    Args:
        objective: of one target.
        dim: d.
        settings: section `verification` of params.yaml.
        start: number of the start; with the seed it determines all that is random.
        name: of the work, for its progress.

    Raises:
        InputError: a loss is not finite.
    """
    generator = step_generator(settings.seed, start, objective.truth.device)
    shape = (settings.prompts, settings.tokens, dim)
    dtype, device = objective.truth.dtype, objective.truth.device
    initial = settings.initial_std * torch.randn(shape, generator=generator, dtype=dtype, device=device)
    learnt = learn_prompts(objective.losses, initial, settings, name=f"{name}: prompts")
    distribution = learn_distribution(
        objective.losses, initial[0], settings, generator, name=f"{name}: their distribution"
    )
    samples = distribution.distribution.sample(settings.prompts, generator)[0]
    mean = distribution.distribution.mean
    many = _scored(objective, mean.expand(settings.prompts, -1, -1), settings, generator)
    noisy_mean = {noise: iou.mean()[None] for noise, iou in many.noisy_iou.items()}
    return Verification(
        start=start,
        learnt=learnt,
        distribution=distribution,
        direct=_scored(objective, learnt.prompts, settings, generator),
        samples=_scored(objective, samples, settings, generator),
        mean=Scored(mean, many.iou[:1], many.bce[:1], noisy_mean),
    )


def _scored(objective: Objective, prompts: Tensor, settings: VerificationParams, generator: torch.Generator) -> Scored:
    iou, bce = _scores(objective, prompts, settings.batch_size)
    rms = prompts.square().mean((1, 2), keepdim=True).sqrt()
    sizes = [("absolute", size, torch.full_like(rms, size)) for size in settings.absolute_noise]
    sizes += [("relative", size, size * rms) for size in settings.relative_noise]
    noisy_iou = {}
    for kind, size, std in sizes:
        draws = []
        for _ in range(settings.noise_draws):
            noise = torch.randn(prompts.shape, generator=generator, dtype=prompts.dtype, device=prompts.device)
            draws.append(_scores(objective, prompts + std * noise, settings.batch_size)[0])
        noisy_iou[kind, size] = torch.stack(draws).mean(0)
    return Scored(prompts, iou, bce, noisy_iou)


def _scores(objective: Objective, prompts: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """IoU and BCE of prompts (P, N, d), (P,) each."""
    parts = [objective.scores(part[None]) for part in prompts.split(batch_size)]
    iou, bce = (torch.cat(column, 1)[0] for column in zip(*parts, strict=True))
    return iou, bce
