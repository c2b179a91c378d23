"""The schema of `curvature`: the cost of noise in a run's prompts, and the share that the Laplacian explains."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from prosam.params.section import Count, Positive, Section


class CurvatureParams(Section):
    """The curvature study (the paper's section 7).

    Attributes:
        episodes: number of frozen episodes to use, from the first on.
        probes: number of Rademacher vectors for the Laplacian of an episode; at least 2, because their spread gives its
            standard error.
        draws: pairs of opposite noise for each size of noise and each episode; at least 2.
        absolute_noise: standard deviations of the noise.
        relative_noise: standard deviations of the noise in units of the prompts' root mean square.
        batch_size: episodes at once; second derivatives take several times the memory of a training step.
    """

    episodes: Count = 50
    probes: Annotated[int, Field(ge=2, strict=True)] = 8
    draws: Annotated[int, Field(ge=2, strict=True)] = 16
    absolute_noise: tuple[Positive, ...] = (0.01, 0.1, 0.5)
    relative_noise: tuple[Positive, ...] = (0.1, 0.25, 0.5)
    batch_size: Count = 8
