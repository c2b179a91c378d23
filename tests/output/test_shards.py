"""Shards: how a list is cut, that a shard is whole and always the same, and what is joined from them."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prosam.data.formats.masks import decode
from prosam.data.places import Place
from prosam.errors import InputError
from prosam.output.shard_files import shard_content, shard_lines, shard_metadata
from prosam.output.shard_joins import join_shards
from prosam.output.shard_work import ShardCounts, segment_shard
from prosam.output.shards import ImageList, ShardFolder
from prosam.predictor.concept import Concept
from prosam.predictor.predictor import Predictor
from tests.scenes import pair, scenes

LOADING = {"source": "bundled:shapes"}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("bundled:shapes", device="cpu")


@pytest.fixture(scope="module")
def concept(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene, _, shown = pair()
    path = tmp_path_factory.mktemp("concept") / "cat.safetensors"
    predictor.learn([(scene.image, scene.mask(shown))], "cat").save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five images, the first of which shows the object, in a folder and one below it."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number, scene in enumerate([pair()[0], *scenes()[1:5]]):
        Image.fromarray(scene.image).save(folder / ("deep" if number == 4 else "") / f"{number}.png")
    return folder


def cut(photos: Path | str, concept: Path, out: Path | str, each: int = 2) -> ShardFolder:
    place = Place(str(out))
    return ShardFolder.cut(
        place, ImageList.of(str(photos), without=place), [concept], loading=LOADING, asked={}, each=each
    )


def compute(
    folder: ShardFolder, predictor: Predictor, on_image: Callable[[], None] = lambda: None
) -> list[ShardCounts]:
    """Compute the shards that are left."""
    concepts = list(folder.load_concepts())
    return [
        segment_shard(folder, shard, predictor, concepts, batch=None, workers=1, on_image=on_image)
        for shard in folder.left()
    ]


def shards_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").glob("*"))}


def test_each_image_is_in_one_shard_in_the_order_of_the_list(photos: Path, concept: Path, tmp_path: Path):
    folder = cut(photos, concept, tmp_path / "found")
    assert [folder.names(shard) for shard in folder.shards] == [["0.png", "1.png"], ["2.png", "3.png"], ["deep/4.png"]]
    assert [shard.images for shard in folder.shards] == [2, 2, 1]
    assert len({shard.name for shard in folder.shards}) == 3


def test_a_shard_is_named_after_its_list_alone(photos: Path, concept: Path, tmp_path: Path):
    first, elsewhere = (cut(photos, concept, tmp_path / name).shards for name in ("a", "b"))
    assert first == elsewhere
    (photos / "0.png").rename(photos / "00.png")
    changed = cut(photos, concept, tmp_path / "c").shards
    assert changed[0].name != first[0].name
    assert changed[1:] == first[1:]


def test_images_that_come_later_make_further_shards(photos: Path, concept: Path, tmp_path: Path):
    before = cut(photos, concept, tmp_path / "found")
    Image.fromarray(scenes()[9].image).save(photos / "0a.png")  # in the middle of the list
    after = cut(photos, concept, tmp_path / "found")
    assert after.shards[:3] == before.shards
    assert [after.names(shard) for shard in after.shards[3:]] == [["0a.png"]]


def test_a_folder_of_other_settings_is_refused(photos: Path, concept: Path, tmp_path: Path):
    cut(photos, concept, tmp_path / "found")
    with pytest.raises(InputError, match="made with another number of images each; name another folder"):
        cut(photos, concept, tmp_path / "found", each=3)
    (tmp_path / "other").mkdir()
    Image.fromarray(scenes()[0].image).save(tmp_path / "other" / "x.png")
    with pytest.raises(InputError, match="made with other images"):
        cut(tmp_path / "other", concept, tmp_path / "found")


def test_shards_that_were_interrupted_end_in_the_same_bytes(
    photos: Path, concept: Path, predictor: Predictor, tmp_path: Path
):
    class KilledError(Exception):
        pass

    whole = cut(photos, concept, tmp_path / "whole")
    compute(whole, predictor)
    broken = cut(photos, concept, tmp_path / "broken")
    seen = 0

    def dies_in_the_second_shard() -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KilledError

    with pytest.raises(KilledError):
        compute(broken, predictor, dies_in_the_second_shard)
    assert list(shards_of(tmp_path / "broken")) == [f"{broken.shards[0].name}.parquet"]  # nothing of the second
    assert broken.left() == list(broken.shards[1:])
    compute(broken, predictor)
    assert shards_of(tmp_path / "broken") == shards_of(tmp_path / "whole")
    assert len(shards_of(tmp_path / "whole")) == 3
    assert compute(broken, predictor) == []


def test_rows_are_what_the_predictor_finds(photos: Path, concept: Path, predictor: Predictor, tmp_path: Path):
    folder = cut(photos, concept, tmp_path / "found", each=9)
    (counts,) = compute(folder, predictor)
    rows = pd.read_parquet(next((tmp_path / "found/shards").iterdir()))
    assert list(rows["image"]) == folder.names(folder.shards[0])
    for row in rows.to_dict("records"):
        alone = predictor.segment(photos / row["image"], Concept.load(concept))
        assert (row["height"], row["width"]) == alone.mask.shape
        assert row["presence"] == pytest.approx(alone.presence, abs=1e-6)
        assert row["score"] == pytest.approx(alone.score, abs=1e-6)
        mask = decode(row["rle"], *alone.mask.shape) if row["present"] else np.zeros(alone.mask.shape, bool)
        assert np.array_equal(mask, alone.mask)
    assert counts.present == {"cat": int(rows["present"].sum())}
    assert counts.present["cat"] >= 1


def test_an_image_that_cannot_be_read_is_a_row_with_its_reason(
    photos: Path, concept: Path, predictor: Predictor, tmp_path: Path
):
    (photos / "1.png").write_bytes(b"no picture")
    folder = cut(photos, concept, tmp_path / "found")
    (photos / "2.png").unlink()  # after the list was made
    counts = compute(folder, predictor)
    assert [one.unreadable for one in counts] == [1, 1, 0]
    rows = pd.concat(map(pd.read_parquet, sorted((tmp_path / "found/shards").iterdir()))).set_index("image")
    assert "cannot be read as an image" in rows.loc["1.png", "error"]
    assert rows.loc["2.png", "error"] == f"{photos / '2.png'}: not found"
    assert rows.loc[["0.png", "3.png", "deep/4.png"], "error"].isna().all()
    join_shards(folder, tmp_path, ["coco"])
    named = [image["file_name"] for image in json.loads((tmp_path / "coco.json").read_text())["images"]]
    assert named == ["0.png", "3.png", "deep/4.png"]


def test_a_folder_that_is_not_mounted_is_an_error_and_no_rows(
    photos: Path, concept: Path, predictor: Predictor, tmp_path: Path
):
    folder = cut(photos, concept, tmp_path / "found")
    photos.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="not found on this machine"):
        compute(folder, predictor)
    assert shards_of(tmp_path / "found") == {}


def test_a_text_file_lists_paths_from_its_own_folder_and_elsewhere(photos: Path, concept: Path, tmp_path: Path):
    (tmp_path / "wanted.txt").write_text(f"photos/3.png\n\n{photos / '0.png'}\nphotos/3.png\n")
    folder = cut(tmp_path / "wanted.txt", concept, tmp_path / "found", each=9)
    assert folder.names(folder.shards[0]) == ["photos/3.png", str(photos / "0.png")]
    for name in folder.names(folder.shards[0]):
        assert folder.images.read(name) == (photos / Path(name).name).read_bytes()


def test_joining_waits_for_all_shards(photos: Path, concept: Path, tmp_path: Path):
    folder = cut(photos, concept, tmp_path / "found")
    with pytest.raises(InputError, match="3 of 3 shards are not done"):
        join_shards(folder, tmp_path, ["coco"])


def rows(images: int) -> Iterator[dict[str, Any]]:
    """Two concepts that overlap: the cat covers rows 0 to 2, the dog rows 2 to 4 with a higher score."""
    from prosam.data.formats.masks import encode

    for number in range(images):
        for concept, score, part in (("cat", 0.5, slice(0, 3)), ("dog", 0.75, slice(2, 5))):
            mask = np.zeros((6, 4), bool)
            mask[part] = True
            entry = {"concept": concept, "present": True, "presence": 0.5, "score": score, "rle": encode(mask)}
            yield {"image": f"{number:06d}.png", "height": 6, "width": 4, **entry}


def by_hand(folder: Path, shards: int, images: int) -> ShardFolder:
    """A folder of shards that hold what `rows` gives, without a model."""
    content = shard_content(list(rows(images)), {"model": "by hand"})
    names = [f"{number:06d}" for number in range(shards)]
    for name in names:
        Place(str(folder)).write(f"shards/{name}.parquet", content)
    settings = {"images": ".", "loading": {}, "asked": {}, "concepts": [["cat", ""], ["dog", ""]], "each": images}
    plan = {"prosam_shards": 1, **settings, "shards": [[name, images] for name in names]}
    (folder / "plan.json").write_text(json.dumps(plan))
    return ShardFolder.opened(Place(str(folder)))


def test_label_maps_have_the_higher_score_on_top(tmp_path: Path):
    join_shards(by_hand(tmp_path, 1, 2), tmp_path, ["labels"])
    labels = np.asarray(Image.open(tmp_path / "labels/000001.png.png"))
    assert labels[:, 0].tolist() == [1, 1, 2, 2, 2, 0]


def test_joining_takes_the_same_memory_for_more_shards(tmp_path: Path):
    join_shards(by_hand(tmp_path / "warm", 1, 1), tmp_path / "warm", ["coco"])  # what is imported late
    peaks = []
    for shards in (1, 8):
        folder = by_hand(tmp_path / str(shards), shards, 60)
        tracemalloc.start()
        join_shards(folder, tmp_path / str(shards), ["coco"])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]  # 8 times, if all were in memory
    assert len(json.loads((tmp_path / "8/coco.json").read_text())["annotations"]) == 8 * 60 * 2


def test_a_damaged_shard_is_named(tmp_path: Path):
    folder = by_hand(tmp_path, 2, 2)
    (tmp_path / "shards/000001.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(InputError, match=r"000001\.parquet: is damaged; remove it"):
        join_shards(folder, tmp_path, ["coco"])


def test_what_is_written_is_what_is_read():
    entry = {"box": [1, 0, 2, 2], "area": 4, "score": 0.5, "rle": "abc"}
    found = {"concept": "cat", "present": True, "presence": 0.25, "score": 0.5, "disagreement": None, "rle": "ab"}
    seen = {"image": "a\udcff.png", "digest": "0f", "height": 3, "width": 5}
    content = shard_content(
        [seen | found | {"count": 1, "instances": [entry]}, {"image": "b.png", "error": "b.png: not found"}],
        {"model": "m"},
    )
    assert shard_metadata(content, "x") == {"model": "m"}
    first, second = shard_lines(content, "x")
    assert first == seen | {"image": "a\\udcff.png", "error": None} | {
        "found": [found | {"count": 1, "instances": [entry]}]
    }
    assert (second["image"], second["error"], second["found"]) == ("b.png", "b.png: not found", [])
