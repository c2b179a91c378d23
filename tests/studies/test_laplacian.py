"""Laplacians and gaps under noise, against closed forms and the whole Hessian."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from prosam.studies.curvature.laplacian import estimate, noise_gaps, quadratic_forms, rademacher
from prosam.studies.objective import LossesOfPrompts, Objective
from tests.studies.conftest import DIM, TARGETS, random_prompts

B, N, D = 2, 1, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def matrices() -> Tensor:
    """(B, D, D) symmetric, neither definite nor alike."""
    a = normal(B, D, D)
    return a + a.transpose(1, 2)


def quadratic(prompts: Tensor) -> Tensor:
    """p' A p / 2 + sum p for each target's own A."""
    p = prompts[:, :, 0]
    return torch.einsum("bki,bij,bkj->bk", p, matrices(), p) / 2 + p.sum(-1)


def powers(exponent: int) -> LossesOfPrompts:
    return lambda prompts: (prompts**exponent).sum((-2, -1))


def every_sign() -> Tensor:
    """(B, 2^D, N, D): all Rademacher vectors."""
    signs = torch.tensor(list(product((-1.0, 1.0), repeat=D)), dtype=torch.float64)
    return signs[None, :, None].expand(B, -1, -1, -1)


def test_all_probes_together_give_a_quadratics_trace():
    forms = quadratic_forms(quadratic, normal(B, N, D, seed=1), every_sign())
    trace = torch.stack([a.diag().sum() for a in matrices()])
    assert torch.allclose(forms.mean(1), trace, rtol=1e-12)
    assert forms.std(1).min() > 0.1


def test_probes_with_deviations_give_the_hessians_diagonal_weighted_with_variances():
    variances = normal(B, N, D, seed=2).square()
    forms = quadratic_forms(quadratic, normal(B, N, D, seed=1), every_sign() * variances.sqrt()[:, None])
    diagonal = torch.stack([a.diag() for a in matrices()])
    assert torch.allclose(forms.mean(1), (diagonal * variances[:, 0]).sum(1), rtol=1e-12)


def test_a_pair_of_opposite_noise_leaves_the_quadratic_part_alone():
    noise = normal(B, 5, N, D, seed=3)
    found = noise_gaps(quadratic, normal(B, N, D, seed=1), noise)
    expected = torch.einsum("bki,bij,bkj->bk", noise[:, :, 0], matrices(), noise[:, :, 0]) / 2
    assert torch.allclose(found, expected, rtol=1e-10)


def test_a_cubics_gap_is_what_its_laplacian_predicts_whatever_the_noise():
    p, eta = normal(B, N, D, seed=1), 2.0
    noise = eta * normal(B, 20_000, N, D, seed=3)
    assert torch.allclose(noise_gaps(powers(3), p, noise), (3 * p[:, None] * noise**2).sum((2, 3)), rtol=1e-8)
    gap = estimate(noise_gaps(powers(3), p, noise))
    laplacian = quadratic_forms(powers(3), p, every_sign()).mean(1)
    assert torch.allclose(laplacian, 6 * p.sum((1, 2)), rtol=1e-12)
    assert ((gap.mean - eta**2 / 2 * laplacian).abs() < 4 * gap.error).all()


@pytest.mark.parametrize("eta", [0.1, 1.0])
def test_a_quartics_gap_has_a_fourth_order_that_its_laplacian_does_not_see(eta: float):
    p = normal(B, N, D, seed=1)
    gap = estimate(noise_gaps(powers(4), p, eta * normal(B, 20_000, N, D, seed=3)))
    laplacian = quadratic_forms(powers(4), p, every_sign()).mean(1)
    assert torch.allclose(laplacian, 12 * p.square().sum((1, 2)), rtol=1e-12)
    expected = eta**2 / 2 * laplacian + 3 * eta**4 * N * D  # E (p + delta)^4 = p^4 + 6 p^2 eta^2 + 3 eta^4
    assert ((gap.mean - expected).abs() < 4 * gap.error).all()
    assert (gap.error < 0.05 * expected).all()


def test_an_estimate_is_the_mean_with_its_standard_error():
    draws = normal(3, 40)
    found = estimate(draws)
    assert np.allclose(found.mean, draws.numpy().mean(1))
    assert np.allclose(found.error, draws.numpy().std(1, ddof=1) / 40**0.5)


def test_rademacher_entries_are_signs_in_equal_shares():
    signs = rademacher((100, 100), generator())
    assert signs.unique().tolist() == [-1, 1]
    assert abs(signs.mean()) < 4 / 100
    assert torch.equal(signs, rademacher((100, 100), generator()))


def hessians(objective: Objective, prompts: Tensor) -> list[Tensor]:
    """(N d, N d) of each target, by differentiating its gradient entry by entry."""
    n = prompts[0].numel()
    found = []
    for row in range(TARGETS):

        def loss(p: Tensor, row: int = row) -> Tensor:
            everything = torch.cat([prompts[:row], p[None], prompts[row + 1 :]])
            return objective.losses(everything[:, None])[row, 0]

        hessian = torch.autograd.functional.hessian(loss, prompts[row])
        assert isinstance(hessian, Tensor)
        found.append(hessian.reshape(n, n))
    return found


def test_forms_with_sams_decoder_are_those_of_its_whole_hessian(objective: Objective):
    prompts, probes = random_prompts(TARGETS, 1), rademacher((TARGETS, 50, 1, DIM), generator()).double()
    forms = quadratic_forms(objective.losses, prompts, probes)
    laplacian = estimate(forms)
    for row, hessian in enumerate(hessians(objective, prompts)):
        w = probes[row, :, 0]
        expected = ((w @ hessian) * w).sum(1)
        assert (forms[row] - expected).abs().max() < 1e-9 * expected.abs().max()
        assert (laplacian.mean[row] - hessian.trace()).abs() < 4 * laplacian.error[row]
        assert laplacian.error[row] < 0.5 * hessian.norm()


def test_noise_too_small_to_meet_a_kink_adds_half_its_own_quadratic_form_with_sams_decoder(objective: Objective):
    prompts, noise = random_prompts(TARGETS, 1), random_prompts(TARGETS, 20, 1, seed=5)
    forms, eta = quadratic_forms(objective.losses, prompts, noise), 1e-5
    gaps = noise_gaps(objective.losses, prompts, eta * noise)
    assert (gaps - eta**2 / 2 * forms).abs().max() < 1e-3 * (eta**2 / 2 * forms).abs().max()


def test_with_as_many_prompts_as_make_the_decoder_fuse_its_attention_there_are_second_derivatives_too(
    objective: Objective,
):
    prompts = random_prompts(TARGETS, 300)  # 305 x 256 scores a head: above prosam.models.mask_token._SMALL_SCORES
    probe = random_prompts(TARGETS, 1, 300, seed=4)
    (found,) = quadratic_forms(objective.losses, prompts, probe).unbind(1)

    def slope(step: float) -> Tensor:
        point = (prompts + step * probe[:, 0]).requires_grad_()
        (gradient,) = torch.autograd.grad(objective.losses(point[:, None]).sum(), point)
        return (gradient * probe[:, 0]).sum((1, 2))

    step = 1e-6
    expected = (slope(step) - slope(-step)) / (2 * step)
    assert torch.allclose(found, expected, rtol=1e-4)
