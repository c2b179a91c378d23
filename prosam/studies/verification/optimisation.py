"""Prompts, and a distribution of prompts, learnt for one target by gradient descent: no prompt encoder in between.

Shape letters: P prompts, K samples, N tokens of a prompt, d prompt dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prosam.errors import InputError
from prosam.models.distributions import PromptDistribution, make_distribution
from prosam.params.verification import VerificationParams
from prosam.progress import Progress
from prosam.studies.objective import LossesOfPrompts


class StoppingRule:
    """The paper's rule, for P optimisations side by side: stop when the loss does not improve over so many steps.

    A loss counts as an improvement when it is more than `min_improvement` below the last one that counted.
    """

    def __init__(self, count: int, *, min_improvement: float, patience: int):
        """Start.

        Args:
            count: P.
            min_improvement: of the loss.
            patience: steps in a row without an improvement after which an optimisation has stopped.
        """
        self._min_improvement, self._patience = min_improvement, patience
        self._best = torch.full((count,), torch.inf, dtype=torch.float64)
        self._without = torch.zeros(count, dtype=torch.int64)
        self.steps = torch.zeros(count, dtype=torch.int64)

    def running(self) -> list[int]:
        """Which optimisations have not stopped."""
        return (self._without < self._patience).nonzero().flatten().tolist()

    def see(self, which: list[int], losses: Tensor) -> None:
        """Note the losses of a step, for those that took it."""
        losses = losses.detach().to("cpu", torch.float64)
        improved = losses < self._best[which] - self._min_improvement
        self._best[which] = torch.where(improved, losses, self._best[which])
        self._without[which] = torch.where(improved, 0, self._without[which] + 1)
        self.steps[which] += 1


@dataclass(frozen=True)
class LearntPrompts:
    """P prompts, each learnt for itself.

    Attributes:
        prompts: (P, N, d), as the last step left them.
        steps: (P,) int64, taken.
    """

    prompts: Tensor
    steps: Tensor


def learn_prompts(
    losses: LossesOfPrompts, initial: Tensor, settings: VerificationParams, *, name: str
) -> LearntPrompts:
    """Minimise the loss of each of P prompts: what a prompt encoder without a distribution is trained for.

    Args:
        losses: prompts (1, K, N, d) to the loss of each, (1, K).
        initial: (P, N, d).
        settings: optimiser, stopping rule and batch size.
        name: of the work, for its progress.

    Raises:
        InputError: a loss is not finite.
    """
    # a parameter each: AdamW passes over those without a gradient, so a prompt that has stopped stays where it is
    prompts = [prompt.clone().requires_grad_() for prompt in initial]
    optimizer = torch.optim.AdamW(prompts, lr=settings.lr, weight_decay=settings.weight_decay, foreach=True)
    rule = _rule(settings, len(prompts))
    with Progress(name, settings.max_steps, "step") as progress:
        for _ in range(settings.max_steps):
            running = rule.running()
            if not running:
                break
            optimizer.zero_grad()
            values = []
            for start in range(0, len(running), settings.batch_size):
                batch = torch.stack([prompts[i] for i in running[start : start + settings.batch_size]])
                each = losses(batch[None])[0]
                each.sum().backward()
                values.append(each.detach())
            seen = _finite(torch.cat(values), name)
            optimizer.step()
            rule.see(running, seen)
            progress.advance(running=len(running), median_loss=seen.median().item())
    return LearntPrompts(torch.stack([prompt.detach() for prompt in prompts]), rule.steps)


@dataclass(frozen=True)
class LearntDistribution:
    """A distribution over one prompt.

    Attributes:
        distribution: its mean and sigma are (1, N, d).
        sigma: (N, d).
        steps: taken.
    """

    distribution: PromptDistribution
    sigma: Tensor
    steps: int


def learn_distribution(
    losses: LossesOfPrompts, initial: Tensor, settings: VerificationParams, generator: torch.Generator, *, name: str
) -> LearntDistribution:
    """Minimise the expected loss over a distribution's samples (docs/method.md, eq. 8-10): what ProSAM is trained for.

    The stopping rule sees the mean over the K samples of a step, which is noisy: its lowest value so far lies somewhat
    below the expected loss, so the rule stops sooner than it would without the noise.

    Args:
        losses: as of `learn_prompts`.
        initial: (N, d), the mean at the start.
        settings: distribution, optimiser and stopping rule.
        generator: of the samples, on the device of `initial`.
        name: of the work, for its progress.

    Raises:
        InputError: a loss is not finite.
    """
    mean = initial[None].clone().requires_grad_()
    log_sigma = torch.full_like(mean, settings.initial_sigma).log().requires_grad_()
    groups = [{"params": [mean]}, {"params": [log_sigma], "lr": settings.log_sigma_lr}]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)
    rule = _rule(settings, 1)
    with Progress(name, settings.max_steps, "step") as progress:
        for _ in range(settings.max_steps):
            if not rule.running():
                break
            optimizer.zero_grad()
            distribution = make_distribution(settings.distribution, mean, log_sigma.exp(), settings.nu)
            loss = losses(distribution.sample(settings.samples, generator)).mean()
            loss.backward()
            seen = _finite(loss.detach()[None], name)
            optimizer.step()
            rule.see([0], seen)
            progress.advance(loss=loss.item(), sigma=log_sigma.detach().exp().mean().item())
    sigma = log_sigma.detach().exp()
    learnt = make_distribution(settings.distribution, mean.detach(), sigma, settings.nu)
    return LearntDistribution(learnt, sigma[0], int(rule.steps))


def _rule(settings: VerificationParams, count: int) -> StoppingRule:
    return StoppingRule(count, min_improvement=settings.min_improvement, patience=settings.patience)


def _finite(losses: Tensor, name: str) -> Tensor:
    if not losses.isfinite().all():
        raise InputError(f"{name}: a loss is not finite; lower verification.lr or verification.log_sigma_lr")
    return losses
