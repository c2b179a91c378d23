"""Learning-rate schedules, against formulas and torch's."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts

from prosam.params import TrainParams
from prosam.training.loop import learning_rate
from prosam.training.schedule import cosine_warm_restarts, cosine_with_warmup


def an_optimizer(lr: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def torchs_rates(optimizer: torch.optim.Optimizer, scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int):
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_warm_restarts_are_torchs():
    optimizer = an_optimizer()
    expected = torchs_rates(optimizer, CosineAnnealingWarmRestarts(optimizer, T_0=15), 61)
    assert [cosine_warm_restarts(step, 15) for step in range(61)] == pytest.approx(expected, abs=1e-12)


def test_a_single_cosine_is_torchs_down_to_its_floor():
    optimizer = an_optimizer()
    expected = torchs_rates(optimizer, CosineAnnealingLR(optimizer, T_max=40, eta_min=0.01), 40)
    assert [cosine_with_warmup(step, 40, 0) for step in range(40)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("warmup", [1, 7])
def test_warm_up_rises_linearly_to_the_cosine(warmup: int):
    for step in range(40):
        factor = min(1, (step + 1) / warmup)
        assert cosine_with_warmup(step, 40, warmup) == pytest.approx(factor * cosine_with_warmup(step, 40, 0))
        assert cosine_warm_restarts(step, 15, warmup) == pytest.approx(factor * cosine_warm_restarts(step, 15))


def test_a_training_has_the_schedule_that_its_settings_name():
    plain = TrainParams(steps=40, lr=0.5)
    cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 10 / 40))
    assert learning_rate(plain, 10) == pytest.approx(0.5 * (11 / 60) * cosine)  # 60 steps of warm-up
    restarts = TrainParams.model_validate(
        {"steps": 40, "lr": 0.5, "schedule": {"kind": "restarts", "warmup": 0, "restart_every": 15}}
    )
    assert [learning_rate(restarts, step) for step in (0, 15, 30)] == [0.5, 0.5, 0.5]
    assert learning_rate(restarts, 20) == pytest.approx(0.25 * (1 + math.cos(math.pi / 3)))
