"""Images of all kinds, read as a person sees them."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from prosam.data.formats import image_files
from prosam.data.formats.image_files import InspectedImage, inspect_images, opened_image, read_image, shown_size
from prosam.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)  # 4 px high and 6 px wide
GREY = RGB[..., 0]
ORIENTATION = 0x0112


def in_grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1)


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    opacity = alpha[..., None] / 255
    return colours * opacity + 255 * (1 - opacity)


def palette_image(transparency: bytes | int | None = None) -> Image.Image:
    """Six colours, a column each."""
    image = Image.fromarray(np.broadcast_to(np.arange(6, dtype=np.uint8), (4, 6)).copy())
    image.putpalette(RGB[0].tobytes())
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def with_alpha(values: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.concatenate([values.reshape(4, 6, -1), alpha[..., None]], axis=-1))


WIDE = np.random.default_rng(1).integers(0, 1 << 16, (4, 6)).astype(np.uint16)
ALPHA = np.random.default_rng(2).integers(0, 256, (4, 6), np.uint8)
ONE_ROW = np.broadcast_to(RGB[0], RGB.shape)
HOLES = np.broadcast_to(np.array([255, 0, 255, 128, 255, 255], np.uint8), (4, 6))
KINDS: dict[str, tuple[Image.Image, str, np.ndarray]] = {
    "RGB": (Image.fromarray(RGB), "png", RGB),
    "grey": (Image.fromarray(GREY), "png", in_grey(GREY)),
    "grey of 16 bit, PNG": (Image.fromarray(WIDE), "png", in_grey(WIDE // 256)),
    "grey of 16 bit, TIFF": (Image.fromarray(WIDE), "tif", in_grey(WIDE // 256)),
    "grey of 16 bit, big-endian": (Image.fromarray(WIDE.astype(">u2")), "tif", in_grey(WIDE // 256)),
    "grey of 16 bit in 32": (Image.fromarray(WIDE.astype(np.int32)), "tif", in_grey(WIDE // 256)),
    "black and white": (Image.fromarray(GREY > 99), "png", in_grey(np.where(GREY > 99, 255, 0))),
    "palette": (palette_image(), "png", ONE_ROW),
    "palette, GIF": (palette_image(), "gif", ONE_ROW),
    "palette with a transparent colour": (
        palette_image(transparency=2),
        "png",
        np.where(np.arange(6)[:, None] == 2, 255, ONE_ROW),
    ),
    "palette with opacities": (palette_image(HOLES[0].tobytes()), "png", over_white(ONE_ROW, HOLES)),
    "RGB with opacity": (with_alpha(RGB, ALPHA), "png", over_white(RGB, ALPHA)),
    "grey with opacity": (with_alpha(GREY, ALPHA), "png", over_white(in_grey(GREY), ALPHA)),
    "CMYK": (Image.fromarray(255 - np.dstack([RGB, np.full((4, 6), 255, np.uint8)]), "CMYK"), "tif", RGB),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_any_kind_becomes_rgb(kind: str, tmp_path: Path):
    image, suffix, expected = KINDS[kind]
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    read = read_image(path)
    assert (read.shape, read.dtype) == ((4, 6, 3), np.uint8)
    np.testing.assert_allclose(read, expected, atol=1.01)  # the blends are rounded
    assert shown_size(path) == (4, 6)


def test_a_cmyk_jpeg_of_adobes_has_the_colours_of_the_rgb_one(tmp_path: Path):
    colour = np.array([200, 100, 30], np.uint8)
    flat = Image.fromarray(np.broadcast_to(colour, (16, 16, 3)).copy())
    flat.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    assert b"Adobe" in (tmp_path / "cmyk.jpg").read_bytes()
    assert np.abs(read_image(tmp_path / "cmyk.jpg").astype(int) - colour).max() <= 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_data_say(suffix: str, orientation: int, tmp_path: Path):
    path = tmp_path / f"image.{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(RGB).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    assert expected.shape[:2] == ((4, 6) if orientation < 5 else (6, 4))
    np.testing.assert_array_equal(read_image(path), expected)
    assert shown_size(path) == expected.shape[:2]


def test_orientation_6_turns_clockwise(tmp_path: Path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(RGB, -1))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_png_may_have_its_exif_data_behind_the_pixels(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    end = chunk(b"IEND", b"")
    content = path.read_bytes().removesuffix(end)
    path.write_bytes(content + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + end)
    np.testing.assert_array_equal(read_image(path), np.rot90(RGB, -1))
    assert shown_size(path) == (6, 4)


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int, tmp_path: Path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_do_not_keep_an_image_from_being_read(tmp_path: Path):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0 this is none")
    assert read_image(tmp_path / "a.jpg").shape == RGB.shape
    assert shown_size(tmp_path / "a.jpg") == (4, 6)


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path):
    frames = [palette_image(), palette_image().rotate(180)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif"), ONE_ROW)


@pytest.mark.parametrize("chunk", [500, 3])
def test_files_are_inspected_in_order_in_one_process_and_in_several(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(image_files, "_CHUNK", chunk)
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    paths = [tmp_path / f"{number}.jpg" for number in range(7)]
    for number, path in enumerate(paths):
        Image.fromarray(np.zeros((10 + number, 5, 3), np.uint8)).save(path, exif=exif if number == 3 else b"")
    sizes = [(10, 5), (11, 5), (12, 5), (5, 13), (14, 5), (15, 5), (16, 5)]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:32] for path in paths]
    assert list(inspect_images(paths)) == [InspectedImage(*s, d) for s, d in zip(sizes, digests, strict=True)]


def save_jpeg(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path, "jpeg")


def cut(path: Path) -> None:
    save_jpeg(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def bomb(path: Path) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


def save(values: np.ndarray) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(values).save(path, "tiff")


WRONG: dict[str, tuple[Callable[[Path], object], str, bool]] = {  # and whether the header tells
    "missing": (lambda path: None, "not found", True),
    "a broken link": (lambda path: path.symlink_to("nowhere"), "is a broken link", True),
    "a folder": (Path.mkdir, "directory", True),
    "empty": (Path.touch, "damaged or empty", True),
    "text": (lambda path: path.write_text("<html>404</html>"), "cannot be read as an image", True),
    "more pixels than memory": (bomb, "scale it down", True),
    "cut short": (cut, "is damaged", False),
    "floating-point numbers": (save(GREY.astype(np.float32)), "floating-point", False),
    "negative numbers": (save(WIDE.astype(np.int32) - 40_000), "32-bit", False),
    "numbers beyond 16 bit": (save(WIDE.astype(np.int32) + 40_000), "32-bit", False),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_read_is_one_line_that_names_the_file(case: str, tmp_path: Path):
    make, message, header_tells = WRONG[case]
    path = tmp_path / "image"
    make(path)
    readers: list[Callable[[Path], object]] = [read_image]
    if header_tells:
        readers += [shown_size, lambda path: list(inspect_images([path]))]
    for read in readers:
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"  # how an iPhone's files begin


def test_a_kind_that_pillow_does_not_read_is_named(tmp_path: Path):
    path = tmp_path / "image.heic"
    path.write_bytes(HEIC)
    with pytest.raises(InputError, match=r"image\.heic: .* \.heic is not a supported format; convert it to JPEG"):
        read_image(path)
    (tmp_path / "image.jpg").write_bytes(HEIC)
    with pytest.raises(InputError, match="is damaged or empty"):
        read_image(tmp_path / "image.jpg")
    Image.fromarray(RGB).save(tmp_path / "image.tif")
    with pytest.raises(InputError, match=r"\.tif is not a supported format"):
        opened_only(tmp_path / "image.tif", "PNG")


def opened_only(path: Path, form: str) -> None:
    with opened_image(path, formats=(form,)):
        pass
