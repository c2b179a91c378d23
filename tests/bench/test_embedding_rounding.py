"""Embeddings in 8 bits: the error is half a step of the group at most, and zeros stay zeros."""

from __future__ import annotations

import pytest
import torch

from bench.embedding_rounding import Grouping, from_int8, to_int8


@pytest.mark.parametrize(("by", "dims", "shape"), [("channel", (2, 3), (2, 5, 1, 1)), ("place", (1,), (2, 1, 4, 4))])
def test_a_value_is_off_by_half_a_step_at_most(by: Grouping, dims: tuple[int, ...], shape: tuple[int, ...]):
    values = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0)).half()
    rounded, scales = to_int8(values, by)
    assert rounded.dtype == torch.int8
    assert scales.shape == shape
    step = values.float().abs().amax(dims, keepdim=True) / 127
    error = (from_int8(rounded, scales).float() - values.float()).abs()
    assert (error <= step / 2 + 2e-3 * values.float().abs() + 1e-6).all()  # float16 has 11 bits
    assert (error > step / 8).any()


def test_the_largest_value_of_a_group_is_kept_and_zeros_stay_zeros():
    values = torch.zeros(1, 2, 2, 2)
    values[0, 0] = torch.tensor([[-3.0, 1.0], [0.0, 2.0]])
    rounded, scales = to_int8(values)
    assert rounded[0, 0].tolist() == [[-127, 42], [0, 85]]  # 1 / 3 and 2 / 3 of 127, to the nearest
    back = from_int8(rounded, scales)
    assert back[0, 0, 0, 0] == -3
    assert not back[0, 1].any()


def test_one_large_channel_costs_the_others_nothing():
    values = torch.ones(1, 2, 2, 2)
    values[0, 1] *= 1000
    assert torch.equal(from_int8(*to_int8(values, "channel")).float(), values)
