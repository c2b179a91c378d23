"""`--device mps`, on a stand-in for Apple's GPU that refuses what PyTorch refuses there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from prosam import Concept, InputError, Predictor
from prosam.distributed.copies import cpu_unless_cuda, on_device
from prosam.distributed.device import named_device
from prosam.methods.parts.padded_square import PaddedSquare
from prosam.methods.parts.positional_debiasing import PositionalDebiasing
from prosam.models.distributions import StudentT
from tests.predictor.apple import MPS, apple_gpu
from tests.scenes import pair

REFERENCE, TARGET, CLASS = pair()


IMAGE = torch.zeros(1, 2, 2, 2)
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "float64": (lambda: torch.zeros(3, device=MPS).double(), "float64"),
    "float64 of the CPU": (lambda: torch.zeros(3, dtype=torch.float64).to(MPS), "float64"),
    "no waiting": (lambda: torch.zeros(3).to(MPS, non_blocking=True), "nothing waits"),
    "two devices": (lambda: torch.zeros(3, device=MPS) + torch.zeros(3), "same device"),
    "gamma noise": (lambda: StudentT(IMAGE[0].to(MPS), IMAGE[0].to(MPS), 3.0).sample(1), "not currently implemented"),
    "generator": (lambda: torch.randn(3, device=MPS, generator=torch.Generator()), "generator"),
    "border": (lambda: F.grid_sample(IMAGE.to(MPS), IMAGE.to(MPS), "bilinear", "border", False), "Border padding"),
    "areas": (lambda: F.interpolate(torch.zeros(1, 1, 8, 8, device=MPS), (6, 6), mode="area"), "divisible"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_stand_in_refuses_what_mps_refuses(what: str):
    call, told = REFUSED[what]
    with apple_gpu(), pytest.raises((TypeError, RuntimeError), match=told):
        call()


@pytest.mark.parametrize(
    "options",
    [{"source": "bundled:shapes"}, {"source": "bundled:photos"}, {"method": "gf-sam"}],
    ids=["shapes", "photos", "gf-sam"],
)
def test_on_apples_gpu_a_model_finds_what_it_finds_on_the_cpu(options: dict[str, Any], tmp_path: Path):
    found = []
    for device in ("cpu", "mps"):
        with apple_gpu():
            predictor = Predictor.load(**options, device=device)
            assert predictor.finder.models.device.type == device
            concept = predictor.learn([(REFERENCE.image, REFERENCE.mask(CLASS))], "it")
            concept.save(tmp_path / f"{device}.safetensors")
            concept = Concept.load(tmp_path / f"{device}.safetensors")
            samples = 3 if predictor.finder.is_probabilistic else 0
            found.append(predictor.segment(TARGET.image, concept, threshold=0, samples=samples, refine=True))
            found.append(predictor.segment(TARGET.image, concept, threshold=0, instances=True))
    assert found[0].mask.any()
    for one, other in zip(found[:2], found[2:], strict=True):
        assert (one.mask != other.mask).mean() < 0.001  # sums are rounded differently
        assert (one.presence, one.score) == pytest.approx((other.presence, other.score), abs=1e-4)
        assert len(one.instances) == len(other.instances)
    if found[0].uncertainty is not None:
        assert found[2].uncertainty is not None
        np.testing.assert_allclose(found[0].uncertainty.spread, found[2].uncertainty.spread, atol=1e-3)


def test_parts_of_other_methods_need_no_float64_of_apples_gpu():
    points, black = torch.tensor([[3.0, 5.0], [99.0, 40.0]]), torch.rand(6, 4, 4, generator=torch.Generator())
    square = PaddedSquare((50, 120), 64)
    with apple_gpu():
        there = square.places(points.to(MPS))
        assert there.device.type == "mps"
        assert torch.equal(there.cpu(), square.places(points))
        tokens = F.normalize(torch.rand(9, 6), dim=1)
        debiased = PositionalDebiasing(black.to(MPS), 0.5)(tokens.to(MPS))
        assert torch.equal(debiased.cpu(), PositionalDebiasing(black, 0.5)(tokens))


def test_what_only_some_devices_can_is_computed_on_them():
    for name, where in (("cpu", "cpu"), ("cuda", "cuda"), ("mps", "cpu"), ("xpu", "cpu")):
        assert cpu_unless_cuda(torch.device(name)).type == where
    with apple_gpu():
        assert on_device(torch.zeros(2), MPS).device.type == "mps"


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has the GPU whose absence is tested")
def test_where_there_is_no_such_gpu_that_is_said():
    with pytest.raises(InputError, match="there is no device 'mps' here; use auto or cpu"):
        named_device("mps")
