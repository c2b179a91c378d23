"""The schema of `curvature`: what noise in a run's prompts costs, and how much of it the Laplacian explains."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from prosam.params.section import Count, Positive, Section


class CurvatureParams(Section):
    """The curvature study (the paper's section 7).

    Attributes:
        episodes: the first so many of the frozen ones.
        probes: Rademacher vectors for the Laplacian of one episode, at least 2: their spread is its standard error.
        draws: pairs of opposite noise for one size of noise and one episode, at least 2.
        absolute_noise: standard deviations of the noise.
        relative_noise: likewise, in units of the prompts' root mean square.
        batch_size: episodes at once; second derivatives take several times the memory of a training step.
    """

    episodes: Count = 50
    probes: Annotated[int, Field(ge=2, strict=True)] = 8
    draws: Annotated[int, Field(ge=2, strict=True)] = 16
    absolute_noise: tuple[Positive, ...] = (0.01, 0.1, 0.5)
    relative_noise: tuple[Positive, ...] = (0.1, 0.25, 0.5)
    batch_size: Count = 8
