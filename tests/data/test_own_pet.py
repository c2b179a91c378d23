"""One's own data in the layout of Oxford-IIIT Pet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.masks import decode
from prosam.data.formats.records import EVERY_CLASS
from prosam.data.sources.own import OwnData, own_records
from prosam.errors import InputError
from tests.data.own_trees import areas, by_split, picture

TRAINVAL = ["Abyssinian_100", "Abyssinian_2", "yorkshire_terrier_1", "yorkshire_terrier_12"]
TEST = ["Abyssinian_7", "Egyptian_Mau_3", "Egyptian_Mau_4", "yorkshire_terrier_5"]
HEIGHT, WIDTH = 20, 30


def read_pets(folder: Path, classes: str = "breed") -> OwnData:
    how = {"val_fraction": 0.5, "seed": 0, "crowd": "class", "trimap_classes": classes}
    return own_records(folder, layout="auto", **how)  # pyright: ignore[reportArgumentType]


def trimap() -> np.ndarray:
    """An object of 4 x 5 px in a border of 1 px."""
    values = np.full((HEIGHT, WIDTH), 2, np.uint8)
    values[2:8, 10:17] = 3
    values[3:7, 11:16] = 1
    return values


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Eight photographs in the published tree, with the files that macOS left in it."""
    root = tmp_path / "pets"
    trimaps = root / "annotations/trimaps"
    trimaps.mkdir(parents=True)
    (root / "images").mkdir()
    for name in TRAINVAL + TEST:
        picture().save(root / f"images/{name}.jpg")
        Image.fromarray(trimap()).save(trimaps / f"{name}.png")
        (trimaps / f"._{name}.png").write_bytes(b"\0\5\26\7")
    ids = {"Abyssinian": "1 1 1", "Egyptian_Mau": "7 1 6", "yorkshire_terrier": "37 2 25"}
    lines = {name: f"{name} {ids[name.rpartition('_')[0]]}\n" for name in TRAINVAL + TEST}
    (root / "annotations/trainval.txt").write_text("".join(lines[name] for name in TRAINVAL))
    (root / "annotations/test.txt").write_text("".join(lines[name] for name in TEST))
    heading = "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\n#SPECIES: 1:Cat 2:Dog\n"
    (root / "annotations/list.txt").write_text(heading + "".join(lines.values()))
    return root


def test_the_object_is_the_mask_and_the_border_is_void(pets: Path):
    data = read_pets(pets)
    assert data.classes == ("Abyssinian", "Egyptian Mau", "yorkshire terrier")
    assert by_split(data) == {"train": TRAINVAL, "val": TEST}
    record = next(record for record in data.records if record.image == "Egyptian_Mau_3")
    assert areas(record) == {2: 4 * 5}
    border = decode(record.void[EVERY_CLASS], HEIGHT, WIDTH)
    assert (border == (trimap() == 3)).all()


def test_classes_may_be_species(pets: Path):
    data = read_pets(pets, "species")
    assert data.classes == ("cat", "dog")
    assert {r.image: next(iter(r.masks)) for r in data.records} == {
        name: 1 if name[0].isupper() else 2 for name in TRAINVAL + TEST
    }


def test_without_the_two_lists_the_whole_list_is_divided_by_chance(pets: Path):
    (pets / "annotations/test.txt").unlink()
    data = read_pets(pets)
    assert sorted(map(len, by_split(data).values())) == [4, 4]


@pytest.mark.parametrize("classes", ["breed", "species"])
def test_without_any_list_names_say_the_class(pets: Path, classes: str):
    expected = {record.image: record.masks for record in read_pets(pets, classes).records}
    for name in ("list", "test", "trainval"):
        (pets / f"annotations/{name}.txt").unlink()
    assert {record.image: record.masks for record in read_pets(pets, classes).records} == expected


def test_other_values_than_a_trimaps_are_refused(pets: Path):
    values = trimap()
    values[0, 0] = 255
    Image.fromarray(values).save(pets / "annotations/trimaps/Abyssinian_2.png")
    with pytest.raises(InputError, match=r"Abyssinian_2\.png: has the value 255; a trimap has 1 \(object\)"):
        read_pets(pets)


def test_a_listed_image_that_is_missing_is_named(pets: Path):
    (pets / "images/Abyssinian_2.jpg").unlink()
    (pets / "annotations/trimaps/Egyptian_Mau_3.png").unlink()
    with pytest.raises(InputError) as caught:
        read_pets(pets)
    assert "images/Abyssinian_2.jpg: not found, but 'Abyssinian_2' is listed" in str(caught.value)
    assert "trimaps/Egyptian_Mau_3.png: not found" in str(caught.value)


def test_a_line_that_is_none_of_a_list_is_shown(pets: Path):
    (pets / "annotations/test.txt").write_text("Abyssinian_7 1\n")
    with pytest.raises(InputError, match="'Abyssinian_7 1' is not of the form name, breed, species"):
        read_pets(pets)
