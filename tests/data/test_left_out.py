"""What is left out of own data, or read otherwise than one might expect, is said once with a count."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from prosam.data.formats.label_maps import read_label_map
from prosam.data.other_images import remark_other_images
from prosam.errors import InputError
from prosam.exchange.references import read_references
from prosam.predictor.annotations import Mask
from prosam.predictor.image_folders import images_below
from prosam.remarks import collecting
from tests.data.exports import HEIGHT, OBJECT, WIDTH, picture
from tests.data.own_trees import areas, read

LABELS = OBJECT.astype(np.uint8)


def voc(root: Path, save: Callable[[Path], object], names: tuple[str, ...] = ("0", "1", "2", "3")) -> Path:
    for name in names:
        picture(root / f"JPEGImages/{name}.jpg")
        (root / "SegmentationClass").mkdir(exist_ok=True)
        save(root / f"SegmentationClass/{name}.png")
    (root / "classes.txt").write_text("cat\n")
    return root


def labels(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(values.astype(np.uint8)).save(path)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.ones((HEIGHT, WIDTH)), "a class covers the whole image"),
        (1 - LABELS, "a class covers the whole edge of the image"),
        (LABELS, None),
    ],
    ids=["whole", "inverted", "usual"],
)
def test_masks_of_a_whole_image_or_edge_are_said_with_their_number(
    values: np.ndarray, told: str | None, tmp_path: Path
):
    voc(tmp_path, labels(values))
    with collecting() as remarks:
        assert len(read(tmp_path).records) == 4
    assert [line.partition(";")[0] for line in remarks.lines()] == ([f"4 files: {told}"] if told else [])
    with collecting() as remarks:
        for _, mask in read_references(tmp_path)["cat"]:
            mask.draw(HEIGHT, WIDTH)
    assert [line.startswith("4 files: it covers the whole") for line in remarks.lines()] == ([True] if told else [])


def test_of_masks_with_several_frames_the_first_is_read_and_that_is_said(tmp_path: Path):
    other = [Image.fromarray(LABELS[::-1])]
    voc(tmp_path, lambda path: Image.fromarray(LABELS).save(path, save_all=True, append_images=other))
    with collecting() as remarks:
        assert [areas(record) for record in read(tmp_path).records] == [{1: OBJECT.sum()}] * 4
    assert len(remarks.lines()) == 1
    assert "4 files: has several pages or frames, of which the first is read" in remarks.lines()[0]


@pytest.mark.parametrize("coloured", [False, True])
def test_a_mask_is_turned_as_its_exif_data_say_like_one_of_a_reference(coloured: bool, tmp_path: Path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    values = LABELS[..., None] * np.array([9, 9, 9], np.uint8) if coloured else LABELS
    voc(tmp_path, lambda path: Image.fromarray(values).save(path, exif=exif))
    if coloured:
        (tmp_path / "classes.txt").rename(tmp_path / "labelmap.txt").write_text("cat:9,9,9::\n")
    turned = OBJECT[::-1, ::-1]
    assert np.array_equal(Mask(tmp_path / "SegmentationClass/0.png").draw(HEIGHT, WIDTH), turned)
    [(_, mask), *_] = read_references(tmp_path)["cat"]
    assert np.array_equal(mask.draw(HEIGHT, WIDTH), turned)
    if not coloured:
        assert np.array_equal(read_label_map(tmp_path / "SegmentationClass/0.png") == 1, turned)


def test_a_damaged_mask_in_colours_is_noticed(tmp_path: Path):
    voc(tmp_path, lambda path: Image.fromarray(LABELS[..., None] * np.array([9, 9, 9], np.uint8)).save(path))
    (tmp_path / "classes.txt").rename(tmp_path / "labelmap.txt").write_text("cat:9,9,9::\n")
    path = tmp_path / "SegmentationClass/2.png"
    content = bytearray(path.read_bytes())
    content[content.index(b"IEND") - 6] ^= 1  # in the checksum of the pixels
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"2\.png: is damaged: a checksum is wrong"):
        read(tmp_path)


def test_images_that_are_not_read_are_said_in_own_data_and_in_targets(tmp_path: Path):
    voc(tmp_path, labels(LABELS))
    images = tmp_path / "JPEGImages"
    for name in ("x.CR2", "y.ppm", "notes.txt", "list.json"):
        (images / name).write_bytes(b"II*")
    Image.fromarray(LABELS).save(images / "nosuffix", "PNG")
    (images / "README").write_text("pictures")
    os.mkfifo(images / "pipe.jpg")
    expected = [
        f"{images}/nosuffix: is an image without a suffix, which is left out; name it .jpg or .png",
        f"{images}/pipe.jpg: is a pipe or a device, which is left out",
        f"{images}/x.CR2: images of the format .cr2 are left out; convert them to JPEG or PNG",
        f"{images}/y.ppm: images of the format .ppm are left out; convert them to JPEG or PNG",
    ]
    with collecting() as remarks:
        assert len(images_below(images)) == 4
    assert sorted(remarks.lines()) == expected
    with collecting() as remarks:
        assert len(read(tmp_path).records) == 4
    assert sorted(remarks.lines()) == expected


def test_what_is_read_is_not_called_left_out(tmp_path: Path):
    for name in ("a.heic", "b.JPG", "c.tif"):
        (tmp_path / name).touch()
    with collecting() as remarks:
        remark_other_images(sorted(tmp_path.iterdir()), (".heic", ".jpg", ".tif"))
    assert remarks.lines() == []


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb"], ids=["bytes", "line end"])
def test_names_that_no_list_can_hold_are_refused_at_once(name: bytes, tmp_path: Path):
    voc(tmp_path, labels(LABELS), ("0", "1", "2", os.fsdecode(name), os.fsdecode(name) + "2"))
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    told = str(caught.value)
    assert ": 4 faults:" in told  # two images and two masks
    assert told.count("has a name with a line end, or with bytes that are not UTF-8; rename it") == 4


INSTEAD = {
    "HTML": (b"<!DOCTYPE html><html></html>", "it is an HTML page, so the download failed"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n", "it is a Git LFS pointer"),
    "zip": (b"PK\x03\x04" + b"a" * 30, "it is a zip archive"),
    "pickle": (b"\x80\x04\x95\x00", "it is pickled Python objects"),
    "image": (b"\x89PNG\r\n\x1a\n", "it is a PNG image"),
    "zero byte": (b"cat\ndog\0\n", "holds a zero byte"),
}


@pytest.mark.parametrize("kind", INSTEAD)
@pytest.mark.parametrize("file", ["classes.txt", "labelmap.txt", "ImageSets/Segmentation/train.txt"])
def test_a_list_that_is_something_else_is_called_what_it_is(file: str, kind: str, tmp_path: Path):
    content, told = INSTEAD[kind]
    voc(tmp_path, labels(LABELS))
    if file == "labelmap.txt":
        (tmp_path / "classes.txt").unlink()
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    for name in ("train", "val"):
        (tmp_path / f"ImageSets/Segmentation/{name}.txt").write_text("0\n1\n" if name == "train" else "2\n3\n")
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / file}: ")
    assert told in str(caught.value)


@pytest.mark.parametrize("names", ["error\nnot found\n", "<unk>\ncat\n", "[1]\n{2}\n"])
def test_names_of_classes_may_look_like_something_else(names: str, tmp_path: Path):
    voc(tmp_path, labels(LABELS))
    (tmp_path / "classes.txt").write_text(names)
    assert read(tmp_path).classes == tuple(names.split("\n")[:2])


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for call in (
        lambda: Mask(tmp_path / "pipe").draw(HEIGHT, WIDTH),
        lambda: read_label_map(tmp_path / "pipe"),
        lambda: read_references(tmp_path / "pipe"),
    ):
        with pytest.raises(InputError, match="pipe: is a pipe or a device, not a file; save what it gives"):
            call()
