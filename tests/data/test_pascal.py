"""VOC 2012 and SBD: pools, masks and what is refused."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from prosam.data.formats.masks import decode
from prosam.data.formats.records import EVERY_CLASS, ImageRecord
from prosam.data.formats.table import TableDataset, write_table
from prosam.data.sources import pascal
from prosam.data.sources.pascal import PASCAL_CLASSES, LabelledBy, Pool, pascal_records
from prosam.errors import InputError
from tests.data.pascal_tree import SBD, VOC, generated_labels, write_pascal_tree, write_sbd_mask

SIZE = (24, 40)
TRAIN = {f"2007_00000{i}": generated_labels([i, 15], *SIZE) for i in range(3)}
VAL = {f"2007_00010{i}": generated_labels([20 - i], *SIZE) for i in (2, 1)}  # not in the order of their ids
BOTH = "2007_000001"  # in VOC's train and in SBD
SBD_TRAIN = {
    "2009_000009": generated_labels([3], *SIZE, border=False),
    "2008_000008": generated_labels([1, 2, 20], *SIZE, border=False),
    BOTH: generated_labels([7, 8], *SIZE, border=False),
}
MAIN_VAL = "2010_000001"
SBD_VAL = {
    MAIN_VAL: generated_labels([4], *SIZE, border=False),
    "2007_000102": generated_labels([5], *SIZE, border=False),  # in VOC's val
    "2010_000002": generated_labels([6, 9], *SIZE, border=False),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "sources"
    write_pascal_tree(
        root,
        train=TRAIN,
        val=VAL,
        sbd_train=SBD_TRAIN,
        sbd_val=SBD_VAL,
        main_val=[MAIN_VAL],
        photos_in_sbd=["2008_000008"],
    )
    return root


def read(root: Path, pool: Pool = "train_noval", both: LabelledBy = "voc") -> dict[str, ImageRecord]:
    return {record.image: record for record in pascal_records(root, pool, both)}


def ids(records: dict[str, ImageRecord], split: str) -> list[str]:
    return [record.image for record in records.values() if record.split == split]


SBD_IDS, VOC_IDS = {*SBD_TRAIN, *SBD_VAL}, {*TRAIN}
POOLS: dict[Pool, set[str]] = {
    "train_noval": VOC_IDS | (SBD_IDS - {*VAL, MAIN_VAL}),
    "trainaug": VOC_IDS | (SBD_IDS - {*VAL}),
    "voc": VOC_IDS,
}


@pytest.mark.parametrize("pool", POOLS)
def test_a_pool_is_vocs_train_and_what_it_takes_of_sbd_and_val_is_vocs_in_list_order(root: Path, pool: Pool):
    records = read(root, pool)
    assert ids(records, "train") == sorted(POOLS[pool])
    assert ids(records, "val") == list(VAL)
    assert len({len(images) for images in POOLS.values()}) == 3


def test_masks_and_void_are_those_of_the_label_maps(root: Path):
    records = read(root, "trainaug")
    for image, labels in {**SBD_TRAIN, **SBD_VAL, **TRAIN, **VAL}.items():
        record = records[image]
        assert (record.height, record.width) == labels.shape
        assert set(record.masks) == set(np.unique(labels)) - {0, 255}
        for class_id, code in record.masks.items():
            np.testing.assert_array_equal(decode(code, *SIZE), labels == class_id)
        assert set(record.void) == ({EVERY_CLASS} if image in (*TRAIN, *VAL) else set())
        for code in record.void.values():
            np.testing.assert_array_equal(decode(code, *SIZE), labels == 255)


@pytest.mark.parametrize(("both", "classes"), [("voc", {1, 15}), ("sbd", {7, 8})])
def test_where_both_label_an_image_one_is_preferred(root: Path, both: LabelledBy, classes: set[int]):
    records = read(root, both=both)
    assert set(records[BOTH].masks) == classes
    assert bool(records[BOTH].void) == (both == "voc")
    assert set(records["2007_000102"].masks) == {18}  # an image to test on is always VOC's
    assert set(records["2007_000002"].masks) == {2, 15}  # SBD does not have it


def test_photos_are_vocs_and_else_sbds(root: Path):
    records = read(root)
    assert records["2008_000008"].file == (SBD / "img" / "2008_000008.jpg")
    assert records["2009_000009"].file == (VOC / "JPEGImages" / "2009_000009.jpg")
    for record in records.values():
        assert record.digest == hashlib.sha256((root / record.file).read_bytes()).hexdigest()[:32]


def test_vocs_own_pool_needs_no_sbd(root: Path):
    shutil.rmtree(root / "benchmark_RELEASE")
    assert set(read(root, "voc", "sbd")) == {*TRAIN, *VAL}


def test_folders_may_lie_in_the_root_or_be_links(root: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "VOC2012").symlink_to(root / VOC)
    (other / "dataset").symlink_to(root / SBD)
    records, expected = read(other), read(root)
    assert records[BOTH].file == Path("VOC2012/JPEGImages") / f"{BOTH}.jpg"
    assert [(r.image, r.digest, r.masks) for r in records.values()] == [
        (r.image, r.digest, r.masks) for r in expected.values()
    ]


def test_lists_that_are_not_the_published_ones_are_told_in_one_line(root: Path, capsys: pytest.CaptureFixture[str]):
    pascal_records(root, "train_noval", "voc")
    noval = "".join(f"{image}\n" for image in sorted(SBD_IDS - {*VAL, MAIN_VAL}))
    (line,) = capsys.readouterr().out.splitlines()
    assert (
        f"6 images to train on, 2 to test on, SBD's train_noval of MD5 {hashlib.md5(noval.encode()).hexdigest()}"
        in line
    )
    assert "5953 images to train on, 1449 to test on" in line


def test_work_in_several_processes_gives_the_same_records(root: Path, monkeypatch: pytest.MonkeyPatch):
    expected = read(root)
    monkeypatch.setattr(pascal, "_CHUNK", 4)
    assert read(root) == expected


def test_the_table_of_the_records_shows_what_the_label_maps_do(root: Path):
    folder = root.parent / "raw"
    folder.mkdir()
    write_table(folder, PASCAL_CLASSES, pascal_records(root, "train_noval", "voc"), images="../sources")
    dataset = TableDataset(folder)
    assert dataset.image_ids("train") == sorted(POOLS["train_noval"])
    for image, labels in {**{i: SBD_TRAIN[i] for i in SBD_TRAIN if i != BOTH}, **TRAIN, **VAL}.items():
        present = set(np.unique(labels)) - {0, 255}
        assert dataset.class_areas(image) == {i: int((labels == i).sum()) for i in sorted(present)}
        for class_id in range(1, 21):
            np.testing.assert_array_equal(dataset.mask(image, class_id), labels == class_id)
            np.testing.assert_array_equal(dataset.void(image, class_id), labels == 255)
        assert dataset.image(image).shape == (*SIZE, 3)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


PNG, MAT = VOC / "SegmentationClass/2007_000000.png", SBD / "cls/2009_000009.mat"
JPEG, MAIN = VOC / "JPEGImages/2007_000000.jpg", VOC / "ImageSets/Main/val.txt"
LIST = SBD / "val.txt"


def save(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(labels).save(path)


DAMAGE: dict[str, tuple[Path, Callable[[Path], object], str]] = {
    "missing photo": (JPEG, Path.unlink, "not found$"),
    "missing VOC mask": (PNG, Path.unlink, "not found$"),
    "missing SBD mask": (MAT, Path.unlink, "not found$"),
    "no masks": (PNG.parent, shutil.rmtree, "2007_000000.png: not found, nor are 4 other files"),
    "photo cut short": (JPEG, lambda path: path.write_bytes(path.read_bytes()[:10]), "damaged"),
    "PNG cut short": (PNG, cut, "damaged"),
    "PNG of another size": (
        PNG,
        lambda path: save(path, np.ones((9, 16), np.uint8)),
        "is 16x9 px, but its image is 40x24",
    ),
    "PNG with a label that is no class": (
        PNG,
        lambda path: save(path, np.full(SIZE, 21, np.uint8)),
        "label 21 is not a class",
    ),
    "PNG in colours": (PNG, lambda path: save(path, np.zeros((*SIZE, 3), np.uint8)), "RGB"),
    "MATLAB file cut short": (MAT, cut, "damaged"),
    "empty MATLAB file": (MAT, lambda path: path.write_bytes(b""), "damaged"),
    "MATLAB file of another thing": (MAT, lambda path: savemat(path, {"GTinst": {"a": 1}}), "not one of SBD's"),
    "MATLAB file of other numbers": (MAT, lambda path: savemat(path, {"GTcls": {"Segmentation": 0.5}}), "not a matrix"),
    "SBD mask of another size": (MAT, lambda path: write_sbd_mask(path, np.ones((9, 16), np.uint8)), "is 16x9 px"),
    "SBD mask with void": (MAT, lambda path: write_sbd_mask(path, np.full(SIZE, 255, np.uint8)), "label 255 is no"),
    "missing list of SBD": (LIST, Path.unlink, "not found"),
    "missing list of VOC": (MAIN, Path.unlink, "not found"),
    "no SBD": (SBD.parent, shutil.rmtree, "has no folder benchmark_RELEASE/dataset or dataset"),
    "no VOC": (VOC.parent, shutil.rmtree, "has no folder VOCdevkit/VOC2012 or VOC2012"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_line_that_names_the_file(case: str, root: Path):
    file, damage, message = DAMAGE[case]
    damage(root / file)
    with pytest.raises(InputError, match=message) as caught:
        read(root)
    assert "\n" not in str(caught.value)
    assert str(root) in str(caught.value)
    if not case.startswith("no "):
        assert str(root / file) in str(caught.value)


def test_an_image_to_test_on_is_never_trained_on(root: Path):
    (root / MAIN).write_text(f"{MAIN_VAL}\n")  # should have the images of VOC's val
    with pytest.raises(InputError, match=r"1 images of Segmentation/val\.txt would be trained on, '2007_000102'"):
        pascal_records(root, "train_noval", "voc")
    pascal_records(root, "trainaug", "voc")
