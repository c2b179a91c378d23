"""Images of all kinds, read as a person sees them."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

from prosam.data.formats import image_files
from prosam.data.formats.image_files import InspectedImage, inspect_images, opened_image, read_image, shown_size
from prosam.errors import InputError
from prosam.remarks import collecting
from tests.data.odd_files import HEIC, NO_IMAGES, ORIENTATION, chunk

RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)  # 4 px high and 6 px wide
GREY = RGB[..., 0]


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
    "empty": (Path.touch, "it is empty; replace it", True),
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


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_a_file_that_is_no_image_is_called_what_it_is(kind: str, tmp_path: Path):
    path = tmp_path / "image.jpg"
    path.write_bytes(NO_IMAGES[kind].content)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert NO_IMAGES[kind].told in str(caught.value)
    assert str(caught.value).startswith(f"{path}: cannot be read as an image: it is ")
    assert "\n" not in str(caught.value)


def test_a_kind_that_pillow_does_not_read_is_named(tmp_path: Path):
    path = tmp_path / "image.heic"
    path.write_bytes(HEIC)
    with pytest.raises(InputError, match=r"image\.heic: .* \.heic is not a supported format; convert it to JPEG"):
        read_image(path)
    path.write_bytes(b"<html>")
    with pytest.raises(InputError, match="HTML page"):
        read_image(path)
    Image.fromarray(RGB).save(tmp_path / "image.tif")
    with pytest.raises(InputError, match=r"\.tif is not a supported format"):
        opened_only(tmp_path / "image.tif", "PNG")
    (tmp_path / "image.tif").rename(tmp_path / "tiff.png")
    with pytest.raises(InputError, match=r"tiff\.png: .* the format TIFF, which is not supported"):
        opened_only(tmp_path / "tiff.png", "PNG")


def opened_only(path: Path, form: str) -> None:
    with opened_image(path, formats=(form,)):
        pass


def tiff(samples: int, bits: int, form: int, size: tuple[int, int] = (5, 4)) -> bytes:
    """A whole little-endian TIFF of zeros."""
    count = size[0] * size[1] * samples * bits // 8
    entries = [
        (256, 3, 1, size[0]), (257, 3, 1, size[1]), (259, 3, 1, 1), (262, 3, 1, 2 if samples > 1 else 1),
        (273, 4, 1, 400), (277, 3, 1, samples), (278, 3, 1, size[1]), (279, 4, 1, count),
    ]  # fmt: skip
    lists = struct.pack(f"<{samples}H", *[bits] * samples), struct.pack(f"<{samples}H", *[form] * samples)
    entries += [(258, 3, samples, 200), (339, 3, samples, 300)]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    head += b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries)) + bytes(4)
    return head.ljust(200, b"\0") + lists[0].ljust(100, b"\0") + lists[1].ljust(100, b"\0") + bytes(count)


@pytest.mark.parametrize(
    ("samples", "bits", "form", "told"),
    [(5, 16, 1, "a TIFF of 5x4 px with 5 bands of 16-bit numbers"), (3, 32, 3, "3 bands of 32-bit floating-point")],
)
def test_a_tiff_that_pillow_cannot_show_is_described(samples: int, bits: int, form: int, told: str, tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(tiff(samples, bits, form))
    with pytest.raises(InputError, match=f"a.tif: .*{told}.*; convert it to 8-bit RGB"):
        read_image(tmp_path / "a.tif")


def read_with_remarks(path: Path) -> tuple[np.ndarray, list[str]]:
    with collecting() as remarks:
        return read_image(path), [what for what, _ in remarks.pairs()]


AS_8 = "its 16-bit numbers are no larger than 255, so they are taken as 8-bit numbers"
STRETCHED = "it uses little of the range of 16 bit, so what it uses is stretched to the whole range"


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("values", "expected", "told"),
    [
        (GREY.astype(np.uint16), GREY, [AS_8]),
        (np.array([[60, 4060], [2060, 1060]], np.uint16), [[0, 255], [128, 64]], [STRETCHED]),  # 12 bit
        (np.array([[7000, 9000], [8000, 7000]], np.uint16), [[0, 255], [128, 0]], [STRETCHED]),  # degrees
        (np.array([[0, 65535], [16384, 256]], np.uint16), [[0, 255], [64, 1]], []),
        (np.full((2, 2), 40_000, np.uint16), [[156, 156], [156, 156]], []),
        (np.zeros((2, 2), np.uint16), [[0, 0], [0, 0]], []),
    ],
)
def test_16_bit_of_which_little_is_used_are_no_black_image(
    values: np.ndarray, expected: np.ndarray, told: list[str], suffix: str, tmp_path: Path
):
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    read, remarks = read_with_remarks(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read, in_grey(np.array(expected)))
    assert remarks == told


def png_of_16_bit(colours: np.ndarray) -> bytes:
    """(H, W, 3 or 4) big-endian, as a PNG."""
    height, width, bands = colours.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[bands], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("bands", [3, 4])
def test_16_bit_colours_of_which_little_is_used_are_no_black_image(bands: int, tmp_path: Path):
    path = tmp_path / "a.png"
    colours = np.concatenate([RGB, np.full((4, 6, 1), 65535)], axis=-1)[..., :bands].astype(np.uint16)
    path.write_bytes(png_of_16_bit(colours))
    read, remarks = read_with_remarks(path)
    np.testing.assert_array_equal(read, RGB)
    assert remarks == [AS_8]
    wide = colours.copy()
    wide[..., :3] *= 257
    path.write_bytes(png_of_16_bit(wide))
    read, remarks = read_with_remarks(path)
    np.testing.assert_array_equal(read, RGB)
    assert remarks == []


@pytest.mark.parametrize(("frames", "told"), [(1, 0), (2, 1)])
@pytest.mark.parametrize("suffix", ["tif", "gif", "webp", "png"])
def test_pages_that_are_not_read_are_remarked(suffix: str, frames: int, told: int, tmp_path: Path):
    pages = [Image.fromarray(np.full((4, 6, 3), 200 * number, np.uint8)) for number in range(frames)]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    read, remarks = read_with_remarks(tmp_path / f"a.{suffix}")
    assert read.max() < 5
    assert remarks == ["has several pages or frames, of which the first is read"] * told


def test_a_preview_is_no_page_and_a_phones_second_image_no_frame(tmp_path: Path):
    image = Image.fromarray(RGB)
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "a.tif"), True) as file:
        image.save(file, format="TIFF")
        file.newFrame()
        image.resize((3, 2)).save(file, format="TIFF", tiffinfo={254: 1})
    image.save(tmp_path / "b.jpg", format="MPO", save_all=True, append_images=[image])
    for name in ("a.tif", "b.jpg"):
        read, remarks = read_with_remarks(tmp_path / name)
        assert (read.shape, remarks) == (RGB.shape, [])


def test_megabytes_of_text_in_a_png_are_no_damage(tmp_path: Path):
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "x" * 3_000_000, zip=True)
    info.add_itxt("b", "x" * 3_000_000, zip=True)
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=info)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


def test_no_warning_of_pillow_reaches_the_screen(tmp_path: Path):
    Image.new("1", (10_000, 9_000)).save(tmp_path / "large.png")  # more than Pillow's 89 megapixels
    line = "import sys; from pathlib import Path; from prosam.data.formats.image_files import shown_size as s; print(s("
    done = subprocess.run(
        [sys.executable, "-c", f"{line}Path(sys.argv[1])))", tmp_path / "large.png"], capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"(9000, 10000)\n", b"")
