"""Reading and writing VOC layout."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.voc import VocDataset, voc_palette, write_voc
from prosam.errors import InputError
from tests.data.conftest import TRAIN, VAL

# From the development kit's documentation of VOC 2012.
VOC_COLOURS = {
    0: (0, 0, 0),
    1: (128, 0, 0),  # aeroplane
    2: (0, 128, 0),  # bicycle
    3: (128, 128, 0),  # bird
    4: (0, 0, 128),  # boat
    8: (64, 0, 0),  # cat
    15: (192, 128, 128),  # person
    16: (0, 64, 0),  # potted plant
    20: (0, 64, 128),  # tv monitor
    255: (224, 224, 192),  # void
}


@pytest.mark.parametrize(("label", "colour"), VOC_COLOURS.items())
def test_the_palette_has_the_colours_of_pascal_voc(label: int, colour: tuple[int, int, int]):
    assert tuple(voc_palette()[label]) == colour


def test_what_was_written_is_read(tiny: VocDataset):
    assert tiny.classes == ("a", "b", "c", "d", "e", "f")
    assert tiny.image_ids("train") == [f"train_{i}" for i in range(len(TRAIN))]
    assert tiny.image_ids("val") == [f"val_{i}" for i in range(len(VAL))]
    for i, areas in enumerate(TRAIN):
        assert tiny.class_areas(f"train_{i}") == dict(sorted(areas.items()))
    assert np.flatnonzero(tiny.mask("train_3", 5)).tolist() == list(range(60, 90))  # after class 4's 60 px
    assert np.flatnonzero(tiny.void("train_3", 1)).tolist() == [90, 91, 92, 93]
    assert not tiny.mask("train_3", 1).any()


def test_images_are_rgb_and_close_to_what_was_written(tmp_path: Path):
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp, ramp[::-1, None]), axis=-1)
    write_voc(
        tmp_path,
        ["a"],
        {"train": [("x", image, image[..., 0] * 0)], "val": [("y", image, image[..., 0] * 0)]},
    )
    read = VocDataset(tmp_path).image("x")
    assert read.shape == (32, 32, 3)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - image).max() < 12


def test_a_palette_mask_shows_its_class_in_voc_colours(tiny: VocDataset):
    with Image.open(tiny.mask_path("train_0")) as mask:
        assert mask.mode == "P"
        assert mask.convert("RGB").getpixel((0, 0)) == VOC_COLOURS[1]


def test_the_same_content_gives_the_same_bytes(write_tiny: Callable[..., Path], tmp_path: Path):
    one, two = write_tiny(tmp_path / "one"), write_tiny(tmp_path / "two")
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 2 * (len(TRAIN) + len(VAL)) + 3
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_a_data_set_can_be_sent_to_another_process(tiny: VocDataset):
    assert pickle.loads(pickle.dumps(tiny)).class_areas("train_0") == tiny.class_areas("train_0")


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def save_mask(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(labels).save(path)


JPEG, PNG = "JPEGImages/train_0.jpg", "SegmentationClass/train_0.png"
LIST, CLASSES = "ImageSets/Segmentation/val.txt", "classes.txt"
DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing image": (JPEG, Path.unlink, "not found"),
    "JPEG cut to half": (JPEG, lambda path: cut(path, 0.5), "damaged"),
    "JPEG without its last bytes": (JPEG, lambda path: cut(path, 0.99), "damaged"),
    "empty JPEG": (JPEG, lambda path: cut(path, 0), "it is empty; replace it"),
    "missing mask": (PNG, Path.unlink, "not found"),
    "PNG cut to 95 %": (PNG, lambda path: cut(path, 0.95), "damaged"),
    "mask of another size": (PNG, lambda path: save_mask(path, np.zeros((9, 16), np.uint8)), "16x9 px"),
    "label beyond the classes": (
        PNG,
        lambda path: save_mask(path, np.full((16, 16), 7, np.uint8)),
        "label 7",
    ),
    "mask in colours": (PNG, lambda path: save_mask(path, np.zeros((16, 16, 3), np.uint8)), "RGB"),
    "missing list": (LIST, Path.unlink, "not found"),
    "empty list": (LIST, lambda path: path.write_text("\n"), "lists no images"),
    "image listed twice": (LIST, lambda path: path.write_text("val_0\nval_1\nval_0\n"), "'val_0' twice"),
    "image in both splits": (LIST, lambda path: path.write_text("train_3\n"), "train_3"),
    "list that is no text": (LIST, lambda path: path.write_bytes(b"\xff\xfe\x00"), "UTF-8"),
    "missing class names": (CLASSES, Path.unlink, "not found"),
    "no class names": (CLASSES, lambda path: path.write_text(""), "0 classes"),
    "class named twice": (CLASSES, lambda path: path.write_text("a\nb\na\n"), "'a' twice"),
}


def read_everything(root: Path, image: str) -> None:
    dataset = VocDataset(root)
    dataset.image(image)
    dataset.class_areas(image)


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_line_that_names_the_file(case: str, write_tiny: Callable[..., Path]):
    root = write_tiny()
    file, damage, message = DAMAGE[case]
    damage(root / file)
    with pytest.raises(InputError, match=message) as caught:
        read_everything(root, "train_0")
    assert str(root / file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_says_which_stage_makes_it(write_tiny: Callable[..., Path]):
    root = write_tiny()
    shutil.rmtree(root)
    with pytest.raises(InputError, match="download"):
        VocDataset(root)
