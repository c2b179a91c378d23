"""Embeddings in 8 bits: the error is half a step of the channel at most, and a store of them is as safe as any."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from prosam.cli.info import facts_of
from prosam.errors import InputError
from prosam.features.embedding_build import ImageFile, build_store
from prosam.features.embedding_forms import CHECKS, KEY, SCALES, from_int8, packed, row_bytes, to_int8
from prosam.features.embedding_store import EmbeddingStore

SHAPE = (3, 4, 4)


def test_a_value_is_off_by_half_a_step_at_most():
    values = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0)).half()
    rounded, scales = to_int8(values)
    assert rounded.dtype == torch.int8
    assert scales.shape == (2, 5, 1, 1)
    step = values.float().abs().amax((2, 3), keepdim=True) / 127
    error = (from_int8(rounded, scales).float() - values.float()).abs()
    assert (error <= step / 2 + 2e-3 * values.float().abs() + 1e-6).all()  # float16 has 11 bits
    assert (error > step / 8).any()


def test_the_largest_value_of_a_channel_is_kept_and_zeros_stay_zeros():
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
    assert torch.equal(from_int8(*to_int8(values)).float(), values)


def embedding(image: int) -> Tensor:
    return (
        torch.randn(SHAPE, generator=torch.Generator().manual_seed(image))
        * torch.tensor([1.0, 50, 0.01])[:, None, None]
    )


def build(folder: Path, count: int, *, form: str = "int8", dies_after: int | None = None) -> list[int]:
    """A store of some images; returns those that were encoded."""
    encoded: list[int] = []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"images/{number}").write_text(str(number))

    def encode(images: Tensor) -> Tensor:
        encoded.extend(images.flatten().tolist())
        if dies_after is not None and len(encoded) > dies_after:
            raise KeyboardInterrupt
        return torch.stack([embedding(number) for number in images.flatten().tolist()])

    build_store(
        folder / "store",
        [ImageFile(str(number), folder / f"images/{number}") for number in range(count)],
        lambda image: torch.tensor([int(image)]),
        [encode],
        shape=SHAPE,
        made_by={"sam": "toy"},
        computed_by={},
        shard_size=4,
        batch_size=1,
        scratch=folder / "scratch",
        form=form,  # pyright: ignore[reportArgumentType] - a parameter of tests
    )
    return encoded


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_store_holds_the_rounded_embeddings_in_about_half_the_bytes(tmp_path: Path):
    build(tmp_path, 6)
    store = EmbeddingStore(tmp_path / "store")
    values = torch.stack([embedding(number) for number in range(6)]).half()
    assert store.form == "int8"
    assert torch.equal(store.read_stored([str(number) for number in range(6)]), from_int8(*to_int8(values)))
    tensors = load_file(tmp_path / "store/shard-00000.safetensors")
    assert (tensors[KEY].dtype, tensors[SCALES].shape) == (torch.int8, (4, 3, 1, 1))
    assert sum(tensor.nbytes for tensor in tensors.values()) == 4 * row_bytes(SHAPE, "int8") == 4 * (48 + 12 + 8)
    assert row_bytes(SHAPE, "float16") == 2 * 48 + 8
    index = json.loads((tmp_path / "store/index.json").read_text())
    assert index["dtype"] == facts_of(str(tmp_path / "store"))["stored in"] == "int8"


def test_what_a_kill_left_goes_on_and_more_images_are_not_rounded_again(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "one", 10, dies_after=6)
    assert build(tmp_path / "one", 10) == list(range(4, 10))
    build(tmp_path / "two", 10)
    assert contents(tmp_path / "one/store") == contents(tmp_path / "two/store")
    assert build(tmp_path / "one", 11) == [10]
    build(tmp_path / "three", 11)
    assert contents(tmp_path / "one/store") == contents(tmp_path / "three/store")


def test_another_form_takes_nothing_from_the_scratch_folder(tmp_path: Path):
    build(tmp_path, 5)
    assert build(tmp_path, 5, form="float16") == list(range(5))
    assert EmbeddingStore(tmp_path / "store").form == "float16"
    assert build(tmp_path, 5) == list(range(5))


@pytest.mark.parametrize("name", [KEY, SCALES])
def test_a_changed_value_or_scale_is_noticed_when_its_row_is_read(tmp_path: Path, name: str):
    build(tmp_path, 4)
    shard = tmp_path / "store/shard-00000.safetensors"
    tensors = load_file(shard)
    row = tensors[KEY][2].numpy().tobytes() + tensors[SCALES][2].numpy().tobytes()
    assert tensors[CHECKS][2] == zlib.crc32(row)
    changed = tensors[name].clone()
    changed[2, 1, 0, 0] += 1
    shard.unlink()
    save_file(tensors | {name: changed}, shard)
    store = EmbeddingStore(tmp_path / "store")
    assert store.read(["0", "3"]).shape == (2, *SHAPE)
    with pytest.raises(InputError, match=r"shard-00000\.safetensors: is damaged"):
        store.read(["2"])


def test_a_damaged_shard_of_the_scratch_folder_is_computed_again(tmp_path: Path):
    build(tmp_path, 4)
    shutil.rmtree(tmp_path / "store")
    (kept,) = (tmp_path / "scratch").rglob("*.safetensors")
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.unlink()
    kept.write_bytes(content)
    assert build(tmp_path, 4) == list(range(4))


def test_a_shard_of_another_form_is_refused(tmp_path: Path):
    build(tmp_path, 4)
    shard = tmp_path / "store/shard-00000.safetensors"
    shard.unlink()
    save_file(packed(torch.zeros(4, *SHAPE).half(), "float16").tensors(), shard)
    with pytest.raises(InputError, match=r"shard-00000\.safetensors: .*dvc repro --force embeddings"):
        EmbeddingStore(tmp_path / "store").read(["0"])
