"""Convolutions in bands of rows give what the whole image gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prosam.models import row_bands
from prosam.models.mobile_sam import TinyViT
from prosam.models.row_bands import convolve_in_bands, convolved_height, convolved_rows, in_bands
from tests.models.random_weights import random_module, relative_difference

CPU = torch.device("cpu")


def convolution_of(stride: int, groups: int) -> nn.Conv2d:
    return nn.Conv2d(6, 6, 3, stride, padding=1, groups=groups)


@pytest.mark.parametrize("height", [1, 4, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 6])
@torch.no_grad()
def test_each_row_is_that_of_the_whole_convolution(height: int, stride: int, groups: int):
    convolution = convolution_of(stride, groups)
    image = torch.randn(2, 6, height, 5, generator=torch.Generator().manual_seed(0))
    whole = convolution(image)
    assert convolved_height(convolution, height) == whole.shape[2]
    for first in range(whole.shape[2]):
        for last in range(first + 1, whole.shape[2] + 1):
            torch.testing.assert_close(convolved_rows(convolution, image, first, last), whole[:, :, first:last])


@pytest.mark.parametrize("height", [1, 2, 7, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("rows_of_a_band", [1, 2, 3, 100])
@torch.no_grad()
def test_a_convolution_in_bands_asks_for_each_row_once(
    height: int, stride: int, rows_of_a_band: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(row_bands, "_CPU_NUMBERS", rows_of_a_band)
    convolution, asked = convolution_of(stride, 6), list[int]()
    image = torch.randn(2, 6, height, 5, generator=torch.Generator().manual_seed(0))

    def source(first: int, last: int) -> torch.Tensor:
        asked.extend(range(first, last))
        return image[:, :, first:last]

    def finish(rows: torch.Tensor, first: int, last: int) -> torch.Tensor:
        assert rows.shape[2] == last - first <= rows_of_a_band
        return rows + torch.arange(first, last)[:, None]

    whole = convolution(image)
    expected = whole + torch.arange(whole.shape[2])[:, None]
    torch.testing.assert_close(convolve_in_bands(convolution, source, height, finish, 1, CPU), expected)
    assert asked == list(range(height))


def test_the_bands_are_as_large_as_allowed_and_leave_out_no_row(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_bands, "_CPU_NUMBERS", 30)
    image, bands = torch.arange(35.0).view(1, 1, 7, 5), list[tuple[int, int]]()

    def rows(first: int, last: int) -> torch.Tensor:
        bands.append((first, last))
        return image[:, :, first:last]

    assert torch.equal(in_bands(rows, 7, 10, CPU), image)
    assert bands == [(0, 3), (3, 6), (6, 7)]


def test_on_a_gpu_there_is_one_band():
    bands = list[tuple[int, int]]()

    def rows(first: int, last: int) -> torch.Tensor:
        bands.append((first, last))
        return torch.zeros(1, 1, last - first, 1)

    in_bands(rows, 1024, 1 << 20, torch.device("cuda"))
    assert bands == [(0, 1024)]


@pytest.mark.parametrize("size", [80, 112])
@torch.no_grad()
def test_mobile_sams_encoder_does_not_depend_on_the_bands(size: int, monkeypatch: pytest.MonkeyPatch):
    encoder = random_module(TinyViT(size).eval())
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    whole = encoder(images)
    monkeypatch.setattr(row_bands, "_CPU_NUMBERS", 1 << 13)  # from one row to half of the image
    assert relative_difference(encoder(images), whole) < 1e-5
