"""Prompt distributions, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from prosam.models.distributions import Dirac, PromptDistribution, make_distribution

DIM, PROMPTS, COUNT = 8, 2, 50_000
NU = {"t3": 5.0, "student_t": 9.0}  # fourth moments, which the tolerances need, exist above 4
HEAVY = ("t3", "student_t")
SAMPLED = (*HEAVY, "gaussian", "matched_gaussian")
ALL = (*SAMPLED, "dirac")


def freedom(name: str) -> float:
    """Degrees of freedom as docs/method.md states them."""
    return NU[name] + DIM if name == "t3" else NU[name]


def scale(name: str) -> float:
    """The scale of a unit-sigma prompt: docs/method.md, eq. 5 for t3, one for the plain t."""
    return (1 + DIM / NU[name]) ** -0.5 if name == "t3" else 1.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_distribution(name: str, batch: int = 1, dtype: torch.dtype = torch.float64) -> PromptDistribution:
    rng = np.random.default_rng(1)
    mean = torch.from_numpy(rng.normal(size=(batch, PROMPTS, DIM))).to(dtype)
    sigma = torch.from_numpy(rng.uniform(0.2, 2, (batch, PROMPTS, DIM))).to(dtype)
    return make_distribution(name, mean, sigma, NU.get(name, 5.0))


def standardised(name: str) -> np.ndarray:
    """(COUNT, PROMPTS, DIM): samples less the mean, over sigma."""
    distribution = a_distribution(name)
    samples = distribution.sample(COUNT, generator())
    return ((samples - distribution.mean[:, None]) / sigma_of(distribution)[:, None])[0].numpy()


def sigma_of(distribution: PromptDistribution) -> Tensor:
    return distribution.sigma  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("t3", NU["t3"] / (NU["t3"] + DIM - 2)),
        ("student_t", NU["student_t"] / (NU["student_t"] - 2)),
        ("gaussian", 1.0),
        ("matched_gaussian", NU["t3"] / (NU["t3"] + DIM - 2)),
    ],
)
def test_samples_have_the_stated_mean_and_covariance(name: str, variance: float):
    x = standardised(name)
    for prompt in range(PROMPTS):
        assert np.abs(x[:, prompt].mean(0)).max() < 5 * (variance / COUNT) ** 0.5
        covariance = np.cov(x[:, prompt], rowvar=False)
        assert np.abs(covariance - variance * np.eye(DIM)).max() < 0.07 * variance


@pytest.mark.parametrize("name", HEAVY)
def test_an_entry_is_a_t_with_the_stated_degrees_of_freedom_and_scale(name: str):
    x = standardised(name)[:, :, 0].ravel()
    assert stats.kstest(x, stats.t(freedom(name), scale=scale(name)).cdf).pvalue > 1e-3
    other = NU[name] if name == "t3" else NU[name] + DIM
    assert stats.kstest(x, stats.t(other, scale=scale(name)).cdf).pvalue < 1e-4


@pytest.mark.parametrize("name", HEAVY)
def test_a_prompts_squared_norm_has_the_f_distribution_of_a_multivariate_t(name: str):
    ratio = (standardised(name) ** 2).sum(-1).ravel() / DIM / scale(name) ** 2
    assert stats.kstest(ratio, stats.f(DIM, freedom(name)).cdf).pvalue > 1e-3
    assert stats.kstest(ratio, stats.chi2(DIM, scale=1 / DIM).cdf).pvalue < 1e-4


@pytest.mark.parametrize(("name", "deviation"), [("gaussian", 1.0), ("matched_gaussian", (5 / 11) ** 0.5)])
def test_a_gaussian_prompt_is_normal(name: str, deviation: float):
    x = standardised(name) / deviation
    assert stats.kstest(x.ravel(), stats.norm.cdf).pvalue > 1e-3
    assert stats.kstest((x**2).sum(-1).ravel(), stats.chi2(DIM).cdf).pvalue > 1e-3


def squares_correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x**2, y**2)[0, 1])


@pytest.mark.parametrize("name", [*HEAVY, "gaussian"])
def test_the_entries_of_a_prompt_share_one_v_and_prompts_do_not(name: str):
    x = standardised(name)
    df = freedom(name) if name in NU else np.inf
    # of a multivariate t: cov(x^2, y^2) over var(x^2), from E x^2 y^2 = df^2 / (df - 2) (df - 4) and E x^4 = 3 of that
    expected = 1 / (df - 1) if np.isfinite(df) else 0.0
    within = np.mean([squares_correlation(x[:, p, i], x[:, p, i + 1]) for p in range(PROMPTS) for i in range(DIM - 1)])
    across = np.mean([squares_correlation(x[:, 0, i], x[:, 1, i]) for i in range(DIM)])
    assert within == pytest.approx(expected, abs=0.02)
    assert abs(across) < 0.015


def test_a_batch_and_its_samples_are_independent():
    x = a_distribution("student_t", batch=2).sample(COUNT, generator())
    x = x.numpy() - x.numpy().mean(1, keepdims=True)
    assert abs(squares_correlation(x[0, :, 0, 0], x[1, :, 0, 0])) < 0.03
    assert abs(squares_correlation(x[0, 1:, 0, 0], x[0, :-1, 0, 0])) < 0.03


def test_a_dirac_is_its_mean():
    distribution = a_distribution("dirac", batch=3)
    assert isinstance(distribution, Dirac)
    samples = distribution.sample(4, generator())
    assert samples.shape == (3, 4, PROMPTS, DIM)
    assert all(torch.equal(samples[:, k], distribution.mean) for k in range(4))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_seed_fixes_the_samples(name: str, dtype: torch.dtype):
    distribution = a_distribution(name, batch=3, dtype=dtype)
    one, again = distribution.sample(5, generator(7)), distribution.sample(5, generator(7))
    assert (one.shape, one.dtype) == ((3, 5, PROMPTS, DIM), dtype)
    assert torch.equal(one, again)
    assert name == "dirac" or not torch.equal(one, distribution.sample(5, generator(8)))


@pytest.mark.parametrize("name", ALL)
def test_sampling_leaves_the_global_generator_alone(name: str):
    before = torch.random.get_rng_state()
    a_distribution(name).sample(3, generator())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", SAMPLED)
def test_a_sample_differentiates_as_mean_plus_sigma_times_noise(name: str):
    distribution = a_distribution(name, batch=2)
    mean, sigma = distribution.mean.clone().requires_grad_(), sigma_of(distribution).clone().requires_grad_()
    weight = torch.randn(2, 3, PROMPTS, DIM, dtype=torch.float64, generator=generator(3))
    samples = make_distribution(name, mean, sigma, NU.get(name, 5.0)).sample(3, generator())
    by_mean, by_sigma = torch.autograd.grad((samples * weight).sum(), (mean, sigma))
    noise = (samples - mean[:, None]) / sigma[:, None]
    assert torch.allclose(by_mean, weight.sum(1), rtol=1e-12)
    assert torch.allclose(by_sigma, (weight * noise).sum(1), rtol=1e-10)


@pytest.mark.parametrize("name", SAMPLED)
def test_the_gradients_are_those_of_finite_differences(name: str):
    distribution = a_distribution(name)
    inputs = (distribution.mean.clone().requires_grad_(), sigma_of(distribution).clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda mean, sigma: make_distribution(name, mean, sigma, NU.get(name, 5.0)).sample(2, generator()), inputs
    )


@pytest.mark.parametrize(
    ("name", "nu", "expected"),
    [
        ("t3", 5.0, stats.t(5 + 8, scale=(1 + 8 / 5) ** -0.5).var()),
        ("student_t", 3.0, stats.t(3).var()),
        ("gaussian", 5.0, 1.0),
        ("matched_gaussian", 5.0, stats.t(5 + 8, scale=(1 + 8 / 5) ** -0.5).var()),
        ("student_t", 2.0, None),
        ("dirac", 5.0, None),
    ],
)
def test_the_variance_is_that_of_the_distribution(name: str, nu: float, expected: float | None):
    sigma = torch.rand(2, 3, 8, generator=torch.Generator().manual_seed(0))
    found = make_distribution(name, torch.zeros(2, 3, 8), sigma, nu).variance
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert torch.allclose(found, expected * sigma**2, rtol=1e-5)


def test_unknown_names_and_a_missing_sigma_are_refused():
    mean = torch.zeros(1, 2, 4)
    with pytest.raises(ValueError, match="unknown prompt distribution 'cauchy'"):
        make_distribution("cauchy", mean, mean + 1, 5.0)
    with pytest.raises(ValueError, match="'t3' needs sigma"):
        make_distribution("t3", mean, None, 5.0)


@pytest.mark.parametrize("name", ["t3", "student_t", "gaussian", "dirac"])
def test_the_distribution_of_one_image_of_a_batch_is_that_images(name: str):
    batch = a_distribution(name, batch=3)
    one = batch.of_image(1)
    assert type(one) is type(batch)
    assert one.mean.shape == (1, PROMPTS, DIM)
    sigma = None if name == "dirac" else sigma_of(batch)[1:2]
    alone = make_distribution(name, batch.mean[1:2], sigma, NU.get(name, 5.0))
    assert torch.equal(one.sample(4, generator()), alone.sample(4, generator()))
