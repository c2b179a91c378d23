"""Dealing classes and images to folds."""

from __future__ import annotations

from pathlib import Path

import pytest

from prosam.data.dataset import SPLITS
from prosam.data.fold_files import read_fold, read_index, write_fold, write_index
from prosam.data.folds import ImageClass, counted, image_classes, make_fold, novel_classes
from prosam.data.formats.voc import VocDataset
from prosam.errors import InputError
from prosam.params import Protocol
from tests.data.conftest import TRAIN, VAL


def index_of(dataset: VocDataset) -> list[ImageClass]:
    return [row for s in SPLITS for image in dataset.image_ids(s) for row in image_classes(dataset, s, image)]


def names(count: int) -> list[str]:
    return [f"c{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("n", "folds", "order", "expected"),
    [
        # PASCAL-5i: classes 5i + 1 to 5i + 5; COCO-20i: class index fold + 4v.
        (20, 4, "contiguous", [[*range(1, 6)], [*range(6, 11)], [*range(11, 16)], [*range(16, 21)]]),
        (
            80,
            4,
            "interleaved",
            [[*range(1, 81, 4)], [*range(2, 81, 4)], [*range(3, 81, 4)], [*range(4, 81, 4)]],
        ),
        (7, 3, "contiguous", [[1, 2], [3, 4], [5, 6, 7]]),
        (7, 3, "interleaved", [[1, 4, 7], [2, 5], [3, 6]]),
    ],
)
def test_novel_classes(n: int, folds: int, order: str, expected: list[list[int]]):
    protocol = Protocol.model_validate({"folds": folds, "order": order})
    assert [list(novel_classes(names(n), protocol, fold)) for fold in range(folds)] == expected


def test_more_folds_than_classes_are_refused():
    with pytest.raises(InputError, match="2 to 6"):
        novel_classes(names(6), Protocol(folds=7), 0)


def test_folds_may_name_their_novel_classes():
    protocol = Protocol(folds=[["dog", "cat"], ["bird"], ["cat"]])
    assert protocol.num_folds == 3
    classes = ("bird", "cat", "cow", "dog")
    assert [novel_classes(classes, protocol, fold) for fold in range(3)] == [(2, 4), (1,), (2,)]


@pytest.mark.parametrize(
    ("fold", "named", "message"),
    [
        (0, [["dgo"]], r"fold 0: unknown class 'dgo'; did you mean 'dog'\? choose from cat, dog"),
        (1, [["dog"], ["dog", "cat"]], "fold 1 names all 2 classes; none remains to train on"),
    ],
)
def test_named_folds_that_cannot_be_are_refused(fold: int, named: list[list[str]], message: str):
    with pytest.raises(InputError, match=message):
        novel_classes(("cat", "dog"), Protocol(folds=named), fold)


@pytest.mark.parametrize("folds", [4, [["cat"]]])
def test_one_class_is_no_data_set(folds: int | list[list[str]]):
    with pytest.raises(InputError, match=r"^protocol.folds: the data set has one class; .* so it needs two"):
        novel_classes(["cat"], Protocol(folds=folds), 0)


@pytest.mark.parametrize("rule", ["exclude", "background"])
@pytest.mark.parametrize("order", ["contiguous", "interleaved"])
@pytest.mark.parametrize("fold", [0, 1])
def test_a_fold_agrees_with_a_brute_force(tiny: VocDataset, fold: int, order: str, rule: str):
    settings = {"folds": 2, "order": order, "min_area": 10, "novel_in_training": rule}
    made = make_fold(tiny.classes, index_of(tiny), Protocol.model_validate(settings), fold)
    novel = {1, 2, 3} if order == "contiguous" else {1, 3, 5}
    novel = novel if fold == 0 else {1, 2, 3, 4, 5, 6} - novel
    base = {1, 2, 3, 4, 5, 6} - novel
    assert (set(made.novel), set(made.base)) == (novel, base)

    def images(table: list[dict[int, int]], split: str, ids: set[int], allowed: set[int]) -> dict[int, list[str]]:
        found = {
            c: [f"{split}_{i}" for i, areas in enumerate(table) if areas.get(c, 0) >= 10 and set(areas) <= allowed]
            for c in sorted(ids)
        }
        return {c: names for c, names in found.items() if len(names) >= 2}

    everything = novel | base
    assert made.train == images(TRAIN, "train", base, base if rule == "exclude" else everything)
    assert made.test == images(VAL, "val", novel, everything)
    assert made.monitor == images(VAL, "val", base, everything)


def test_a_single_pixel_of_a_novel_class_excludes_a_training_image(tiny: VocDataset):
    protocol = Protocol(folds=2, min_area=10)
    fold = make_fold(tiny.classes, index_of(tiny), protocol, 0)
    assert TRAIN[2] == {4: 50, 1: 3}
    assert fold.train[4] == ["train_1", "train_3"]
    kept = make_fold(tiny.classes, index_of(tiny), protocol.model_copy(update={"novel_in_training": "background"}), 0)
    assert kept.train[4] == ["train_1", "train_2", "train_3"]


def rows(split: str, *images: dict[int, int]) -> list[ImageClass]:
    return [
        ImageClass(f"{split}_{i}", split, class_id, area)  # pyright: ignore[reportArgumentType]
        for i, areas in enumerate(images)
        for class_id, area in areas.items()
    ]


def test_a_base_class_with_one_training_image_is_dropped_and_stays_base():
    index = [*rows("train", {2: 5}, {2: 5}, {3: 5}), *rows("val", {1: 5}, {1: 5}, {2: 5, 3: 5}, {2: 5, 3: 5})]
    fold = make_fold(list("abc"), index, Protocol(folds=3, min_area=5), 0)
    assert (fold.base, set(fold.train), set(fold.monitor)) == ((2, 3), {2}, {2, 3})


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        ([{3: 5}, {3: 5}], [{1: 5}, {1: 5}, {2: 4}, {2: 5}, {3: 5}, {3: 5}], "novel class 'b' .* only 1 val"),
        ([{2: 5}, {3: 5}], [{1: 5}, {1: 5}, {3: 5}, {3: 5}], "novel class 'b' .* only 0 val"),
        ([{3: 5}, {3: 4}], [{1: 5}, {1: 5}, {3: 5}, {3: 5}], "two images to train"),
        ([{3: 5}, {3: 5}], [{1: 5}, {1: 5}, {3: 5}], "two images to monitor"),
        ([{3: 5}, {3: 5}], [{3: 5}, {3: 5}], "two images to test"),
    ],
)
def test_too_few_images_are_an_error(train: list[dict[int, int]], val: list[dict[int, int]], message: str):
    with pytest.raises(InputError, match=message) as caught:
        make_fold(list("abcd"), [*rows("train", *train), *rows("val", *val)], Protocol(folds=2, min_area=5), 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("val", "advice"),
    [
        ([{1: 4}, {1: 3}, {1: 2}], "lower protocol.min_area to 3 or add images"),
        ([{1: 5}], "1 val and 2 train images show it: add images, or move some to val"),
    ],
)
def test_what_would_give_a_novel_class_two_val_images_is_said(val: list[dict[int, int]], advice: str):
    index = [*rows("train", {1: 5, 3: 5}, {1: 5, 3: 5}), *rows("val", *val, {3: 5}, {3: 5})]
    with pytest.raises(InputError, match=f"needs two; {advice}"):
        make_fold(list("abcd"), index, Protocol(folds=[["a"]], min_area=5), 0)


def test_images_left_out_for_novel_classes_are_the_reason_that_is_given():
    index = [*rows("train", {1: 5, 3: 5}, {1: 5, 3: 5}), *rows("val", {1: 5}, {1: 5}, {3: 5}, {3: 5})]
    with pytest.raises(
        InputError, match=r"no class has two images to train, .* protocol\.novel_in_training to background"
    ):
        make_fold(list("abc"), index, Protocol(folds=[["a"]], min_area=5), 0)


def test_a_novel_class_that_the_data_set_never_shows_is_left_out_of_the_test():
    index = [*rows("train", {3: 5}, {3: 5}), *rows("val", {1: 5}, {1: 5}, {3: 5}, {3: 5})]
    fold = make_fold(list("abcd"), index, Protocol(folds=2, min_area=5), 0)
    assert (fold.novel, fold.test) == ((1, 2), {1: ["val_0", "val_1"]})


def test_a_fold_and_an_index_read_as_they_were_written(tiny: VocDataset, tmp_path: Path):
    index = counted(index_of(tiny), 10)
    fold = make_fold(tiny.classes, index, Protocol(folds=2, min_area=10), 1)
    write_fold(tmp_path / "fold.json", fold)
    write_index(tmp_path / "index.csv", index)
    assert read_fold(tmp_path / "fold.json") == fold
    assert read_index(tmp_path / "index.csv") == index
    assert min(row.area for row in index) >= 10
    assert '"name": "a"' in (tmp_path / "fold.json").read_text()


def test_a_damaged_fold_is_one_line_that_names_the_file(tiny: VocDataset, tmp_path: Path):
    path = tmp_path / "fold.json"
    with pytest.raises(InputError, match="not found"):
        read_fold(path)
    write_fold(path, make_fold(tiny.classes, index_of(tiny), Protocol(folds=2, min_area=10), 0))
    whole = path.read_text()
    for damaged in (whole[: len(whole) // 2], whole.replace('"test"', '"tset"'), "[]", ""):
        path.write_text(damaged)
        with pytest.raises(InputError, match=r"fold\.json: is damaged"):
            read_fold(path)


@pytest.mark.parametrize("line", ["x,train,1", "x,test,1,5", "x,val,one,5", "x,val,1,-5"])
def test_a_damaged_index_names_file_and_line(line: str, tmp_path: Path):
    path = tmp_path / "index.csv"
    path.write_text(f"image,split,class_id,area\ny,val,1,5\n{line}\n")
    with pytest.raises(InputError, match=r"index\.csv, line 3"):
        read_index(path)
