"""Run-length codes and squashing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from prosam.data.formats.masks import decode, encode, squash, squash_thin


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 48)])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_codes_round_trip_and_are_cocos_own(shape: tuple[int, int], share: float):
    mask = np.random.default_rng(0).random(shape) < share
    code = encode(mask)
    assert np.array_equal(decode(code, *shape), mask)
    theirs: Any = {"size": list(shape), "counts": code.encode()}
    assert np.array_equal(coco.decode(theirs).astype(bool), mask)
    assert coco.area(theirs) == mask.sum()


def test_a_known_code():
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True  # column-major: 7 zeros, 1 one, 4 zeros, each a character from chr(48)
    assert encode(mask) == "714"


def test_a_code_that_overflows_the_mask_is_refused():
    with pytest.raises(ValueError, match="RLE"):
        decode("714", 3, 3)


@pytest.mark.parametrize("size", [5, 16, 40])
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_squash_takes_the_nearest_pixel(size: int, dtype: type):
    mask = np.random.default_rng(1).integers(0, 2 if dtype is bool else 256, (24, 11)).astype(dtype)
    centres = (np.arange(size) + 0.5) / size
    expected = mask[np.ix_(np.floor(centres * 24).astype(int), np.floor(centres * 11).astype(int))]
    squashed = squash(mask, size)
    assert squashed.dtype == dtype
    assert np.array_equal(squashed, expected)


def test_squashing_what_is_square_already_copies():
    mask = np.zeros((8, 8), bool)
    squash(mask, 8)[:] = True
    assert not mask.any()


@pytest.mark.parametrize("size", [4, 16, 50])
def test_no_point_is_lost_in_a_thin_squash(size: int):
    for row, column in np.ndindex(20, 13):
        mask = np.zeros((20, 13), bool)
        mask[row, column] = True
        found = np.argwhere(squash_thin(mask, size))
        assert len(found)
        assert np.abs((found + 0.5) / size - (np.array([row, column]) + 0.5) / [20, 13]).max() <= 1 / size + 1 / 26
