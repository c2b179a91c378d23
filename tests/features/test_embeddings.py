"""The store of image embeddings, mostly with an encoder that counts its calls."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor

from prosam import layout
from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.sam import load_sam
from prosam.data.formats.voc import VocDataset
from prosam.errors import InputError
from prosam.features import embedding_build as builder
from prosam.features.embedding_build import ImageFile, build_store
from prosam.features.embedding_store import EmbeddingStore
from prosam.models import sam
from tasks.embeddings import embeddings as embed
from tests.conftest import DATASET, write_params

SHAPE = (2, 3, 3)
MADE_BY: dict[str, object] = {"sam": "counting", "sha256": "0"}


class KilledError(Exception):
    pass


class CountingEncoder:
    """Embeds an image by its name; may die after so many images."""

    def __init__(self, dies_after: int | None = None):
        self.encoded: list[str] = []
        self._dies_after = dies_after

    def __call__(self, images: Tensor) -> Tensor:
        ids = [str(number) for number in images.flatten().tolist()]
        if self._dies_after is not None and len(self.encoded) + len(ids) > self._dies_after:
            raise KilledError
        self.encoded += ids
        return torch.stack([embedding_of(image) for image in ids])


def read_number(image: str) -> Tensor:
    """An image of one pixel that is its number."""
    return torch.tensor([int(image)])


def embedding_of(image: str) -> Tensor:
    seed = int(hashlib.sha256(image.encode()).hexdigest()[:8], 16)
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def sources(tmp_path: Path) -> Callable[[Sequence[int]], list[ImageFile]]:
    """Image files of the given numbers."""
    folder = tmp_path / "images"
    folder.mkdir()

    def make(numbers: Sequence[int]) -> list[ImageFile]:
        for number in numbers:
            (folder / f"{number}.jpg").write_text(f"image {number}")
        return [ImageFile(str(number), folder / f"{number}.jpg") for number in numbers]

    return make


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., CountingEncoder]:
    """Build the store `store` (or another) with the scratch folder `scratch` (or another); returns the encoder."""

    def run(
        images: Sequence[ImageFile],
        encoder: CountingEncoder | None = None,
        *,
        store: str = "store",
        scratch: str = "scratch",
        made_by: dict[str, object] = MADE_BY,
        computed_by: str = "this code",
        shard_size: int = 4,
        batch_size: int = 1,
    ) -> CountingEncoder:
        encoder = encoder or CountingEncoder()
        build_store(
            tmp_path / store,
            images,
            read_number,
            [encoder],
            shape=SHAPE,
            made_by=made_by,
            computed_by={"code": computed_by},
            shard_size=shard_size,
            batch_size=batch_size,
            scratch=tmp_path / scratch,
        )
        return encoder

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kept_shards(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "scratch").rglob("*.safetensors"))


def assert_holds(store: Path, images: Sequence[ImageFile]) -> None:
    opened = EmbeddingStore(store)
    assert list(opened) == [s.image for s in images]
    expected = torch.stack([embedding_of(s.image) for s in images]).half().float()
    assert torch.equal(opened.read([s.image for s in images]), expected)


# ----------------------------------------------------------------------------------------------------------- contents


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_store_holds_what_the_encoder_said_in_half_precision(tmp_path: Path, sources, build, batch_size: int):
    images = sources(range(10))
    encoder = build(images, batch_size=batch_size)
    assert encoder.encoded == [s.image for s in images]
    assert_holds(tmp_path / "store", images)
    store = EmbeddingStore(tmp_path / "store")
    assert store.read(["7", "2", "7"]).shape == (3, *SHAPE)
    assert torch.equal(store.read(["7", "2", "7"])[1], embedding_of("2").half().float())
    assert "7" in store
    assert "10" not in store
    assert store.made_by == MADE_BY
    assert (store.shape, store.read(["7"]).dtype) == (SHAPE, torch.float32)
    assert sorted(content(tmp_path / "store")) == [
        "index.json",
        "prosam.sha256",
        *(f"shard-0000{i}.safetensors" for i in range(3)),
    ]


def test_an_encoder_may_answer_in_channels_last_order(tmp_path: Path, sources, build):
    class ChannelsLast(CountingEncoder):
        def __call__(self, images: Tensor) -> Tensor:
            return super().__call__(images).to(memory_format=torch.channels_last)

    images = sources(range(3))
    build(images, ChannelsLast(), batch_size=3)
    assert_holds(tmp_path / "store", images)


def test_the_stage_stores_what_sams_encoder_says(prepared_workspace: Path):
    store = EmbeddingStore(prepared_workspace / layout.embeddings(DATASET))
    dataset = VocDataset(prepared_workspace / layout.raw(DATASET))
    assert list(store) == dataset.image_ids("train") + dataset.image_ids("val")
    sam = load_sam("tiny", SAM_WEIGHTS)
    for image in (dataset.image_ids("train")[5], dataset.image_ids("val")[-1]):
        pixels = torch.from_numpy(dataset.image(image).transpose(2, 0, 1).copy())
        expected = sam.image_encoder(sam.preprocess(pixels)[None])  # segment-anything's own preprocessing
        assert torch.allclose(store.read([image]), expected.half().float(), atol=2e-3)


def test_the_same_images_give_the_same_bytes(tmp_path: Path, sources, build):
    images = sources(range(10))
    build(images)
    build(images, store="again", scratch="elsewhere")
    assert content(tmp_path / "store") == content(tmp_path / "again")


def test_images_with_the_same_content_keep_their_names(tmp_path: Path, sources, build):
    images = sources(range(6))
    images[4].path.write_bytes(images[1].path.read_bytes())
    build(images)
    store = EmbeddingStore(tmp_path / "store")
    assert list(store) == [s.image for s in images]
    assert torch.equal(store.read(["0", "5"]), torch.stack([embedding_of(i) for i in ("0", "5")]).half().float())


# ------------------------------------------------------------------------------------------------- killed and extended


@pytest.mark.parametrize("dies_after", [0, 3, 4, 9])
def test_a_killed_build_leaves_no_store_and_goes_on_where_it_was(tmp_path: Path, sources, build, dies_after: int):
    images = sources(range(10))
    with pytest.raises(KilledError):
        build(images, CountingEncoder(dies_after))
    assert not (tmp_path / "store").exists()
    assert not list(tmp_path.rglob("*.partial"))
    whole_shards = dies_after // 4 * 4
    assert build(images).encoded == [s.image for s in images[whole_shards:]]
    assert_holds(tmp_path / "store", images)
    build(images, store="undisturbed", scratch="elsewhere")
    assert content(tmp_path / "store") == content(tmp_path / "undisturbed")


def test_a_finished_build_encodes_nothing_again(tmp_path: Path, sources, build):
    images = sources(range(10))
    build(images)
    shutil.rmtree(tmp_path / "store")  # as DVC does before it runs a stage
    assert build(images).encoded == []
    assert_holds(tmp_path / "store", images)


@pytest.mark.parametrize(
    "order",
    [
        [*range(10), *range(100, 200)],
        [*range(5), *range(100, 200), *range(5, 10)],
        [*range(100, 200), *range(10)],
    ],
)
def test_a_hundred_more_images_cost_a_hundred_images(tmp_path: Path, sources, build, order: list[int]):
    build(sources(range(10)))
    images = sources(order)
    assert sorted(build(images).encoded) == sorted(str(number) for number in range(100, 200))
    assert_holds(tmp_path / "store", images)
    build(images, store="from scratch", scratch="elsewhere")
    assert content(tmp_path / "store") == content(tmp_path / "from scratch")


def test_appended_images_leave_the_whole_shards_as_they_were(tmp_path: Path, sources, build):
    build(sources(range(10)))
    before = content(tmp_path / "store")
    build(sources(range(12)))
    after = content(tmp_path / "store")
    assert {name for name in before if before[name] != after.get(name)} == {
        "index.json",
        "prosam.sha256",
        "shard-00002.safetensors",
    }


def test_fewer_images_cost_nothing_and_free_the_scratch(tmp_path: Path, sources, build):
    build(sources(range(10)))
    images = sources([3, 4, 9])
    assert build(images).encoded == []
    assert_holds(tmp_path / "store", images)
    assert len(kept_shards(tmp_path)) == 1


def test_a_changed_image_is_encoded_again(tmp_path: Path, sources, build):
    images = sources(range(10))
    build(images)
    before = EmbeddingStore(tmp_path / "store").content
    images[6].path.write_text("retouched")
    assert build(images).encoded == ["6"]
    assert EmbeddingStore(tmp_path / "store").content != before


def test_embeddings_of_another_sam_are_not_reused(tmp_path: Path, sources, build):
    images = sources(range(10))
    build(images)
    other = MADE_BY | {"sha256": "1"}
    assert len(build(images, made_by=other).encoded) == 10
    assert EmbeddingStore(tmp_path / "store").made_by == other


def test_embeddings_of_other_code_are_not_reused_nor_kept(tmp_path: Path, sources, build):
    images = sources(range(10))
    build(images)
    assert len(build(images, computed_by="other code").encoded) == 10
    assert len(list((tmp_path / "scratch").iterdir())) == 1


def test_a_second_data_set_with_the_same_sam_leaves_the_firsts_shards_alone(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
):
    params = YAML(typ="safe").load(workspace / "params.yaml")
    params["datasets"]["other"] = params["datasets"][DATASET]
    write_params(workspace, params)
    shutil.copytree(layout.raw(DATASET), layout.raw("other"))
    for split in ("train", "val"):
        (layout.raw("other") / f"ImageSets/Segmentation/{split}.txt").write_text(f"{split}_000003\n")
    embed("other")
    assert len(list(EmbeddingStore(layout.embeddings("other")))) == 2

    def refuse(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(sam, "encode_images", refuse)
    before = content(layout.embeddings(DATASET))
    embed(DATASET)
    embed("other")
    assert content(layout.embeddings(DATASET)) == before


# ------------------------------------------------------------------------------------------------------------- mishaps


def test_a_truncated_shard_in_the_scratch_folder_is_computed_again(tmp_path: Path, sources, build):
    images = sources(range(10))
    build(images)
    shutil.rmtree(tmp_path / "store")
    damaged = kept_shards(tmp_path)[0]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert 2 <= len(build(images).encoded) <= 4
    assert_holds(tmp_path / "store", images)


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_truncated_shard_in_the_store_is_one_line_that_names_it(tmp_path: Path, sources, build, share: float):
    build(sources(range(10)))
    shard = tmp_path / "store" / "shard-00001.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: int(share * len(whole))])
    store = EmbeddingStore(tmp_path / "store")
    assert store.read(["0", "9"]).shape[0] == 2  # the other shards are fine
    with pytest.raises(InputError, match=r"shard-00001\.safetensors: is damaged or missing") as caught:
        store.read(["0", "5"])
    assert "\n" not in str(caught.value)
    shard.unlink()
    with pytest.raises(InputError, match=r"shard-00001\.safetensors: is damaged or missing"):
        EmbeddingStore(tmp_path / "store").read(["5"])


def test_a_shard_of_other_images_is_refused(tmp_path: Path, sources, build):
    build(sources(range(10)))
    store = tmp_path / "store"
    shutil.copy(store / "shard-00002.safetensors", store / "shard-00001.safetensors")
    with pytest.raises(InputError, match=r"shard-00001\.safetensors: does not hold the embeddings that"):
        EmbeddingStore(store).read(["5"])


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"made_by": {}, "content": "", "shape": 3, "shards": []}'])
def test_a_damaged_index_is_one_line_that_names_it(tmp_path: Path, text: str):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(InputError, match=r"index\.json: is damaged"):
        EmbeddingStore(tmp_path)


def test_a_missing_store_names_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(InputError, match=r"index\.json: not found; run `dvc repro embeddings`"):
        EmbeddingStore(tmp_path)


def test_an_unknown_image_is_named(tmp_path: Path, sources, build):
    build(sources(range(3)))
    with pytest.raises(InputError, match="no image '7'"):
        EmbeddingStore(tmp_path / "store").read(["0", "7"])


def test_an_unreadable_image_is_named_before_anything_is_encoded(tmp_path: Path, sources, build):
    images = sources(range(10))
    images[8].path.unlink()
    encoder = CountingEncoder()
    with pytest.raises(InputError, match=r"8\.jpg: not found; run the download stage"):
        build(images, encoder)
    assert encoder.encoded == []
    assert not (tmp_path / "store").exists()


def test_embeddings_too_large_for_half_precision_are_refused(tmp_path: Path, sources, build):
    class Exploding(CountingEncoder):
        def __call__(self, images: Tensor) -> Tensor:
            return super().__call__(images) * 1e6

    with pytest.raises(InputError, match="float16"):
        build(sources(range(10)), Exploding())
    assert not (tmp_path / "store").exists()


class Disk:
    """A disk with so much free, and a record of the bytes of embeddings written to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.free, self.written = 1 << 60, 0
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=self.free))
        save = builder.save_file

        def recording(tensors: dict[str, Tensor], *rest: object) -> None:
            self.written += sum(t.numel() * t.element_size() for t in tensors.values())
            save(tensors, *rest)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(builder, "save_file", recording)


@pytest.mark.parametrize(
    "order",
    [range(12), [*range(4), *range(100, 120)], [*range(2), *range(100, 120), *range(2, 4)], [*range(100, 121), 0]],
)
def test_it_refuses_to_begin_without_the_disk_it_needs(
    tmp_path: Path, sources, build, monkeypatch: pytest.MonkeyPatch, order: Sequence[int]
):
    disk = Disk(monkeypatch)
    build(sources(range(4)))
    build(sources(range(4)), scratch="other scratch", store="rehearsal")
    images = sources(order)
    disk.written = 0
    build(images, scratch="other scratch", store="rehearsal")
    disk.free, encoder = round(1.02 * disk.written) + 64_000_000 - 1, CountingEncoder()  # a margin of 2 % and 64 MB
    with pytest.raises(InputError, match=r"the store of embeddings needs .* are free; .*PROSAM_SCRATCH"):
        build(images, encoder)
    assert encoder.encoded == []
    assert_holds(tmp_path / "store", sources(range(4)))  # the old store is untouched
    disk.free += 1
    build(images)
    assert_holds(tmp_path / "store", images)


def test_the_index_is_readable(tmp_path: Path, sources, build):
    build(sources(range(6)))
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    assert index["made_by"] == MADE_BY
    assert [shard["images"] for shard in index["shards"]] == [["0", "1", "2", "3"], ["4", "5"]]
    assert index["dtype"] == "float16"
    assert np.prod(index["shape"]) == 18
