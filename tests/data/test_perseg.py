"""PerSeg: the first photo of an object is the reference of all its others."""

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
from prosam.params import FoldsParams, PersegDownload, Protocol
from tests.data.benchmark_trees import box, read_benchmark, write_perseg_tree

PROTOCOL = Protocol(classes="tested", folds=1, min_area=1, targets="published")


def test_episodes_masks_and_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_perseg_tree(Path("data/sources/perseg"), {"teapot": 3, "cat": 2})
    folder = Path("data/raw/perseg")
    folder.mkdir(parents=True)
    source_of("perseg").write(folder, "perseg", PersegDownload(source="perseg"))
    dataset, lists = open_dataset(folder), read_published_lists(folder)
    assert dataset.classes == ("cat", "teapot")
    assert dataset.image_ids("train") == []
    assert np.array_equal(dataset.mask("teapot-02", 2), box(64, 72, 2))
    index = [row for s in SPLITS for image in dataset.image_ids(s) for row in image_classes(dataset, s, image)]
    fold = make_fold(dataset.classes, index, PROTOCOL, 0)
    assert (fold.novel, fold.base, fold.train, fold.monitor) == ((1, 2), (), {}, {})
    test = frozen_test(
        fold.test,
        dataset.image_ids("val"),
        PROTOCOL,
        FoldsParams(episodes=1, shots=(1, 5)),
        published=lists.episodes,
        classes=fold.novel,
        fold=0,
        purpose="test",
    )
    assert [(e.references, e.target, e.class_id) for e in test] == [
        (("cat-00",), "cat-01", 1),
        (("teapot-00",), "teapot-01", 2),
        (("teapot-00",), "teapot-02", 2),
    ]


def test_an_object_of_one_photo_is_refused(tmp_path: Path):
    write_perseg_tree(tmp_path, {"cat": 2, "dog": 1})
    with pytest.raises(InputError, match=r"Images/dog: has 1 \.jpg files"):
        read_benchmark("perseg", "perseg", tmp_path)


def test_episodes_of_none_of_the_classes_are_refused():
    with pytest.raises(InputError, match="determines no episodes"):
        frozen_test({}, [], PROTOCOL, FoldsParams(), classes=[1], fold=0, purpose="test")


@pytest.mark.parametrize("content", ["{", "{}", '{"folds": [], "episodes": [["a", "b"]]}'])
def test_damaged_lists_are_one_line_with_the_remedy(tmp_path: Path, content: str):
    (tmp_path / "published.json").write_text(content)
    with pytest.raises(InputError, match=r"published\.json: is damaged; run `dvc repro --force"):
        read_published_lists(tmp_path)
