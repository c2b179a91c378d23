"""Distributions of prompts (docs/method.md, eq. 5-7), under one interface.

Shape letters: B images, K samples, N prompts, d prompt dimension.

| name               | p                                      | v ~          | covariance of one prompt      |
|--------------------|----------------------------------------|--------------|-------------------------------|
| `t3`               | mu + sigma eps sqrt(nu / v)            | chi2(nu + d) | sigma^2 nu / (nu + d - 2)     |
| `student_t`        | mu + sigma eps sqrt(nu / v)            | chi2(nu)     | sigma^2 nu / (nu - 2), nu > 2 |
| `gaussian`         | mu + sigma eps                         |              | sigma^2                       |
| `matched_gaussian` | mu + sigma eps sqrt(nu / (nu + d - 2)) |              | sigma^2 nu / (nu + d - 2)     |
| `dirac`            | mu                                     |              | 0                             |

The t distributions have as many degrees of freedom as v.
eps ~ N(0, I_d). There is one v for each prompt, so that all its d entries grow together, as in a multivariate t.
`t3` is the paper's, in the form of t3VAE (Kim et al. 2024); `student_t` is the plain heavy-tailed alternative.
`t3` differs from `gaussian` in its tails and, far more, in its size. `matched_gaussian` has the size of `t3` without
its tails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from prosam.distributed.noise import drawn_rows


@dataclass(frozen=True)
class PromptDistribution(ABC):
    """A distribution over N prompts for each of B images.

    Attributes:
        mean: (B, N, d), the prompts used for inference.
    """

    mean: Tensor

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `count` samples, differentiable with respect to mean and sigma.

        Args:
            count: K.
            generator: the source of randomness. Noise is drawn on its device, by default on that of `mean`.

        Returns:
            (B, K, N, d).
        """

    @property
    @abstractmethod
    def variance(self) -> Tensor | None:
        """The variance of each entry of a sample, (B, N, d); None if it is zero or infinite."""

    def of_image(self, index: int) -> Self:
        """The distribution of one of the B images: B = 1."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[index : index + 1] for k, v in tensors.items() if isinstance(v, Tensor)})

    def _noise(self, count: int, generator: torch.Generator | None) -> Tensor:
        (b, n, d), mean = self.mean.shape, self.mean

        def normal(rows: int) -> Tensor:
            there = _source(generator, mean)
            return torch.randn((rows, count, n, d), generator=generator, device=there, dtype=mean.dtype).to(mean.device)

        return drawn_rows(normal, b, generator)


@dataclass(frozen=True)
class Dirac(PromptDistribution):
    """A point mass: VRP-SAM."""

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """The mean, `count` times."""
        return self.mean[:, None].expand(-1, count, -1, -1)

    @property
    def variance(self) -> None:
        """None, since a point mass has no variance."""


@dataclass(frozen=True)
class Gaussian(PromptDistribution):
    """Independent normal entries.

    Attributes:
        sigma: (B, N, d), positive.
    """

    sigma: Tensor

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """See `PromptDistribution.sample`."""
        return self.mean[:, None] + self.sigma[:, None] * self._noise(count, generator)

    @property
    def variance(self) -> Tensor | None:
        """See `PromptDistribution.variance`."""
        return self.sigma**2


@dataclass(frozen=True)
class MatchedGaussian(Gaussian):
    """Independent normal entries with the variance of `T3`: noise of the same size, without the tails.

    Attributes:
        nu: the nu of the `T3` that it is compared with.
    """

    nu: float

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """See `PromptDistribution.sample`."""
        return self.mean[:, None] + self.variance.sqrt()[:, None] * self._noise(count, generator)

    @property
    def variance(self) -> Tensor:
        """See `PromptDistribution.variance`."""
        return self.sigma**2 * self.nu / (self.nu + self.mean.shape[-1] - 2)


@dataclass(frozen=True)
class StudentT(Gaussian):
    """A multivariate t with `nu` degrees of freedom and scale sigma.

    Attributes:
        nu: positive.
    """

    nu: float

    def chi2_freedom(self) -> float:
        """Degrees of freedom of v."""
        return self.nu

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """See `PromptDistribution.sample`."""
        (b, n, _), mean = self.mean.shape, self.mean

        def chi2(rows: int) -> Tensor:
            there = _source(generator, mean)
            half = torch.full((rows, count, n, 1), self.chi2_freedom() / 2, device=there, dtype=mean.dtype)
            # chi2(k) = 2 Gamma(k / 2); torch.distributions takes no generator, but the sampler that it calls does
            drawn = torch._standard_gamma(half, generator=generator)  # pyright: ignore[reportPrivateImportUsage]
            return 2 * drawn.to(mean.device)

        v = drawn_rows(chi2, b, generator)
        return self.mean[:, None] + self.sigma[:, None] * self._noise(count, generator) * (self.nu / v).sqrt()

    @property
    def variance(self) -> Tensor | None:
        """See `PromptDistribution.variance`."""
        freedom = self.chi2_freedom()
        return self.sigma**2 * self.nu / (freedom - 2) if freedom > 2 else None


@dataclass(frozen=True)
class T3(StudentT):
    """t_d(p | mu, (1 + d / nu)^-1 sigma^2 I, nu + d): docs/method.md, eq. 5; sampled by eq. 7."""

    def chi2_freedom(self) -> float:
        """Degrees of freedom of v."""
        return self.nu + self.mean.shape[-1]


def _source(generator: torch.Generator | None, mean: Tensor) -> torch.device:
    """Where noise is drawn."""
    return mean.device if generator is None else generator.device


def make_distribution(name: str, mean: Tensor, sigma: Tensor | None, nu: float) -> PromptDistribution:
    """The distribution that has a name in params.yaml.

    Args:
        name: `t3`, `student_t`, `gaussian`, `matched_gaussian` or `dirac`.
        mean: (B, N, d).
        sigma: (B, N, d); not used by `dirac`.
        nu: degrees of freedom; used by all but `gaussian` and `dirac`.
    """
    if name == "dirac":
        return Dirac(mean)
    if sigma is None:
        raise ValueError(f"the distribution {name!r} needs sigma")
    if name == "gaussian":
        return Gaussian(mean, sigma)
    if name == "matched_gaussian":
        return MatchedGaussian(mean, sigma, nu)
    if name == "student_t":
        return StudentT(mean, sigma, nu)
    if name == "t3":
        return T3(mean, sigma, nu)
    raise ValueError(f"unknown prompt distribution {name!r}")
