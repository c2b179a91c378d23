"""PASCAL-Part and PACO-Part: crops of objects with their parts, and the folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prosam.data.catalog.source import source_of
from prosam.data.formats.table import TableDataset
from prosam.data.published_lists import read_published_lists
from prosam.errors import InputError
from prosam.params import PacoPartDownload, PascalPartDownload
from prosam.remarks import collecting
from tests.data.coco2017_tree import write_paco_tree
from tests.data.pascal_part_tree import write_pascal_part_tree


def written(source: str, root: Path, out: Path, **settings: object) -> tuple[TableDataset, list[str]]:
    """A data set of parts as the stage download writes it, and what was remarked."""
    section = {"pascal_part": PascalPartDownload, "paco_part": PacoPartDownload}[source]
    out.mkdir(parents=True)
    with collecting() as remarks:
        source_of(source).write(out, source, section(source=source, data_root=root, **settings))  # pyright: ignore
    return TableDataset(out), [what for what, _ in remarks.pairs()]


def test_pascal_part_is_cropped_to_the_objects(tmp_path: Path):
    write_pascal_part_tree(tmp_path / "given")
    data, said = written("pascal_part", tmp_path / "given", tmp_path / "data/raw/pascal-part")
    assert data.classes == (
        "bird+HEAD", "bird+TAIL", "dog+HEAD", "dog+TAIL", "bottle+HEAD", "bottle+TAIL",
        "person+HEAD", "person+TAIL", "aeroplane+HEAD", "bus+HEAD", "bus+TAIL",
    )  # fmt: skip
    for image in (*data.image_ids("train"), *data.image_ids("val")):
        assert data.image(image).shape == (30, 20, 3)
        for class_id, area in data.class_areas(image).items():
            assert area == {"HEAD": 5 * 4, "TAIL": 3 * 3}[data.classes[class_id - 1].split("+")[1]]
            top, left = (2, 2) if data.classes[class_id - 1].endswith("HEAD") else (20, 10)
            assert data.mask(image, class_id)[top, left]
            assert not data.mask(image, class_id)[:top, :].any()
    assert any("there are 4 classes of animals, but 31 were published" in what for what in said)


def test_a_val_image_has_one_crop_of_a_class_at_most(tmp_path: Path):
    write_pascal_part_tree(tmp_path / "given")
    data, _ = written("pascal_part", tmp_path / "given", tmp_path / "data/raw/pascal-part")
    shown = [(image.split("-")[0], class_id) for image in data.image_ids("val") for class_id in data.class_areas(image)]
    assert len(shown) == len(set(shown)) == 3 * len(data.classes)
    tails = {image for image in data.image_ids("val") if 2 in data.class_areas(image)}
    assert all(image.endswith("-1") for image in tails)  # only the second object has one


def test_the_folds_of_pascal_part_are_the_groups(tmp_path: Path):
    write_pascal_part_tree(tmp_path / "given")
    out = tmp_path / "data/raw/pascal-part"
    data, _ = written("pascal_part", tmp_path / "given", out)
    folds = read_published_lists(out).folds
    assert [fold.test for fold in folds] == [data.classes[:4], data.classes[4:6], data.classes[6:8], data.classes[8:]]
    assert all(set(fold.train) == set(data.classes) - set(fold.test) for fold in folds)


@pytest.mark.parametrize("form", ["archive", "", ".gz"])
def test_paco_part_of_each_form(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_paco_tree(tmp_path / "given", form=form)
    out = tmp_path / "data/raw/paco-part"
    data, said = written("paco_part", tmp_path / "given", out, train_crops=1)
    assert data.classes == tuple(f"bottle:{c}" for c in range(1, 9))
    assert len(data.image_ids("train")) == 8
    assert len(data.image_ids("val")) == 16
    for image in data.image_ids("val"):
        (class_id,) = data.class_areas(image)
        assert int(image.split("-")[0]) // 10 == class_id  # images 10c + 2 and 10c + 3 show class c
        first = int(image.split("-")[1]) % 10 == 0
        assert data.image(image).shape == ((30, 20, 3) if first else (30, 40, 3))  # the second box leaves the image
        assert data.class_areas(image) == {class_id: 4 * 4 if first else 2 * 3}
    folds = read_published_lists(out).folds
    assert [fold.test for fold in folds] == [(data.classes[f], data.classes[f + 4]) for f in range(4)]
    assert any("there are 8 categories of parts, but 448 were published" in what for what in said)
    assert any("there are 2 classes to test in fold 0, but 79 were published" in what for what in said)


def test_a_part_on_too_few_val_images_is_not_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_paco_tree(tmp_path / "given", form="")
    path = tmp_path / "given/paco_lvis_v1_val.json"
    content = json.loads(path.read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 12]
    path.write_text(json.dumps(content))
    out = tmp_path / "data/raw/paco-part"
    written("paco_part", tmp_path / "given", out)
    folds = read_published_lists(out).folds
    assert folds[0].test == ("bottle:5",)
    assert "bottle:1" in folds[1].train


def test_pascal_part_says_where_its_annotations_are(tmp_path: Path):
    with pytest.raises(InputError, match=r"has no all_obj_part_to_image\.json .* as the README of https://github"):
        written("pascal_part", tmp_path, tmp_path / "data/raw/pascal-part")


def test_a_damaged_annotation_is_named(tmp_path: Path):
    folder = write_pascal_part_tree(tmp_path / "given")
    path = folder / "Annotations_Part_json_merged_part_classes/2008_000003.json"
    path.write_text('{"object": [{"name": "bird"')
    with pytest.raises(InputError, match=r"2008_000003\.json: is not JSON, or is damaged"):
        written("pascal_part", tmp_path / "given", tmp_path / "data/raw/pascal-part")
    path.write_text('{"object": [{"name": "bird", "parts": [{"name": "HEAD", "mask": [{"size": [50, 70]}]}]}]}')
    with pytest.raises(InputError, match=r"2008_000003\.json: is no annotation of PASCAL-Part"):
        written("pascal_part", tmp_path / "given", tmp_path / "data/raw/again")
