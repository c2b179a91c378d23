"""The learning rate of each step."""

from __future__ import annotations

import math

from prosam.params import TrainParams


def learning_rate(settings: TrainParams, step: int) -> float:
    """The learning rate of a step, counted from 0."""
    schedule = settings.schedule
    if schedule.restart_every is not None:
        return settings.lr * cosine_warm_restarts(step, schedule.restart_every, schedule.warmup)
    return settings.lr * cosine_with_warmup(step, settings.steps, schedule.warmup)


def cosine_with_warmup(step: int, steps: int, warmup: int, floor: float = 0.01) -> float:
    """Linear warm-up times one cosine from 1 to `floor`.

    Args:
        step: counted from 0.
        steps: length of the run.
        warmup: steps until the factor reaches the cosine.
        floor: final value of the cosine.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def cosine_warm_restarts(step: int, period: int, warmup: int = 0) -> float:
    """A cosine from 1 to 0 that starts again every `period` steps (SGDR; Loshchilov and Hutter 2016, T_mult = 1)."""
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * (step % period) / period))
