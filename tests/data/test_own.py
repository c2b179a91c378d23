"""One's own data in VOC layout, the exports of CVAT and labelme, and the division into train and val."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.masks import decode
from prosam.data.formats.records import EVERY_CLASS
from prosam.data.formats.table import TableDataset, write_table
from prosam.data.formats.voc import voc_palette
from prosam.data.sources.own import val_side
from prosam.errors import InputError
from tests.data.own_trees import HEIGHT, WIDTH, areas, by_split, picture, read

IDS = [f"photo {i}" for i in range(10)]


def pixels(number: int) -> np.ndarray:
    """(HEIGHT, WIDTH) labels: class 1 + number % 3 at the top, the class after it below, one void pixel."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[: 3 + number] = 1 + number % 3
    labels[-4:, :9] = 1 + (number + 1) % 3
    labels[-1, -1] = 255
    return labels


def save_mask(path: Path, labels: np.ndarray) -> None:
    mask = Image.fromarray(labels)
    mask.putpalette(voc_palette().tobytes())
    mask.save(path)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Ten images in VOC layout, without lists."""
    root = tmp_path / "mine"
    for name in ("JPEGImages", "SegmentationClass"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("cat\ndog\nbird\n")
    for number, image in enumerate(IDS):
        picture().save(root / f"JPEGImages/{image}.jpg")
        save_mask(root / f"SegmentationClass/{image}.png", pixels(number))
    return root


def lists(root: Path, train: Sequence[str], val: Sequence[str]) -> None:
    folder = root / "ImageSets/Segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.txt").write_text("\n".join(train))
    (folder / "val.txt").write_text("\n".join(val))


# VOC layout


def test_masks_of_voc_layout_are_read_pixel_by_pixel(voc: Path):
    data = read(voc)
    assert data.classes == ("cat", "dog", "bird")
    assert sorted(record.image for record in data.records) == IDS
    for record in data.records:
        labels = pixels(IDS.index(record.image))
        assert sorted(record.masks) == sorted(set(labels.ravel().tolist()) - {0, 255})
        for class_id, code in record.masks.items():
            np.testing.assert_array_equal(decode(code, HEIGHT, WIDTH), labels == class_id)
        np.testing.assert_array_equal(decode(record.void[EVERY_CLASS], HEIGHT, WIDTH), labels == 255)
        assert data.sources[record.file] == voc / "JPEGImages" / f"{record.image}.jpg"


def test_lists_decide_the_splits_and_their_order(voc: Path):
    lists(voc, IDS[5:2:-1], IDS[:2])
    assert by_split(read(voc)) == {"train": IDS[5:2:-1], "val": IDS[:2]}


def test_ten_images_make_a_data_set(voc: Path, tmp_path: Path):
    data = read(voc)
    target = tmp_path / "raw"
    (target / "images").mkdir(parents=True)
    for file, source in data.sources.items():
        (target / "images" / file).write_bytes(source.read_bytes())
    write_table(target, data.classes, data.records, images="images")
    table = TableDataset(target)
    assert (len(table.image_ids("train")), len(table.image_ids("val"))) == (6, 4)
    for image in table.image_ids("train"):
        assert table.image(image).shape == (HEIGHT, WIDTH, 3)
        assert table.mask(image, 1).sum() == (pixels(IDS.index(image)) == 1).sum()


KINDS: dict[str, Callable[[Path], object]] = {
    "grey.png": lambda path: picture().convert("L").save(path),
    "sixteen.png": lambda path: Image.fromarray(np.full((HEIGHT, WIDTH), 40_000, np.uint16)).save(path),
    "deep.tiff": lambda path: Image.fromarray(np.full((HEIGHT, WIDTH), 40_000, np.uint16)).save(path),
    "cmyk.JPG": lambda path: picture().convert("CMYK").save(path, format="JPEG"),
    "palette.gif": lambda path: picture().convert("P").save(path),
    "transparent.webp": lambda path: picture().convert("RGBA").save(path),
    "turned.jpeg": lambda path: picture(WIDTH, HEIGHT).save(path, exif=turned()),
}


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    return exif


def test_images_of_every_kind_fit_masks_drawn_on_what_is_shown(voc: Path):
    for name, save in KINDS.items():
        save(voc / "JPEGImages" / name)
        save_mask(voc / f"SegmentationClass/{Path(name).stem}.png", pixels(0))
    records = {str(record.file): record for record in read(voc).records}
    for name in KINDS:
        assert (records[name].height, records[name].width) == (HEIGHT, WIDTH)
        assert areas(records[name]) == {1: 3 * WIDTH, 2: 4 * 9}


def test_grey_masks_hold_class_ids_as_palette_masks_do(voc: Path):
    before = read(voc)
    for number, image in enumerate(IDS):
        Image.fromarray(pixels(number)).save(voc / f"SegmentationClass/{image}.png")
    assert read(voc).records == before.records


def test_masks_in_the_colours_of_cvats_labelmap(voc: Path):
    before = read(voc)
    (voc / "classes.txt").unlink()
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "cat:128,0,0::", "dog:1,2,3::", "bird:250,0,9::"]
    (voc / "labelmap.txt").write_text("\n".join(lines))
    colours = np.zeros((256, 3), np.uint8)
    colours[[1, 2, 3, 255]] = (128, 0, 0), (1, 2, 3), (250, 0, 9), (224, 224, 192)  # the last: VOC's void
    for number, image in enumerate(IDS):
        Image.fromarray(colours[pixels(number)]).save(voc / f"SegmentationClass/{image}.png")
    after = read(voc)
    assert (after.classes, after.records) == (before.classes, before.records)
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(voc / f"SegmentationClass/{IDS[2]}.png")
    with pytest.raises(InputError, match=r"photo 2.png: the colour 7,7,7 is not in labelmap.txt"):
        read(voc)


@pytest.mark.parametrize("folder", ["SegmentationClass", "SegmentationClassPNG"])
def test_labelmes_export_has_names_for_ignored_and_background(voc: Path, folder: str):
    before = read(voc)
    (voc / "classes.txt").rename(voc / "class_names.txt")
    (voc / "class_names.txt").write_text("__ignore__\n_background_\ncat\ndog\nbird\n")
    (voc / "SegmentationClass").rename(voc / folder)
    after = read(voc)
    assert (after.classes, after.records) == (before.classes, before.records)


def test_images_that_show_no_class_are_left_out_and_named(voc: Path):
    (voc / f"SegmentationClass/{IDS[3]}.png").unlink()
    save_mask(voc / f"SegmentationClass/{IDS[5]}.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    save_mask(voc / f"SegmentationClass/{IDS[6]}.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    data = read(voc)
    assert data.unlabelled == [IDS[3], IDS[5], IDS[6]]
    assert len(data.records) == len(data.sources) == 7


JPEG, PNG = f"JPEGImages/{IDS[2]}.jpg", f"SegmentationClass/{IDS[2]}.png"
VOC_DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no image": (JPEG, Path.unlink, "not found, nor with another suffix"),
    "damaged image": (JPEG, lambda path: path.write_bytes(b"no image"), "it is text; replace it"),
    "image cut off": (
        JPEG,
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        "damaged: .*truncated.*; replace it",
    ),
    "image of a kind that is not read": (
        JPEG,
        lambda path: path.rename(path.with_suffix(".heic")),
        "heic: .*convert it",
    ),
    "mask that is no PNG": (
        PNG,
        lambda path: (path.unlink(), picture().save(path.with_suffix(".jpg"))),
        r"2\.jpg: is not a PNG; save masks as PNG",
    ),
    "mask of another name": (
        PNG,
        lambda path: path.rename(path.with_stem(path.stem + "_mask")),
        r"there is a mask .*_mask\.png; add the image, or rename",
    ),
    "damaged mask": (PNG, lambda path: path.write_bytes(path.read_bytes()[:100]), "damaged"),
    "mask of another size": (PNG, lambda path: save_mask(path, np.zeros((9, 8), np.uint8)), "is 8x9 px, .* 30x20 px"),
    "label beyond the classes": (
        PNG,
        lambda path: save_mask(path, np.full((HEIGHT, WIDTH), 4, np.uint8)),
        "label 4 is not a class",
    ),
    "mask in colours": (PNG, lambda path: picture().save(path), "RGB"),
    "two images of one name": (JPEG, lambda path: picture().save(path.with_suffix(".png")), "same name"),
    "no class names": ("classes.txt", Path.unlink, "names of the classes"),
    "empty class names": ("classes.txt", lambda path: path.write_text("\n"), "0 classes"),
    "too many classes": (
        "classes.txt",
        lambda path: path.write_text("\n".join(map(str, range(255)))),
        "255 classes; .*COCO JSON",
    ),
    "class named twice": ("classes.txt", lambda path: path.write_text("a\nb\na"), "'a' twice"),
    "two files of names": ("labelmap.txt", lambda path: path.write_text("a:1,2,3::"), "classes.txt"),
    "names that are no text": ("classes.txt", lambda path: path.write_bytes(b"\xff\xfe\x00"), "UTF-8"),
}


@pytest.mark.parametrize("case", VOC_DAMAGE)
def test_damage_of_voc_layout_is_one_line_that_names_the_file(voc: Path, case: str):
    file, damage, message = VOC_DAMAGE[case]
    damage(voc / file)
    with pytest.raises(InputError, match=message) as caught:
        read(voc)
    assert str((voc / file).with_suffix("")) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hidden_files_are_neither_images_nor_masks(voc: Path):
    before = read(voc)
    (voc / f"JPEGImages/._{IDS[0]}.jpg").write_bytes(b"of macOS")
    (voc / f"SegmentationClass/._{IDS[0]}.png").write_bytes(b"of macOS")
    assert read(voc) == before


def test_a_folder_without_masks_says_where_they_belong(voc: Path):
    for image in IDS:
        (voc / f"SegmentationClass/{image}.png").unlink()
    with pytest.raises(
        InputError, match="SegmentationClass: has no PNG; put a mask with the image's name there for each image"
    ):
        read(voc)


def test_a_mask_drawn_on_the_unturned_image_is_refused(voc: Path):
    picture().save(voc / JPEG, exif=turned())
    with pytest.raises(InputError, match=r"photo 2.png: is 30x20 px, but its image is 20x30 px; .*EXIF"):
        read(voc)


@pytest.mark.parametrize("line", ["cat", "cat:1,2::", "cat:1,2,300::", ":1,2,3::", "cat:a,b,c::"])
def test_a_bad_line_of_a_labelmap_is_quoted(voc: Path, line: str):
    (voc / "classes.txt").unlink()
    (voc / "labelmap.txt").write_text(f"dog:9,9,9::\n{line}\n")
    with pytest.raises(InputError, match=f"labelmap.txt: '{line}' is not of the form"):
        read(voc)


def test_images_that_no_list_names_are_told(voc: Path):
    lists(voc, IDS[:5], IDS[5:8])
    assert read(voc).unlisted == IDS[8:]


def test_cvats_lists_of_subsets_are_taken(voc: Path):
    lists(voc, IDS[:6], IDS[6:])
    folder = voc / "ImageSets/Segmentation"
    (folder / "train.txt").rename(folder / "Train.txt")
    (folder / "val.txt").rename(folder / "Validation.txt")
    (folder / "default.txt").write_text("\n".join(IDS))
    assert by_split(read(voc)) == {"train": IDS[:6], "val": IDS[6:]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_texts_of_windows_are_read(voc: Path, encoding: str):
    lists(voc, IDS[:6], IDS[6:])
    before = read(voc)
    for path in (voc / "classes.txt", *(voc / "ImageSets/Segmentation").iterdir()):
        path.write_bytes("\r\n".join(path.read_text().splitlines()).encode(encoding))
    assert read(voc) == before


@pytest.mark.parametrize(
    "save", [lambda labels: Image.fromarray(labels.astype(np.uint16)), lambda labels: Image.fromarray(labels == 1)]
)
def test_masks_of_16_bit_and_of_1_bit_hold_class_ids(voc: Path, save: Callable[[np.ndarray], Image.Image]):
    labels = (pixels(0) == 1).astype(np.uint8)
    for image in IDS:
        save(labels).save(voc / f"SegmentationClass/{image}.png")
    assert {tuple(areas(record).items()) for record in read(voc).records} == {((1, labels.sum()),)}


def test_a_mask_that_is_a_jpeg_inside_is_called_one(voc: Path):
    Image.fromarray(pixels(0)).save(voc / PNG, "JPEG")
    with pytest.raises(InputError, match=r"2\.png: is a JPEG inside; save masks as PNG"):
        read(voc)


def test_names_in_lists_are_without_suffix(voc: Path):
    lists(voc, [f"{IDS[0]}.jpg", *IDS[1:5]], IDS[5:])
    with pytest.raises(InputError, match=r"ImageSets/Segmentation: a list contains 'photo 0\.jpg'; write 'photo 0'"):
        read(voc)


def test_a_listed_name_that_is_longer_than_any_is_missing_like_any_other(voc: Path):
    lists(voc, ["photo 0", "folder/" * 600 + "x"], ["x" * 300])
    with pytest.raises(InputError, match="not found, nor with another suffix, but it is listed") as caught:
        read(voc)
    assert "x" * 300 in str(caught.value)


def test_lists_must_be_whole_and_disjoint(voc: Path):
    lists(voc, IDS[:3], IDS[2:4])
    with pytest.raises(InputError, match=r"val.txt: lists 'photo 2', which is already listed"):
        read(voc)
    lists(voc, [*IDS[:3], "photo 77"], IDS[3:5])
    with pytest.raises(InputError, match=r"photo 77.jpg: not found"):
        read(voc)
    (voc / "ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(InputError, match=r"train.txt: exists without the other"):
        read(voc)


def test_masks_of_white_on_black_are_explained(voc: Path):
    for image in IDS:
        Image.fromarray(np.uint8(255) * (pixels(0) == 1)).save(voc / f"SegmentationClass/{image}.png")
    with pytest.raises(InputError, match="none of its 10 masks shows a class; 255"):
        read(voc)


# Which layout


def test_a_folder_in_no_layout_says_what_was_looked_for(tmp_path: Path):
    with pytest.raises(InputError, match=r"JPEGImages with SegmentationClass .*train.json"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: not found; put .*JPEGImages"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no JSON file"):
        read(tmp_path, "coco")


def test_a_folder_that_was_unpacked_one_level_too_deep_is_found(voc: Path):
    with pytest.raises(InputError, match="no known layout; its folder mine is: move the content one folder up"):
        read(voc.parent)


# Division


@pytest.mark.parametrize(
    ("images", "fraction", "val"), [(10, 0.4, 4), (100, 0.25, 25), (4, 0.1, 2), (4, 0.9, 2), (10, 0, 2), (10, 1, 8)]
)
def test_val_gets_its_share_but_each_side_two(images: int, fraction: float, val: int):
    assert len(val_side([str(i) for i in range(images)], fraction, 0, Path())) == val


def test_the_division_depends_on_ids_and_seed_alone():
    images = [f"image {i}" for i in range(1000)]
    one = val_side(images, 0.4, 0, Path())
    assert val_side(images[::-1], 0.4, 0, Path()) == one
    other = val_side(images, 0.4, 1, Path())
    assert 100 < len(one - other) < 300  # 240 expected of 400


def test_a_new_image_moves_at_most_one_other():
    images = [f"image {i}" for i in range(200)]
    before = val_side(images, 0.4, 0, Path())
    for new in range(50):
        after = val_side([*images, f"new {new}"], 0.4, 0, Path()) - {f"new {new}"}
        assert len(before ^ after) <= 1


def test_fewer_than_four_images_cannot_be_divided(voc: Path):
    for image in IDS[3:]:
        (voc / f"SegmentationClass/{image}.png").unlink()
    with pytest.raises(InputError, match="only 3 images show a class"):
        read(voc)
    lists(voc, IDS[:2], IDS[2:3])
    assert by_split(read(voc)) == {"train": IDS[:2], "val": IDS[2:3]}
