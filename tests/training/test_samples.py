"""The loss of many samples of prompts, a few at a time, against the plain form: SAM's own decoder, one at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from bench.forms import OurPrompts, build_methods, our_loss, plain_loss, plain_prompts, random_pairs
from bench.measuring import SavedBytes
from prosam.methods.prompting import PromptMethod
from prosam.models.distributions import PromptDistribution
from prosam.models.mask_token import MaskTokenDecoder
from prosam.params import Params
from prosam.training.samples import LossOf, expected_loss
from prosam.training.settings import Execution, execution
from tests.conftest import bundled_params

B, K = 2, 3
CPU = torch.device("cpu")


@pytest.fixture
def method() -> PromptMethod:
    torch.manual_seed(0)
    return build_methods(16, CPU)[1]


@pytest.fixture
def in_double(method: PromptMethod, monkeypatch: pytest.MonkeyPatch) -> PromptMethod:
    """In double precision; segment-anything makes its grid of positions in single precision."""
    sam = method.models.sam
    positions = sam.prompt_encoder.get_dense_pe().double()
    monkeypatch.setattr(sam.prompt_encoder, "get_dense_pe", lambda: positions)
    models = replace(method.models, sam=sam.double(), decoder=MaskTokenDecoder(sam.double()))
    return PromptMethod(method.encoder.double(), models, normalised_pseudo_mask=True)


def loss_and_gradient(loss: LossOf, samples: Tensor) -> tuple[float, Tensor]:
    samples = samples.clone().requires_grad_()
    value = loss(samples)
    (gradient,) = torch.autograd.grad(3 * value, samples)  # what follows the loss may scale it
    return value.item(), gradient / 3


def assert_same(method: PromptMethod, dtype: torch.dtype, tolerance: float) -> None:
    pairs = random_pairs(method.models, B)
    embedding, truth = pairs.embedding.to(dtype), pairs.truth.to(dtype)
    samples = torch.randn(B, K, 5, embedding.shape[1], generator=torch.Generator().manual_seed(1)).to(dtype)
    value, expected = loss_and_gradient(partial(plain_loss, method.models, embedding, truth), samples)
    assert expected.abs().max() > 0
    for at_once in (1, 2, K, None):
        ours = our_loss(method.models, embedding, truth, Execution(samples_at_once=at_once))
        found, gradient = loss_and_gradient(ours, samples)
        assert found == pytest.approx(value, rel=tolerance)
        assert (gradient - expected).abs().max() <= tolerance * expected.abs().max()


def test_loss_and_gradient_equal_those_of_the_plain_loop(method: PromptMethod):
    assert_same(method, torch.float32, 1e-4)


def test_in_double_precision_they_equal_them_to_rounding(in_double: PromptMethod):
    assert_same(in_double, torch.float64, 1e-12)


def test_gradients_of_a_whole_step_equal_the_plain_ones():
    torch.manual_seed(0)
    plainly, method = build_methods(16, CPU)
    pairs = random_pairs(method.models, B)
    how = Execution(samples_at_once=2)

    def gradients(prompts: PromptDistribution, loss: LossOf) -> list[Tensor]:
        samples = prompts.sample(K, torch.Generator().manual_seed(0))
        return list(torch.autograd.grad(loss(samples), list(method.encoder.parameters())))

    expected = gradients(
        plain_prompts(plainly, pairs), partial(plain_loss, method.models, pairs.embedding, pairs.truth)
    )
    found = gradients(OurPrompts(method, how)(pairs), our_loss(method.models, pairs.embedding, pairs.truth, how))
    scale = max(gradient.abs().max() for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 1e-4 * scale


def test_what_is_kept_for_the_backward_pass_grows_with_the_samples_at_once_and_not_with_all(method: PromptMethod):
    pairs = random_pairs(method.models, 1)

    def bytes_held(samples: int, at_once: int | None) -> int:
        prompts = torch.randn(1, samples, 5, pairs.embedding.shape[1], requires_grad=True)
        saved = SavedBytes()
        with saved:
            our_loss(method.models, pairs.embedding, pairs.truth, Execution(samples_at_once=at_once))(
                prompts
            ).backward()
        return saved.most

    assert bytes_held(8, 2) < 1.1 * bytes_held(4, 2)
    assert bytes_held(8, 4) > 1.6 * bytes_held(8, 2)
    assert bytes_held(8, None) > 3 * bytes_held(8, 2)


@pytest.mark.parametrize("at_once", [2, 3, None])
def test_samples_that_fit_at_once_are_one_call(at_once: int | None):
    parts: list[int] = []

    def loss_of(samples: Tensor) -> Tensor:
        parts.append(samples.shape[1])
        return samples.square().mean()

    samples = torch.randn(1, 2, 3, 4, requires_grad=True)
    assert expected_loss(loss_of, samples, at_once=at_once).item() == samples.square().mean().item()
    assert parts == [2]


@pytest.mark.parametrize(
    ("images", "said", "at_once"),
    [(1, "auto", 5), (2, "auto", 5), (8, "auto", 4), (16, "auto", 2), (100, "auto", 1), (16, 3, 3)],
)
def test_on_a_cpu_a_large_batch_has_fewer_samples_at_once(images: int, said: str | int, at_once: int):
    params = Params.model_validate(bundled_params() | {"samples_at_once": said})
    assert execution(params, torch.device("cpu")).at_once(images) == at_once


def test_on_a_gpu_all_samples_are_there_at_once():
    params = Params.model_validate(bundled_params() | {"precision": "float32", "workers": 0})
    assert execution(params, torch.device("cuda")).at_once(16) is None


def test_parts_weigh_by_their_samples():
    samples = torch.arange(5.0).view(1, 5, 1, 1).requires_grad_()
    loss = expected_loss(lambda part: part.square().mean(), samples, at_once=2)  # parts of 2, 2 and 1
    assert loss.item() == pytest.approx((0 + 1 + 4 + 9 + 16) / 5)
    loss.backward()
    assert samples.grad is not None
    assert samples.grad.flatten().tolist() == pytest.approx([2 * x / 5 for x in range(5)])


@pytest.mark.long
def test_compiled_loss_and_gradient_equal_the_plain_ones(method: PromptMethod, monkeypatch: pytest.MonkeyPatch):
    # without the decoder, which takes minutes to compile
    monkeypatch.setattr(MaskTokenDecoder, "__call__", lambda self, embedding, prompts: prompts)
    pairs = random_pairs(method.models, B)
    logits = torch.randn(B, K, 32, 32, generator=torch.Generator().manual_seed(1))
    expected, gradient = loss_and_gradient(our_loss(method.models, pairs.embedding, pairs.truth, Execution()), logits)
    compiled = our_loss(method.models, pairs.embedding, pairs.truth, Execution(compiled=True))
    found, ours = loss_and_gradient(compiled, logits)
    assert found == pytest.approx(expected, rel=1e-5)
    assert (ours - gradient).abs().max() <= 1e-4 * gradient.abs().max()


@pytest.mark.long
def test_compiled_prompts_and_their_gradients_equal_the_plain_ones(method: PromptMethod):
    pairs, found = random_pairs(method.models, B), []
    for how in (Execution(), Execution(compiled=True)):
        prompts = OurPrompts(method, how)(pairs)
        drawn = prompts.sample(K, torch.Generator().manual_seed(0))
        gradients = torch.autograd.grad(drawn.square().mean(), list(method.encoder.parameters()), allow_unused=True)
        found.append((drawn, torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])))
    for plain, compiled in zip(*found, strict=True):
        assert (compiled - plain).abs().max() <= 1e-4 * plain.abs().max()


def test_in_bfloat16_prompts_and_loss_stay_in_single_precision_and_gradients_near(method: PromptMethod):
    pairs = random_pairs(method.models, B)
    found: list[Tensor] = []
    for how in (Execution(), Execution(bf16=True)):
        prompts = OurPrompts(method, how)(pairs)
        samples = prompts.sample(K, torch.Generator().manual_seed(0))
        loss = our_loss(method.models, pairs.embedding, pairs.truth, how)(samples)
        assert {prompts.mean.dtype, samples.dtype, loss.dtype} == {torch.float32}
        gradients = torch.autograd.grad(loss, list(method.encoder.parameters()))
        assert {gradient.dtype for gradient in gradients} == {torch.float32}
        found.append(torch.cat([gradient.flatten() for gradient in gradients]))
    exact, rounded = found
    assert not torch.equal(rounded, exact)
    assert torch.cosine_similarity(rounded, exact, dim=0) > 0.98  # 8 bits of mantissa
