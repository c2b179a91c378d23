"""Prompts and distributions learnt by gradient descent: the stopping rule, and that prompts do not touch each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prosam.errors import InputError
from prosam.models.distributions import T3
from prosam.params.verification import VerificationParams
from prosam.studies.objective import Objective
from prosam.studies.verification.optimisation import StoppingRule, learn_distribution, learn_prompts
from tests.studies.conftest import random_prompts


def settings(**changes: Any) -> VerificationParams:
    return VerificationParams.model_validate({"lr": 0.05, "log_sigma_lr": 0.05, "max_steps": 12, **changes})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bowl(prompts: Tensor) -> Tensor:
    """Half the squared distance from 1, in each entry."""
    return ((prompts - 1) ** 2).sum((-2, -1)) / 2


def steps_taken(losses: Sequence[float], min_improvement: float, patience: int) -> int:
    """The paper's rule in words, for one loss after another."""
    best, without = float("inf"), 0
    for step, loss in enumerate(losses, start=1):
        if best - loss > min_improvement:
            best, without = loss, 0
        else:
            without += 1
        if without == patience:
            return step
    return len(losses)


def test_a_prompt_stops_after_so_many_steps_without_an_improvement():
    curves = np.random.default_rng(0).uniform(size=(30, 50)).round(2) + np.linspace(0.3, 0, 50)
    rule = StoppingRule(30, min_improvement=0.05, patience=8)
    for step in range(50):
        if running := rule.running():
            rule.see(running, torch.from_numpy(curves[running, step]))
    expected = [steps_taken(curve, 0.05, 8) for curve in curves]
    assert rule.steps.tolist() == expected
    assert len(set(expected)) > 5
    assert rule.running() == [row for row, steps in enumerate(expected) if steps == 50]


def test_prompts_learnt_together_are_those_learnt_alone(first_target: Objective):
    initial = 2 * random_prompts(3, 2)
    together = learn_prompts(first_target.losses, initial, settings(batch_size=2), name="all")
    for row in range(3):
        alone = learn_prompts(first_target.losses, initial[row : row + 1], settings(), name="one")
        assert (together.prompts[row] - alone.prompts[0]).abs().max() < 1e-9
    assert (together.prompts - initial).abs().max() > 0.3


def test_a_prompt_takes_the_steps_of_an_optimiser_of_its_own(first_target: Objective):
    initial = random_prompts(1, 1)
    found = learn_prompts(first_target.losses, initial, settings(weight_decay=0.1), name="one")
    prompt = initial.clone().requires_grad_()
    optimizer = torch.optim.AdamW([prompt], lr=0.05, weight_decay=0.1)
    for _ in range(12):
        optimizer.zero_grad()
        first_target.losses(prompt[None]).sum().backward()
        optimizer.step()
    assert (found.prompts - prompt).abs().max() < 1e-9
    assert found.steps.tolist() == [12]


def test_a_prompt_that_has_stopped_stays_where_it_is_and_leaves_the_batch():
    initial = torch.full((3, 1, 2), 1.0) + torch.tensor([0.0, 0.5, 2.0])[:, None, None]
    chosen = settings(max_steps=200, patience=5, min_improvement=1e-3, weight_decay=0.0)
    sizes = []

    def watched(prompts: Tensor) -> Tensor:
        sizes.append(prompts.shape[1])
        return bowl(prompts)

    together = learn_prompts(watched, initial, chosen, name="bowl")
    assert together.steps.tolist() == sorted(set(together.steps.tolist()))  # the further from the bottom, the later
    assert sizes == [int((together.steps > step).sum()) for step in range(int(together.steps.max()))]
    for row in range(3):
        alone = learn_prompts(bowl, initial[row : row + 1], chosen, name="bowl")
        assert torch.equal(together.prompts[row], alone.prompts[0])
        assert together.steps[row] == alone.steps[0]


def test_a_distribution_finds_the_bottom_and_narrows_there():
    initial = torch.full((1, 4), 3.0, dtype=torch.float64)
    found = learn_distribution(bowl, initial, settings(max_steps=400), generator(), name="bowl")
    assert isinstance(found.distribution, T3)
    assert (found.distribution.mean - 1).abs().max() < 0.05
    assert found.sigma.shape == (1, 4)
    assert found.sigma.max() < 0.1  # E loss = |mean - 1|^2 / 2 + the variances / 2
    assert torch.equal(found.distribution.sigma[0], found.sigma)


def test_a_distribution_keeps_away_from_a_cliff_that_a_single_prompt_stops_at():
    def cliff(prompts: Tensor) -> Tensor:
        """Flat but for a wall at 0 and a gentle slope to it."""
        return (torch.nn.functional.softplus(-20 * prompts) + 0.01 * prompts).sum((-2, -1))

    initial = torch.full((1, 1, 1), 1.5, dtype=torch.float64)
    chosen = settings(max_steps=600, patience=600, samples=50, log_sigma_lr=1e-9, distribution="gaussian")
    single = learn_prompts(cliff, initial, chosen, name="cliff").prompts.item()
    mean = learn_distribution(cliff, initial[0], chosen, generator(), name="cliff").distribution.mean.item()
    places, noise = np.linspace(0, 6, 2001), np.random.default_rng(0).normal(size=4000)
    at = places[:, None] + np.array([[0.0], [1.0]])[:, :, None] * noise  # sigma 0 and 1
    expected = (np.logaddexp(0, -20 * at) + 0.01 * at).mean(-1).argmin(-1)
    assert single == pytest.approx(places[expected[0]], abs=0.1)
    assert mean == pytest.approx(places[expected[1]], abs=0.4)
    assert places[expected[1]] > places[expected[0]] + 1


def test_a_seed_fixes_a_distribution(first_target: Objective):
    def learnt(seed: int) -> Tensor:
        initial = random_prompts(1)
        return learn_distribution(first_target.losses, initial, settings(), generator(seed), name="").distribution.mean

    assert torch.equal(learnt(0), learnt(0))
    assert not torch.equal(learnt(0), learnt(1))


def test_a_loss_that_is_not_finite_is_one_line_that_names_the_rates():
    def broken(prompts: Tensor) -> Tensor:
        return bowl(prompts) / 0.0

    for learn in (
        lambda: learn_prompts(broken, torch.zeros(2, 1, 2), settings(), name="study"),
        lambda: learn_distribution(broken, torch.zeros(1, 2), settings(), generator(), name="study"),
    ):
        with pytest.raises(InputError, match=r"^study: a loss is not finite; lower verification.lr .*$"):
            learn()
