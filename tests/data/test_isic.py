"""ISIC 2018: lesions of the classes that PATNet's table names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prosam.data.formats.masks import decode
from prosam.errors import InputError
from tests.data.benchmark_trees import box, read_benchmark, write_isic_tree

CLASSES = {"ISIC_0000003": "nevus", "ISIC_0000001": "melanoma", "ISIC_0000002": "nevus", "ISIC_0000004": "keratosis"}


def test_images_are_sorted_by_class_and_id_and_may_lie_in_folders(tmp_path: Path):
    write_isic_tree(tmp_path, CLASSES)
    images = tmp_path / "ISIC2018_Task1-2_Training_Input"
    (images / "1").mkdir()
    (images / "ISIC_0000001.jpg").rename(images / "1/ISIC_0000001.jpg")
    found = read_benchmark("isic", "isic-2018", tmp_path)
    records = list(found.records)
    assert found.classes == ("keratosis", "melanoma", "nevus")
    assert [record.image[-1] for record in records] == ["4", "1", "2", "3"]
    assert all(record.split == "val" for record in records)
    assert str(records[1].file) == "ISIC2018_Task1-2_Training_Input/1/ISIC_0000001.jpg"
    assert np.array_equal(decode(records[1].masks[2], 64, 80), box(64, 80, 1))


def test_images_without_a_class_are_left_out_and_classes_without_an_image_refused(tmp_path: Path):
    write_isic_tree(tmp_path, CLASSES)
    table = tmp_path / "class_id.csv"
    table.write_text("ID,Class\nISIC_0000003,nevus\n")
    assert [record.image for record in read_benchmark("isic", "isic-2018", tmp_path).records] == ["ISIC_0000003"]
    table.write_text("ID,Class\nISIC_0000009,nevus\n")
    with pytest.raises(InputError, match=r"lacks 1 images that class_id\.csv names, ISIC_0000009 first"):
        read_benchmark("isic", "isic-2018", tmp_path)


@pytest.mark.parametrize("content", ["image,label\nx,y\n", "ID,Class\n", "ID,Class\nISIC_0000001\n"])
def test_another_table_is_refused(tmp_path: Path, content: str):
    write_isic_tree(tmp_path, CLASSES)
    (tmp_path / "class_id.csv").write_text(content)
    with pytest.raises(InputError, match=r"class_id\.csv"):
        read_benchmark("isic", "isic-2018", tmp_path)


def test_a_mask_of_another_size_is_resized_by_nearest_neighbour(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    write_isic_tree(tmp_path, {"ISIC_0000001": "nevus"})
    mask = tmp_path / "ISIC2018_Task1_Training_GroundTruth/ISIC_0000001_segmentation.png"
    from PIL import Image

    small = np.zeros((32, 40), np.uint8)
    small[8:16, 10:20] = 255
    Image.fromarray(small).save(mask)
    (record,) = read_benchmark("isic", "isic-2018", tmp_path).records
    expected = np.kron(small > 0, np.ones((2, 2), bool))
    assert np.array_equal(decode(record.masks[1], 64, 80), expected)
    assert any("another size" in str(warning.message) for warning in recwarn)
