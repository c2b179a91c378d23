"""How many images there are, and what they take on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prosam import layout
from prosam.data.catalog.source import source_of
from prosam.data.fold_files import write_fold
from prosam.data.folds import Fold
from prosam.errors import InputError
from prosam.params import DatasetParams
from prosam.plan import disk
from prosam.plan.counts import count_episodes, count_images
from prosam.plan.disk import Written, data_written, disks, embeddings_written
from prosam.plan.downloads import downloads
from tests.plan.conftest import ParamsWith

GIB, VIT_H = 2**30, 2 * 2**20  # bytes; of an embedding


@pytest.mark.parametrize(
    ("name", "images", "training", "gib"),  # of DATA.md
    [("pascal-5i", 7_402, {0: 4_208, 3: 4_510}, 14), ("coco-20i", 122_218, {0: 21_917, 3: 44_614}, 239)],
)
def test_before_any_stage_the_published_counts_hold(
    params_with: ParamsWith, name: str, images: int, training: dict[int, int], gib: float
):
    params = params_with(sam="vit_h", datasets=[name])
    counts = count_images(name, params.datasets[name], [0, 3])
    assert (counts.total, counts.training) == (images, training)
    (store,) = embeddings_written(name, params, counts, VIT_H)
    assert store.bytes == images * 256 * 64 * 64 * 2
    assert store.bytes / GIB == pytest.approx(gib, rel=0.04)


@pytest.mark.parametrize(
    ("name", "images", "training", "episodes"),  # of docs/benchmarks.md; 600 is folds.episodes
    [
        ("fss-1000", 10_000, {0: 5_200}, 2_400),
        ("davis-2017", 1_999, {}, 61 * 1_999 // 30),
        ("isic-2018", 2_594, {}, 600),
        ("lungs", 566, {}, 600),
        ("deepglobe", 5_666, {}, 600),
    ],
)
def test_benchmarks_have_their_own_numbers(
    params_with: ParamsWith, name: str, images: int, training: dict[int, int], episodes: int
):
    params = params_with(datasets=["pascal-5i"])
    counts = count_images(name, params.datasets[name], [0])
    assert (counts.total, counts.training) == (images, training)
    assert count_episodes(name, params) == episodes


def test_after_the_folds_stage_its_files_are_counted(params_with: ParamsWith):
    params = params_with(datasets=["pascal-5i"])
    layout.folds("pascal-5i").mkdir(parents=True)
    fold = Fold(0, ("a", "b"), (1,), (2,), train={2: ["x", "y", "z"]}, test={1: ["v", "w"]}, monitor={2: ["t", "u"]})
    write_fold(layout.folds("pascal-5i") / "fold-0.json", fold)
    counts = count_images("pascal-5i", params.datasets["pascal-5i"], [0])
    assert counts.training == {0: 3}
    assert counts.training_from == "data/folds/pascal-5i"


def test_another_protocol_than_the_papers_is_a_guess(params_with: ParamsWith):
    params = params_with(datasets=["pascal-5i"])
    section = params.datasets["pascal-5i"]
    section = section.model_copy(update={"protocol": section.protocol.model_copy(update={"min_area": 1})})
    counts = count_images("pascal-5i", section, [0])
    assert counts.training == {0: round(0.75 * 5_953)}
    assert "guess" in counts.training_from


def test_ones_own_images_are_counted(tmp_path: Path):
    own = DatasetParams.model_validate({"download": {"source": "own", "folder": str(tmp_path / "own")}, "train": {}})
    with pytest.raises(InputError, match="own: not found"):
        count_images("mine", own, [0])
    (tmp_path / "own" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "own" / "SegmentationClass").mkdir()
    for number in range(10):
        (tmp_path / "own" / "JPEGImages" / f"{number}.jpg").touch()
        (tmp_path / "own" / "SegmentationClass" / f"{number}.png").touch()
    counts = count_images("mine", own, [0])
    assert (counts.total, counts.training[0]) == (10, 4)  # 6 of 10 to train on, and 3 of 4 folds


def test_a_store_that_is_there_is_not_written_again(params_with: ParamsWith):
    params = params_with()
    counts = count_images("shapes-5i", params.datasets["shapes-5i"], [0])
    index = {"made_by": {"sam": "tiny", "image_size": 128}, "shards": [{"images": ["x"] * counts.total}]}
    layout.embeddings("shapes-5i").mkdir(parents=True)
    (layout.embeddings("shapes-5i") / "index.json").write_text(json.dumps(index))
    assert list(embeddings_written("shapes-5i", params, counts, 1)) == []
    other = params_with(sam="vit_b")
    assert len(list(embeddings_written("shapes-5i", other, counts, 1))) == 1


def test_a_store_of_another_form_is_written_again(params_with: ParamsWith):
    params = params_with()
    counts = count_images("shapes-5i", params.datasets["shapes-5i"], [0])
    index = {"made_by": {"sam": "tiny", "image_size": 128}, "shards": [{"images": ["x"] * counts.total}]}
    layout.embeddings("shapes-5i").mkdir(parents=True)
    (layout.embeddings("shapes-5i") / "index.json").write_text(json.dumps(index | {"dtype": "int8"}))
    assert len(list(embeddings_written("shapes-5i", params, counts, 1))) == 1
    embeddings = params.embeddings.model_copy(update={"store": "int8"})
    assert not list(embeddings_written("shapes-5i", params.model_copy(update={"embeddings": embeddings}), counts, 1))


def test_an_archive_of_unknown_size_counts_by_its_approximate_size(params_with: ParamsWith):
    params = params_with()
    axes = params.pipeline.model_copy(update={"datasets": ["isic-2018"], "runs": []})
    params = params.model_copy(update={"pipeline": axes})
    written = {item.what: item.bytes for item in data_written(params, downloads(params))}
    assert written["isic-2018 archives"] == 11_000_000_000
    assert written["isic-2018 extracted"] == 11_000_000_000 + 27_402_895


def test_files_that_a_person_has_to_fetch_are_told_until_they_are_there(params_with: ParamsWith):
    downloads = {name: settings.download for name, settings in params_with().datasets.items()}

    def waiting() -> list[str]:
        return [name for name, download in downloads.items() if source_of(download.source).needs_hands(name, download)]

    assert sorted(waiting()) == ["deepglobe", "fss-1000", "isic-2018", "lungs", "pascal-part", "perseg"]
    (layout.sources("lungs") / "CXR_png").mkdir(parents=True)
    assert "lungs" in waiting()
    (layout.sources("lungs") / "masks").mkdir()
    assert "lungs" not in waiting()


def test_a_scratch_folder_on_another_disk_holds_a_second_copy(params_with: ParamsWith, monkeypatch: pytest.MonkeyPatch):
    params = params_with()
    counts = count_images("shapes-5i", params.datasets["shapes-5i"], [0])
    monkeypatch.setattr(disk, "device_of", lambda folder: ".scratch" in folder.parts)
    store, copy = embeddings_written("shapes-5i", params, counts, 100)
    assert store.bytes == copy.bytes == 160_000


def test_archives_and_what_they_extract_to_are_both_kept(params_with: ParamsWith):
    params = params_with(sam="vit_h", datasets=["pascal-5i"], pool="voc")
    fetched, extracted = data_written(params, downloads(params))
    assert 0 <= fetched.bytes - (1_999_639_040 + 2_564_550_879) < 200_000_000  # and ResNet-50
    assert extracted.bytes == 1_999_639_040
    (layout.sources("pascal-5i") / "VOCdevkit").mkdir(parents=True)
    assert [item.what for item in data_written(params, downloads(params))] == ["archives and checkpoints"]


def test_a_disk_that_is_too_small_says_by_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1000)
    items = [Written("a", 600, str(tmp_path / "not" / "yet")), Written("b", 600, str(tmp_path))]
    (one,) = disks(items)
    assert (one.needed, one.free, one.short) == (1224, 1000, 224)
    assert disks(items[:1])[0].short == 0
