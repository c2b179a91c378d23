"""DAVIS 2017: each object of a sequence is a class, and its first frame the reference of all later ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prosam.data.catalog.source import source_of
from prosam.data.open import open_dataset
from prosam.data.published_lists import read_published_lists
from prosam.errors import InputError
from prosam.params import DavisDownload
from tests.data.benchmark_trees import read_benchmark, write_davis_tree

FIRST = np.zeros((48, 64), np.uint8)
FIRST[4:20, 4:20], FIRST[24:40, 30:50] = 1, 2
LATER = np.zeros((48, 64), np.uint8)
LATER[4:20, 6:22], LATER[0:2] = 1, 255  # object 2 has left; 255 is ignored as background
NEW = LATER.copy()
NEW[30:40, 30:40] = 3  # an object that the first frame does not have
ONE = np.zeros((48, 64), np.uint8)
ONE[10:30, 10:30] = 1


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set that the download stage writes of a small tree."""
    write_davis_tree(tmp_path / "given", {"pigs": [FIRST, LATER, NEW], "car": [ONE, ONE]})
    monkeypatch.chdir(tmp_path)
    folder = Path("data/raw/davis-2017")
    folder.mkdir(parents=True)
    source_of("davis").write(folder, "davis-2017", DavisDownload(source="davis", data_root=tmp_path / "given"))
    return folder


def test_objects_are_classes_in_the_order_of_the_list(raw: Path):
    dataset = open_dataset(raw)
    assert dataset.classes == ("pigs-1", "pigs-2", "car-1")
    assert dataset.image_ids("val") == ["pigs-00000", "pigs-00001", "pigs-00002", "car-00000", "car-00001"]
    assert np.array_equal(dataset.mask("pigs-00000", 2), FIRST == 2)
    assert np.array_equal(dataset.mask("pigs-00001", 1), LATER == 1)
    assert not dataset.mask("pigs-00002", 2).any()
    assert dataset.class_areas("pigs-00002").keys() == {1}
    assert not dataset.void("pigs-00001", 1).any()


def test_every_later_frame_is_a_target_even_if_it_lacks_the_object(raw: Path):
    episodes = [(e.reference, e.target, e.class_id) for e in read_published_lists(raw).episodes]
    assert episodes == [
        ("pigs-00000", "pigs-00001", 1),
        ("pigs-00000", "pigs-00002", 1),
        ("pigs-00000", "pigs-00001", 2),
        ("pigs-00000", "pigs-00002", 2),
        ("car-00000", "car-00001", 3),
    ]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([np.zeros_like(ONE), ONE], "00000.png: shows no object"),
        ([np.where(ONE, 2, 0).astype(np.uint8), ONE], "does not show object 1"),
        ([ONE], "has 1 .jpg files"),
    ],
)
def test_sequences_without_a_reference_or_a_target_are_refused(tmp_path: Path, frames: list[np.ndarray], message: str):
    write_davis_tree(tmp_path, {"car": frames})
    with pytest.raises(InputError, match=message):
        read_benchmark("davis", "davis-2017", tmp_path)


def test_a_frame_without_a_mask_is_named(tmp_path: Path):
    write_davis_tree(tmp_path, {"car": [ONE, ONE]})
    (tmp_path / "DAVIS/Annotations/480p/car/00001.png").unlink()
    with pytest.raises(InputError, match=r"car/00001\.png: not found"):
        read_benchmark("davis", "davis-2017", tmp_path)
