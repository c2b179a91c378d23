"""The table of a data set, against the masks it was made from."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from prosam.data.dataset import Split
from prosam.data.formats import table
from prosam.data.formats.masks import encode
from prosam.data.formats.records import EVERY_CLASS, ImageRecord
from prosam.data.formats.table import TableDataset, write_table
from prosam.data.formats.voc import VocDataset
from prosam.data.open import open_dataset
from prosam.errors import InputError

CLASSES = ("cat", "dog", "tree", "house")
Masks = dict[int, np.ndarray]


def random_masks(rng: np.random.Generator, size: tuple[int, int], class_ids: list[int]) -> Masks:
    return {class_id: rng.random(size) < rng.uniform(0.2, 0.8) for class_id in class_ids}


def example() -> dict[str, tuple[Split, tuple[int, int], Masks, Masks]]:
    """For each image its split, size, masks, which overlap, and void pixels; not in the order of splits or ids."""
    rng = np.random.default_rng(0)
    plan: dict[str, tuple[Split, list[int], list[int]]] = {
        "z": ("train", [1, 2], []),
        "a, with a comma": ("val", [4], [EVERY_CLASS]),
        "nothing": ("train", [], []),
        "00012": ("val", [3, 1], [3, EVERY_CLASS, 2]),
        'q"ü': ("train", [1, 2, 3, 4], [1]),
        "void alone": ("val", [], [EVERY_CLASS]),
    }
    images = {}
    for image, (split, shown, void) in plan.items():
        size = int(rng.integers(8, 20)), int(rng.integers(8, 20))
        images[image] = split, size, random_masks(rng, size, shown), random_masks(rng, size, void)
    return images


EXAMPLE = example()


def records() -> list[ImageRecord]:
    return [
        ImageRecord(
            image,
            split,
            PurePosixPath("photos") / f"{number}.png",
            f"{number:032x}",
            *size,
            {class_id: encode(mask) for class_id, mask in masks.items()},
            {class_id: encode(mask) for class_id, mask in void.items()},
        )
        for number, (image, (split, size, masks, void)) in enumerate(EXAMPLE.items())
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "raw" / "mine"
    root.mkdir(parents=True)
    write_table(root, CLASSES, records(), images="../../sources/mine")
    return root


def test_what_was_written_is_read(root: Path):
    dataset = TableDataset(root)
    assert dataset.classes == CLASSES
    assert dataset.image_ids("train") == ["z", "nothing", 'q"ü']
    assert dataset.image_ids("val") == ["a, with a comma", "00012", "void alone"]
    for image, (_, size, masks, void) in EXAMPLE.items():
        areas = {class_id: int(masks[class_id].sum()) for class_id in sorted(masks)}
        assert list(dataset.class_areas(image).items()) == list(areas.items())
        nothing = np.zeros(size, bool)
        for class_id in range(1, len(CLASSES) + 1):
            np.testing.assert_array_equal(dataset.mask(image, class_id), masks.get(class_id, nothing))
            expected = void.get(EVERY_CLASS, nothing) | void.get(class_id, nothing)
            np.testing.assert_array_equal(dataset.void(image, class_id), expected)


def test_images_lie_where_the_description_says(root: Path, tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (*EXAMPLE["nothing"][1], 3), np.uint8)
    path = tmp_path / "sources/mine/photos/2.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(path)
    dataset = TableDataset(root)
    assert dataset.image_path("nothing").resolve() == path.resolve()
    np.testing.assert_array_equal(dataset.image("nothing"), pixels)


def test_the_same_records_give_the_same_bytes(root: Path, tmp_path: Path):
    write_table(tmp_path, CLASSES, iter(records()), images="../../sources/mine")
    files = TableDataset(root).label_files()
    assert sorted(files) == sorted(root.iterdir())
    for file in files:
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_table_of_several_batches_reads_the_same(
    root: Path, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(table, "_ROWS_IN_BATCH", rows)
    write_table(tmp_path, CLASSES, records(), images="images")
    assert (tmp_path / "labels.arrow").read_bytes() != (root / "labels.arrow").read_bytes()
    one, several = TableDataset(root), TableDataset(tmp_path)
    for image in EXAMPLE:
        assert one.class_areas(image) == several.class_areas(image)
        for class_id in range(1, len(CLASSES) + 1):
            np.testing.assert_array_equal(one.mask(image, class_id), several.mask(image, class_id))
            np.testing.assert_array_equal(one.void(image, class_id), several.void(image, class_id))


def test_a_table_without_any_mask_can_be_read(tmp_path: Path):
    write_table(tmp_path, CLASSES, [replace(record, masks={}, void={}) for record in records()], images="images")
    dataset = TableDataset(tmp_path)
    assert all(dataset.class_areas(image) == {} for image in EXAMPLE)


def test_a_data_set_can_be_sent_to_another_process(root: Path):
    sent = pickle.loads(pickle.dumps(TableDataset(root)))
    np.testing.assert_array_equal(sent.mask("z", 2), EXAMPLE["z"][2][2])


def test_masks_stay_on_disk_until_they_are_asked_for(tmp_path: Path):
    noise = encode(np.random.default_rng(0).random((500, 500)) < 0.5)
    pages = [
        ImageRecord(str(i), "val" if i else "train", PurePosixPath(f"{i}.jpg"), "0" * 32, 500, 500, {1: noise})
        for i in range(40)
    ]
    write_table(tmp_path, ["noise"], pages, images="images")
    size = (tmp_path / "labels.arrow").stat().st_size
    assert size > 40 * len(noise) > 4_000_000
    before = pa.total_allocated_bytes()
    dataset = TableDataset(tmp_path)
    dataset.mask("7", 1)
    assert pa.total_allocated_bytes() - before < size / 10


def test_a_folder_is_opened_by_what_it_holds(root: Path, write_tiny: Callable[..., Path], tmp_path: Path):
    assert isinstance(open_dataset(root), TableDataset)
    assert isinstance(open_dataset(write_tiny()), VocDataset)
    with pytest.raises(InputError, match="missing: not found; run the download stage first"):
        open_dataset(tmp_path / "missing")


@pytest.mark.parametrize("class_id", [0, 5])
def test_a_class_that_there_is_not_is_refused(root: Path, class_id: int):
    with pytest.raises(ValueError, match="outside 1 to 4"):
        TableDataset(root).mask("z", class_id)


ONE = records()[0]
FULL = encode(np.ones((ONE.height, ONE.width), bool))
TALLER, EMPTY = (encode(np.full((ONE.height + more, ONE.width), value)) for more, value in ((1, True), (0, False)))
WRONG: dict[str, tuple[list[str], list[ImageRecord], str]] = {
    "no class": ([], [], "no classes"),
    "class named twice": (["a", "b", "a"], [], "two classes named 'a'"),
    "no val images": (["a"], [replace(ONE, masks={})], "no val images"),
    "image twice": (["a"], [replace(ONE, masks={}), replace(ONE, masks={}, split="val")], "'z': is listed twice"),
    "class beyond the last": (["a"], [replace(ONE, masks={2: FULL})], "'z': class id 2 is outside 1 to 1"),
    "mask of the background": (["a"], [replace(ONE, masks={0: FULL})], "class id 0 is outside"),
    "void of another class": (["a"], [replace(ONE, masks={}, void={2: FULL})], "class id 2 is outside"),
    "mask of another size": (["a"], [replace(ONE, masks={1: TALLER})], "'z', class id 1: the mask has"),
    "empty mask": (["a"], [replace(ONE, masks={1: EMPTY})], "'z', class id 1: the mask is empty"),
    "mask that is none": (["a"], [replace(ONE, masks={1: "no code"})], "'z', class id 1: a run-length code is damaged"),
    "file elsewhere": (["a"], [replace(ONE, file=PurePosixPath("../a.jpg"))], "not below the folder"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_a_data_set_is_refused_in_one_line(case: str, tmp_path: Path):
    classes, images, message = WRONG[case]
    with pytest.raises(InputError, match=message) as caught:
        write_table(tmp_path, classes, images, images="images")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "dataset.json").exists()


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def edit(**changes: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_labels(**columns: list[object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        labels = pa.ipc.open_file(path.read_bytes()).read_all().to_pydict() | columns
        schema = pa.ipc.open_file(path.read_bytes()).schema
        with pa.ipc.new_file(path, schema) as file:
            file.write_table(pa.table(labels, schema))

    return write


def wrong_offset(path: Path) -> None:
    """The offset of the second code beyond all codes, where Arrow would read without a look."""
    content = bytearray(path.read_bytes())
    codes = pa.ipc.open_file(bytes(content)).read_all()["rle"].chunk(0)
    offsets = np.frombuffer(codes.buffers()[1], np.uint8).tobytes()
    place = bytes(content).index(offsets[:12])
    content[place + 4 : place + 8] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(bytes(content))


NUM_LABELS = sum(len(masks) + len(void) for _, _, masks, void in EXAMPLE.values())
JSON, CSV, ARROW = "dataset.json", "images.csv", "labels.arrow"
DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing images.csv": (CSV, Path.unlink, "not found"),
    "missing labels.arrow": (ARROW, Path.unlink, "not found"),
    "description cut short": (JSON, cut, "damaged"),
    "description without classes": (JSON, edit(classes=None), "damaged"),
    "another format": (JSON, edit(format=2), "format 2, not 1"),
    "images cut short": (CSV, cut, "damaged"),
    "an image less": (CSV, lambda path: path.write_text(path.read_text().rsplit("\n", 2)[0] + "\n"), "damaged"),
    "an image of no split": (CSV, lambda path: path.write_text(path.read_text().replace("val", "test")), "damaged"),
    "an image twice": (CSV, lambda path: path.write_text(path.read_text().replace("nothing", "z")), "damaged"),
    "height that is no number": (CSV, lambda path: path.write_text(path.read_text() + "b,val,b,0,x,9\n"), "damaged"),
    "no height": (CSV, lambda path: path.write_text(re.sub(r",\d+,(\d+)\n", r",,\1\n", path.read_text())), "damaged"),
    "no pixels": (CSV, lambda path: path.write_text(re.sub(r",\d+,(\d+)\n", r",0,\1\n", path.read_text())), "damaged"),
    "missing dataset.json": (JSON, Path.unlink, "not found"),
    "labels of a wrong offset": (ARROW, wrong_offset, "damaged"),
    "labels cut short": (ARROW, cut, "damaged"),
    "labels of another kind": (ARROW, lambda path: pa.ipc.new_file(path, pa.schema([])).close(), "damaged"),
    "labels of more images": (ARROW, replace_labels(image=[99] * NUM_LABELS), "damaged"),
    "labels of more classes": (ARROW, replace_labels(class_id=[5] * NUM_LABELS), "damaged"),
    "unsorted labels": (ARROW, replace_labels(image=[1, *[0] * (NUM_LABELS - 1)]), "damaged"),
    "damaged code": (ARROW, replace_labels(rle=["00"] * NUM_LABELS), "damaged"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_line_that_names_the_file_and_the_remedy(case: str, root: Path):
    file, damage, message = DAMAGE[case]
    damage(root / file)
    with pytest.raises(InputError, match=message) as caught:
        open_dataset(root).mask("z", 1)
    assert str(caught.value).startswith(f"{root / file}: ")
    assert "run `dvc repro --force --glob 'download*@mine'`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_that_is_gone_or_another_says_so(root: Path, tmp_path: Path):
    path = tmp_path / "sources/mine/photos/0.png"
    with pytest.raises(InputError, match=r"0\.png: not found; `python -m tasks\.download mine` fetches it again"):
        TableDataset(root).image("z")
    path.parent.mkdir(parents=True)
    Image.new("RGB", (33, 22)).save(path)
    height, width = EXAMPLE["z"][1]
    with pytest.raises(InputError, match=rf"0\.png: has changed: it is 33x22 px and was {width}x{height} px"):
        TableDataset(root).image("z")
