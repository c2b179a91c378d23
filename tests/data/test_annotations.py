"""Tables of annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prosam.data.annotating import annotate
from prosam.data.annotations import AnnotationRow, Annotations, annotation_rng, write_annotations
from prosam.data.folds import ImageClass, image_classes
from prosam.data.formats.voc import VocDataset
from prosam.errors import InputError
from prosam.params import AnnotationsParams


def a_table(variants: int = 3) -> dict[tuple[str, int, int], np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        (image, class_id, variant): rng.random((11, 7)) < 0.3
        for image in ("x", "y")
        for class_id in (2, 300)
        for variant in range(variants)
    }


def write(path: Path, table: dict[tuple[str, int, int], np.ndarray]) -> Path:
    write_annotations(path, (AnnotationRow.of(drawn, *key) for key, drawn in table.items()))
    return path


def test_a_table_reads_as_it_was_written(tmp_path: Path):
    table = a_table()
    annotations = Annotations(write(tmp_path / "train.parquet", table))
    assert (len(annotations), annotations.variants) == (12, 3)
    for key, drawn in table.items():
        assert np.array_equal(annotations.get(*key), drawn)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path):
    one, two = write(tmp_path / "one", a_table()), write(tmp_path / "two", a_table())
    assert one.read_bytes() == two.read_bytes()


def test_a_table_tells_what_is_annotated_where(tmp_path: Path):
    table = {("y", 2, 0): np.eye(4) > 0, ("x", 2, 0): np.eye(4) > 0, ("x", 7, 0): np.eye(4) > 0}
    annotations = Annotations(write(tmp_path / "test.parquet", table))
    assert [annotations.images(class_id) for class_id in (2, 7, 3)] == [["y", "x"], ["x"], []]
    assert [annotations.classes(image) for image in ("y", "x", "z")] == [[2], [2, 7], []]


@pytest.mark.parametrize("key", [("z", 2, 0), ("x", 3, 0), ("x", 2, 3)])
def test_a_missing_annotation_is_one_line_that_names_file_and_key(key: tuple[str, int, int], tmp_path: Path):
    annotations = Annotations(write(tmp_path / "train.parquet", a_table()))
    with pytest.raises(InputError, match=rf"train\.parquet: .*'{key[0]}', class {key[1]}, variant {key[2]}"):
        annotations.get(*key)


def test_a_truncated_file_is_one_line_that_names_it(tmp_path: Path):
    path = tmp_path / "test.parquet"
    with pytest.raises(InputError, match="not found"):
        Annotations(path)
    whole = write(path, a_table()).read_bytes()
    for share in (0, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"test\.parquet: is truncated or damaged") as caught:
            Annotations(path)
        assert "\n" not in str(caught.value)


def test_no_changed_byte_changes_an_annotation_without_a_word(tmp_path: Path):
    path = tmp_path / "test.parquet"
    whole = write(path, a_table()).read_bytes()
    noticed = 0
    for position in range(0, len(whole), 5):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            annotations = Annotations(path)
            assert all(np.array_equal(annotations.get(*key), drawn) for key, drawn in a_table().items())
        except InputError:
            noticed += 1
    assert noticed > len(whole) / 5 / 4


def test_a_table_that_is_empty_or_lacks_a_variant_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no annotations"):
        Annotations(write(tmp_path / "empty.parquet", {}))
    table = a_table()
    del table["y", 2, 1]
    with pytest.raises(InputError, match="lacks or repeats"):
        Annotations(write(tmp_path / "hole.parquet", table))


def test_each_part_of_an_annotations_name_changes_its_generator():
    names = [
        (0, "point", "train", "x", 1, 0),
        (1, "point", "train", "x", 1, 0),
        (0, "scribble", "train", "x", 1, 0),
        (0, "point", "val", "x", 1, 0),
        (0, "point", "train", "y", 1, 0),
        (0, "point", "train", "x", 2, 0),
        (0, "point", "train", "x", 1, 1),
    ]
    draws = {annotation_rng(*name).random() for name in names}  # pyright: ignore[reportArgumentType]
    assert len(draws) == len(names)


def rows_of(dataset: VocDataset) -> list[ImageClass]:
    return [
        row for split in ("train", "val") for i in dataset.image_ids(split) for row in image_classes(dataset, split, i)
    ]


def test_training_gets_all_variants_and_evaluation_one(tiny: VocDataset):
    rows, settings = rows_of(tiny), AnnotationsParams()
    for row, drawn in zip(rows, annotate(tiny, rows, "point", settings), strict=True):
        assert [a.variant for a in drawn] == (list(range(5)) if row.split == "train" else [0])
        assert all((a.image, a.class_id, a.height, a.width) == (row.image, row.class_id, 16, 16) for a in drawn)


def test_more_images_change_no_other_annotation(tiny: VocDataset):
    rows, settings = rows_of(tiny), AnnotationsParams()
    everything = dict(zip(rows, annotate(tiny, rows, "scribble", settings), strict=True))
    few = rows[3:7]
    assert list(annotate(tiny, few, "scribble", settings)) == [everything[row] for row in few]


def test_a_class_that_the_image_lacks_is_an_error_that_names_the_image(tiny: VocDataset):
    with pytest.raises(InputError, match=r"train_0\.jpg: shows no b"):
        list(annotate(tiny, [ImageClass("train_0", "train", 2, 50)], "mask", AnnotationsParams()))
