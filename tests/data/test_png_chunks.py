"""Damage in the last chunk of a PNG, which Pillow does not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.image_files import read_image
from prosam.data.formats.label_maps import read_label_map
from prosam.errors import InputError


def saved(path: Path) -> Path:
    """A label map whose pixels compress to one short chunk."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(np.kron(rng.integers(0, 4, (16, 16)), np.ones((8, 8))).astype(np.uint8)).convert("P")
    image.save(path)
    return path


@pytest.mark.parametrize("read", [read_image, read_label_map])
def test_zeros_at_the_end_of_the_pixels_are_noticed(tmp_path: Path, read: Callable[[Path], object]):
    path = saved(tmp_path / "map.png")
    whole = path.read_bytes()
    for first in range(len(whole) - 90, len(whole) - 12):
        path.write_bytes(whole[:first] + bytes(len(whole) - first))
        with pytest.raises(InputError, match=r"map\.png"):
            read(path)


@pytest.mark.parametrize("read", [read_image, read_label_map])
def test_no_changed_bit_changes_what_is_read(tmp_path: Path, read: Callable[[Path], np.ndarray]):
    path = saved(tmp_path / "map.png")
    whole = path.read_bytes()
    right = read(path)
    for place in range(8 * 8, 8 * len(whole), 23):
        byte, bit = divmod(place, 8)
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1 :])
        try:
            found = read(path)
        except InputError:
            continue
        assert np.array_equal(found, right), place
