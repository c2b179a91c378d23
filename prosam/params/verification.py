"""The schema of `verification`: prompts and a prompt distribution, learnt for one object by gradient descent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from prosam.params.section import Count, Fraction, NonNegative, Positive, Section


class VerificationParams(Section):
    """The verification study (the paper's section 5.3 and figure 4).

    With the bundled SAM, the defaults take about one CPU minute per start: prompts are learnt at a high rate, and
    `max_steps` ends most optimisations before the paper's stopping rule would.

    Attributes:
        prompts: P, number of prompts to learn, and to draw from the learnt distribution; the paper: 200.
        tokens: N, number of tokens of a prompt.
        initial_std: standard deviation of the normal distribution of initial prompts; the paper: 25.
        initial_sigma: sigma of the learnt distribution at the start; not stated in the paper.
        distribution: see `runs`.
        nu: see `runs`.
        samples: K, number of samples of the distribution per step.
        lr: learning rate of prompts and of the distribution's mean; the paper: 0.0001.
        log_sigma_lr: learning rate of the distribution's log sigma.
        weight_decay: of AdamW.
        min_improvement: minimum decrease of the loss that counts as an improvement.
        patience: number of steps without an improvement after which the optimisation of a prompt stops.
        max_steps: maximum number of steps; the paper: no limit.
        batch_size: prompts decoded at once; limits the memory.
        absolute_noise: standard deviations of the noise that is added to learnt prompts.
        relative_noise: standard deviations of the noise in units of the prompt's root mean square.
        noise_draws: number of draws of each size of noise for each prompt.
        min_share: minimum share of the image that the object covers.
        perplexity: of t-SNE.
        seed: of all random draws.
    """

    prompts: Annotated[int, Field(ge=2, strict=True)] = 200
    tokens: Count = 1
    initial_std: Positive = 2.0
    initial_sigma: Positive = 1.0
    distribution: Literal["t3", "student_t", "gaussian", "matched_gaussian"] = "t3"
    nu: Annotated[float, Field(ge=1, allow_inf_nan=False, strict=True)] = 5.0
    samples: Count = 10
    lr: Positive = 0.5
    log_sigma_lr: Positive = 0.05
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 1e-6
    min_improvement: Positive = 0.0003
    patience: Count = 100
    max_steps: Count = 120
    batch_size: Count = 50
    absolute_noise: tuple[Positive, ...] = (0.25, 0.5, 1.0, 2.0)
    relative_noise: tuple[Positive, ...] = (0.1, 0.25, 0.5, 1.0)
    noise_draws: Count = 1
    min_share: Fraction = 0.04
    perplexity: Positive = 30.0
    seed: NonNegative = 0
