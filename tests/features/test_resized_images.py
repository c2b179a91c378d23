"""Squashed images, kept as they are decoded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from prosam.features.resized_images import DecodedImages, ResizedImageCache

SIZE = 8


class Source:
    """Noise of various sizes; remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def image(self, image_id: str) -> NDArray[np.uint8]:
        self.asked.append(image_id)
        number = int(image_id.partition("/")[2])
        return np.random.default_rng(number).integers(0, 256, (5 + number, 9, 3), np.uint8)


@pytest.fixture
def source() -> Source:
    return Source()


def by_pillow(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    resized = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.moveaxis(np.asarray(resized), 2, 0)


IMAGES = [f"a b/{number}" for number in range(3)]


def test_they_are_pillows_squashed_images_decoded_once(source: Source, tmp_path: Path):
    expected = np.stack([by_pillow(Source().image(image)) for image in IMAGES])
    assert np.array_equal(DecodedImages(source, SIZE).read(IMAGES), expected)
    source.asked.clear()
    for _ in range(2):  # the second time by another process's object
        assert np.array_equal(ResizedImageCache(source, SIZE, tmp_path).read(IMAGES), expected)
    assert source.asked == IMAGES


@pytest.mark.parametrize("harm", ["short", "changed", "empty", "zeros"])
def test_a_damaged_file_is_made_again(source: Source, tmp_path: Path, harm: str):
    expected = ResizedImageCache(source, SIZE, tmp_path).read(IMAGES[:1])
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    content = file.read_bytes()
    changed = {"short": content[:-9], "changed": b"\1" + content[1:], "empty": b"", "zeros": bytes(len(content))}
    file.write_bytes(changed[harm])
    assert content != changed[harm]
    assert np.array_equal(ResizedImageCache(source, SIZE, tmp_path).read(IMAGES[:1]), expected)
    assert source.asked == IMAGES[:1] * 2
    assert file.read_bytes() == content


def test_many_threads_may_ask_for_one_image(source: Source, tmp_path: Path):
    kept = ResizedImageCache(source, SIZE, tmp_path)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(kept.read, [IMAGES[:1]] * 64))
    assert all(np.array_equal(one, found[0]) for one in found)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
