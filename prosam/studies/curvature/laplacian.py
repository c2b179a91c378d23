"""The Laplacian of a loss in the prompts, and what noise in the prompts adds to the loss: two sides of section 7.

    E[L(p + delta)] - L(p) = (1/2) sum_i var_i H_ii + higher orders,   H the Hessian of L at p,

for noise with mean zero, variances var_i and no correlations; with all var_i = eta^2 that is eta^2 / 2 times the
Laplacian. The proposition wants L twice continuously differentiable. SAM's decoder has ReLUs, so it is that only
between their kinks; the left side feels those within the noise, the right side none.

Shape letters: B targets, R probes, K draws of noise, N prompts a set, d prompt dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from prosam.studies.objective import LossesOfPrompts


@dataclass(frozen=True)
class Estimate:
    """Means over independent draws.

    Attributes:
        mean: (B,).
        error: (B,), its standard error.
    """

    mean: Tensor
    error: Tensor


def estimate(draws: Tensor) -> Estimate:
    """The mean of (B, R) draws, R at least 2, over R."""
    return Estimate(draws.mean(1), draws.std(1) / draws.shape[1] ** 0.5)


def rademacher(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Entries of -1 and 1, equally likely, float32 on the generator's device."""
    return 2.0 * torch.randint(0, 2, shape, generator=generator, device=generator.device) - 1.0


def quadratic_forms(losses: LossesOfPrompts, prompts: Tensor, probes: Tensor) -> Tensor:
    """w^T H w of each target's Hessian with some vectors, by Hessian-vector products.

    With Rademacher w they are Hutchinson's estimates of the Laplacian; with entries multiplied by sqrt(var_i), of
    sum_i var_i H_ii.

    Args:
        losses: prompts (B, K, N, d) to losses (B, K), of which none depends on another's prompts; differentiable twice.
        prompts: (B, N, d), where.
        probes: (B, R, N, d), the vectors.

    Returns:
        (B, R).
    """
    point = prompts.detach().requires_grad_()
    forms = []
    with sdpa_kernel(SDPBackend.MATH):  # the other kernels of attention have no second derivative
        total = losses(point[:, None]).sum()
        (gradient,) = torch.autograd.grad(total, point, create_graph=True)
        for probe in probes.unbind(1):
            (product,) = torch.autograd.grad(gradient, point, probe, retain_graph=True)
            forms.append((product * probe).sum((1, 2)))
    return torch.stack(forms, 1)


@torch.no_grad()
def noise_gaps(losses: LossesOfPrompts, prompts: Tensor, noise: Tensor) -> Tensor:
    """(L(p + delta) + L(p - delta)) / 2 - L(p) for each draw of noise.

    Of noise that is as likely as its opposite, the mean of these is E[L(p + delta)] - L(p). Gradient and all odd
    orders cancel in each pair instead of in the mean, so far fewer draws are needed.

    Args:
        losses: as of `quadratic_forms`.
        prompts: (B, N, d).
        noise: (B, K, N, d).

    Returns:
        (B, K).
    """
    alone = losses(prompts[:, None])[:, 0]
    pairs = (torch.stack([prompts + delta, prompts - delta], 1) for delta in noise.unbind(1))
    return torch.stack([losses(pair).mean(1) - alone for pair in pairs], 1)
