"""Corrupted images: what each does, and how much more at each severity."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from prosam.data.corruptions import corrupted
from prosam.params.studies import CorruptionName

NAMES: tuple[CorruptionName, ...] = get_args(CorruptionName)


def picture(height: int = 96, width: int = 120) -> NDArray[np.uint8]:
    """Smooth colour with a few hard edges, between 30 and 120."""
    rows, columns = np.mgrid[:height, :width]
    smooth = 30 + 40 * rows / height
    edges = 50 * ((rows // 16 + columns // 20) % 2)
    return np.stack([smooth + edges, smooth, edges + 30], -1).astype(np.uint8)


def corrupt(image: NDArray[np.uint8], name: CorruptionName, severity: int, **changes: object) -> NDArray[np.uint8]:
    how = {"seed": 0, "image_id": "a"} | changes
    return corrupted(image, name, severity, seed=int(str(how["seed"])), image_id=str(how["image_id"]))


@pytest.mark.parametrize("name", NAMES)
def test_severity_0_is_the_image_and_each_further_one_is_worse(name: CorruptionName):
    image = picture()
    before = image.copy()
    assert np.array_equal(corrupt(image, name, 0), image)
    errors = []
    for severity in range(1, 6):
        worse = corrupt(image, name, severity)
        assert worse.shape == image.shape
        assert worse.dtype == np.uint8
        errors.append(np.abs(worse.astype(float) - image).mean())
    assert errors == sorted(errors)
    assert errors[0] > 0.5
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_image_is_corrupted_the_same(name: CorruptionName):
    assert np.array_equal(corrupt(picture(), name, 3), corrupt(picture(), name, 3))


def test_noise_has_the_deviation_that_the_table_says_and_depends_on_image_and_seed():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = corrupt(grey, "noise", 1).astype(float) - 128
    assert noisy.std() == pytest.approx(0.08 * 255, rel=0.01)  # 120,000 values: 0.2 % of sampling error
    assert abs(noisy.mean()) < 0.3
    for change in ({"image_id": "b"}, {"seed": 1}):
        assert (
            abs(np.corrcoef(noisy.ravel(), (corrupt(grey, "noise", 1, **change).astype(float) - 128).ravel())[0, 1])
            < 0.02
        )
    stronger = corrupt(grey, "noise", 2).astype(float) - 128
    assert np.corrcoef(noisy.ravel(), stronger.ravel())[0, 1] > 0.99  # the same noise, only more of it


def test_brightness_is_added_to_every_channel_and_clipped():
    image = picture()
    image[0, 0] = (10, 128, 250)
    bright = corrupt(image, "brightness", 4)
    assert bright[0, 0].tolist() == [10 + 102, 128 + 102, 255]


def test_blur_turns_an_edge_into_a_ramp_of_sigma():
    wall = np.zeros((112, 112, 3), np.uint8)
    wall[:, 56:] = 255
    edge = corrupt(wall, "blur", 4)[56, :, 0].astype(float) / 255  # sigma 4 at 224 px: 2 at 112
    slope, places = np.diff(edge), np.arange(111)
    centre = (slope * places).sum() / slope.sum()
    assert centre == pytest.approx(55, abs=0.05)
    assert np.sqrt((slope * (places - centre) ** 2).sum() / slope.sum()) == pytest.approx(2, rel=0.1)


def test_jpeg_flattens_a_ramp_to_blocks_of_8():
    ramp = np.broadcast_to((100 + np.arange(64) // 2)[None, :, None], (64, 64, 3)).astype(np.uint8)
    steps = np.abs(np.diff(corrupt(ramp, "jpeg", 5)[..., 0].astype(int), axis=1)).max(0)
    assert set(np.flatnonzero(steps) % 8) == {7}  # from the last column of a block to the first of the next
