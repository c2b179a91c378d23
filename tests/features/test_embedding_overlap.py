"""Embedding while images are read and shards are written, by one encoder and by several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest
import torch
from torch import Tensor

from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.sam import load_sam
from prosam.features.embedding_build import ImageFile, build_store
from prosam.features.embedding_encoding import encode_shards
from prosam.models import sam
from tests.features.test_embeddings import (
    MADE_BY,
    SHAPE,
    CountingEncoder,
    KilledError,
    assert_holds,
    content,
    kept_shards,
    read_number,
)


def image_files(folder: Path, count: int) -> list[ImageFile]:
    (folder / "images").mkdir()
    files = [ImageFile(str(number), folder / f"images/{number}.jpg") for number in range(count)]
    for file in files:
        file.path.write_text(f"image {file.image}")
    return files


def encode_all(images: Sequence[ImageFile], encoders: Sequence[CountingEncoder], folder: Path) -> None:
    build_store(
        folder / "store",
        images,
        read_number,
        encoders,
        shape=SHAPE,
        made_by=MADE_BY,
        computed_by={},
        shard_size=4,
        batch_size=3,
        scratch=folder / "scratch",
    )


def test_several_encoders_divide_the_shards_and_make_the_same_bytes(tmp_path: Path):
    images = image_files(tmp_path, 18)
    encoders = [CountingEncoder() for _ in range(3)]
    encode_all(images, encoders, tmp_path / "three")
    encode_all(images, [CountingEncoder()], tmp_path / "one")
    assert content(tmp_path / "three/store") == content(tmp_path / "one/store")
    shards = [[str(number) for number in range(18)[first : first + 4]] for first in range(0, 18, 4)]
    assert [e.encoded for e in encoders] == [shards[0] + shards[3], shards[1] + shards[4], shards[2]]


def test_when_one_of_several_fails_what_is_whole_is_kept_and_the_rest_follows(tmp_path: Path):
    images = image_files(tmp_path, 40)
    with pytest.raises(KilledError):
        encode_all(images, [CountingEncoder(dies_after=8), CountingEncoder()], tmp_path)
    kept = len(kept_shards(tmp_path))
    assert kept >= 2
    again = [CountingEncoder(), CountingEncoder()]
    encode_all(images, again, tmp_path)
    assert sum(len(encoder.encoded) for encoder in again) == 40 - 4 * kept
    assert_holds(tmp_path / "store", images)


def test_images_are_read_and_shards_written_while_the_encoder_works():
    later, first_written = Event(), Event()

    def read(image: str) -> Tensor:
        if image == "1":
            later.set()
        return read_number(image)

    def encode(images: Tensor) -> Tensor:
        number = int(images[0, 0])
        assert number != 0 or later.wait(60)  # image 1 is read while image 0 is encoded
        assert number != 2 or first_written.wait(60)  # shard 0 is written before shard 2 is done
        return images

    def write(shard: Sequence[str], embeddings: Tensor) -> None:
        assert embeddings.flatten().tolist() == [int(image) for image in shard]
        if shard == ["0"]:
            first_written.set()

    encode_shards([[str(number)] for number in range(3)], read, [encode], write, batch_size=1)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_lower_precision_is_near_and_is_not_the_same(precision: torch.dtype):
    small = load_sam("tiny", SAM_WEIGHTS)
    images = torch.randint(0, 256, (2, 3, 128, 128), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    exact, near = sam.encode_images(small, images), sam.encode_images(small, images, precision=precision).float()
    error = (near - exact).norm() / exact.norm()
    assert 0 < error < 4 * torch.finfo(precision).eps
