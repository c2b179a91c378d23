"""FSS-1000: its lists decide what is trained, validated and tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prosam.data.catalog.source import source_of
from prosam.data.dataset import SPLITS
from prosam.data.folds import image_classes, make_fold
from prosam.data.freezing import frozen_test
from prosam.data.open import open_dataset
from prosam.data.published_lists import read_published_lists
from prosam.errors import InputError
from prosam.params import FoldsParams, FssDownload, Protocol
from tests.data.benchmark_trees import box, read_benchmark, write_fss_tree

LISTS = {"trn": ["zebra", "abacus"], "val": ["whale"], "test": ["otter", "bat"]}
PROTOCOL = Protocol(classes="published", folds=1, min_area=1, targets="each-once")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set that the download stage writes of a small tree."""
    write_fss_tree(tmp_path / "given", LISTS)
    monkeypatch.chdir(tmp_path)
    folder = Path("data/raw/fss-1000")
    folder.mkdir(parents=True)
    source_of("fss").write(folder, "fss-1000", FssDownload(source="fss", data_root=tmp_path / "given"))
    return folder


def test_classes_are_numbered_list_by_list_and_images_sorted_as_text(raw: Path):
    dataset = open_dataset(raw)
    assert dataset.classes == ("abacus", "zebra", "whale", "bat", "otter")
    assert {image.split("-")[0] for image in dataset.image_ids("train")} == {"abacus", "zebra"}
    assert dataset.image_ids("val")[10:13] == ["bat-1", "bat-10", "bat-2"]
    assert (len(dataset.image_ids("train")), len(dataset.image_ids("val"))) == (20, 30)


def test_half_grey_and_more_is_the_object_and_images_stay_where_they_are(raw: Path, tmp_path: Path):
    dataset = open_dataset(raw)
    assert np.array_equal(dataset.mask("abacus-3", 1), box(64, 64, 1 + 3))  # the second class of the tree
    assert dataset.image_path("abacus-3").resolve() == tmp_path / "given/FSS-1000/abacus/3.jpg"
    assert not list(raw.rglob("*.jpg"))


def test_the_lists_divide_the_classes_and_every_test_image_is_a_target_once(raw: Path):
    dataset, lists = open_dataset(raw), read_published_lists(raw)
    index = [
        row for split in SPLITS for image in dataset.image_ids(split) for row in image_classes(dataset, split, image)
    ]
    fold = make_fold(dataset.classes, index, PROTOCOL, 0, lists.folds)
    assert (fold.base, fold.novel) == ((1, 2), (4, 5))
    assert (set(fold.train), set(fold.monitor), set(fold.test)) == ({1, 2}, {3}, {4, 5})
    assert all(len(images) == 10 for part in (fold.train, fold.monitor, fold.test) for images in part.values())
    settings = FoldsParams(episodes=3, shots=(1, 5))
    val = dataset.image_ids("val")
    test = frozen_test(fold.test, val, PROTOCOL, settings, classes=fold.novel, fold=0, purpose="test")
    assert [episode.target for episode in test] == [image for image in val if not image.startswith("whale")]
    for episode in test:
        of_class = {image.split("-")[0] for image in (episode.target, *episode.references)}
        assert of_class == {dataset.classes[episode.class_id - 1]}
        assert len({episode.target, *episode.references}) == 6


def test_counts_that_the_papers_do_not_state_are_one_warning(raw: Path, capsys: pytest.CaptureFixture[str]):
    folder = raw.parent / "again"
    folder.mkdir()
    source_of("fss").write(folder, "fss-1000", FssDownload(source="fss", data_root=Path("given")))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert "2 classes to train on, not 520" in line
    assert "50 images, not 10,000" in line


@pytest.mark.parametrize(
    ("list_name", "content", "message"),
    [
        ("val", "whale\nbat\n", "'bat' is listed twice"),
        ("val", "\n", "val.txt: lists no classes"),
        ("test", "otter\nbadger\n", "badger: not found"),
    ],
)
def test_lists_that_contradict_the_folders_are_refused(tmp_path: Path, list_name: str, content: str, message: str):
    write_fss_tree(tmp_path, LISTS, images=2)
    (tmp_path / "splits" / f"{list_name}.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        read_benchmark("fss", "fss-1000", tmp_path)


def test_without_files_one_line_says_what_to_fetch_and_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        source_of("fss").write(tmp_path, "fss-1000", FssDownload(source="fss"))
    message = str(caught.value)
    assert message.startswith("data/sources/fss-1000: has no FSS-1000; from https://github.com/juhongm999/hsnet")
    assert "datasets.fss-1000.download.data_root" in message
    assert "\n" not in message


def test_lists_are_needed_to_follow_them():
    with pytest.raises(InputError, match="the data set lists no classes; write `dealt` or `tested`"):
        make_fold(["a", "b"], [], PROTOCOL, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1}, "leaves no classes to train on"),
        ({"classes": "tested"}, "must be 1"),
        ({"classes": "published", "folds": [["a"]]}, "must be a number"),
    ],
)
def test_a_protocol_whose_folds_do_not_fit_its_classes_is_refused(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Protocol.model_validate(settings)
