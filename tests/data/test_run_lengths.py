"""Run lengths of a code, against a brute force over the mask."""

from __future__ import annotations

import numpy as np
import pytest

from prosam.data.formats.masks import encode
from prosam.data.formats.run_lengths import run_lengths

rng = np.random.default_rng(0)
MASKS = {
    "empty": np.zeros((5, 7), bool),
    "full": np.ones((5, 7), bool),
    "one pixel": np.arange(35).reshape(5, 7) == 11,
    "noise": rng.random((31, 17)) < 0.4,
    "long runs of all lengths": np.repeat(np.arange(60) % 2 == 1, rng.integers(1, 40_000, 60))[None],
    "beginning with the object": np.arange(35).reshape(5, 7) % 3 == 0,
}


@pytest.mark.parametrize("name", MASKS)
def test_run_lengths_are_those_down_the_columns(name: str):
    pixels = MASKS[name].T.ravel()
    changes = np.flatnonzero(np.diff(pixels)) + 1
    expected = np.diff(np.concatenate(([0], changes, [pixels.size])))
    if pixels[0]:
        expected = np.concatenate(([0], expected))
    assert run_lengths(encode(MASKS[name])).tolist() == expected.tolist()


EMPTY_RUNS = ["0300", "330"]  # 0, 3, 0, 3 and 3, 3, 0


@pytest.mark.parametrize("code", ["", "é", " ", "~~~", "1o", "ooooooooooooooo1", *EMPTY_RUNS])
def test_what_pycocotools_does_not_write_is_refused(code: str):
    with pytest.raises(ValueError, match="a run-length code is damaged"):
        run_lengths(code)
