"""Image files of odd kinds, and files that are no images: one list for own data, `prosam segment` and the page."""

from __future__ import annotations

import gzip
import pickle
import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, features

RGB = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
PICTURE = Image.fromarray(RGB)
GREY = RGB[..., 0]
ORIENTATION = 0x0112


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """The file of an image."""
    buffer = BytesIO()
    image.copy().save(buffer, form, **options)  # Pillow keeps options of a JPEG, which break a TIFF
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, colours: int, rows: bytes) -> bytes:
    """A whole PNG whose header says what it is told to."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _of_two(form: str) -> bytes:
    return saved(PICTURE, form, save_all=True, append_images=[PICTURE.rotate(180)])


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(PICTURE, "JPEG", exif=exif)


def _with_texts() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "x" * 3_000_000, zip=True)
    return saved(PICTURE, "PNG", pnginfo=info)


def _turned_at_its_end() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    end = chunk(b"IEND", b"")
    return saved(PICTURE, "PNG").removesuffix(end) + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + end


def _zip() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("a.png", saved(PICTURE, "PNG"))
    return buffer.getvalue()


def _wrong_checksum() -> bytes:
    content = bytearray(saved(PICTURE, "PNG"))
    content[content.index(b"IEND") - 6] ^= 1
    return bytes(content)


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"  # how an iPhone's files begin
SIXTEEN = RGB.astype(">u2")
DEEP_ROWS = b"".join(b"\0" + row.tobytes() for row in SIXTEEN)
PALETTE = PICTURE.quantize(8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@dataclass(frozen=True)
class OddFile:
    """A file that a user may have.

    Attributes:
        content: of the file.
        told: what is said if it cannot be read; empty if it can.
        suffix: of its name.
    """

    content: bytes
    told: str = ""
    suffix: str = "jpg"

    @property
    def is_read(self) -> bool:
        """Whether it is an image that ProSAM reads."""
        return not self.told


IMAGES: dict[str, OddFile] = {
    "two images in one, as phones write it": OddFile(_of_two("MPO")),
    "CMYK JPEG": OddFile(saved(PICTURE.convert("CMYK"), "JPEG")),
    "grey JPEG": OddFile(saved(PICTURE.convert("L"), "JPEG")),
    "JPEG with damaged EXIF data": OddFile(saved(PICTURE, "JPEG", exif=b"Exif\0\0II*\0 this is none")),
    "JPEG with something behind it": OddFile(saved(PICTURE, "JPEG") + bytes(1000)),
    "JPEG with a colour profile": OddFile(saved(PICTURE, "JPEG", icc_profile=PROFILE)),
    **{f"EXIF orientation {turn}": OddFile(_turned(turn)) for turn in (0, 3, 6, 8)},
    "EXIF orientation behind the pixels": OddFile(_turned_at_its_end()),
    "PNG called .jpg": OddFile(saved(PICTURE, "PNG")),
    "megabytes of text": OddFile(_with_texts()),
    "1 bit": OddFile(saved(PICTURE.convert("1"), "PNG")),
    "grey with opacity": OddFile(saved(PICTURE.convert("LA"), "PNG")),
    "palette with transparency": OddFile(saved(PALETTE, "PNG", transparency=b"\0\x80\xff")),
    "palette GIF with transparency": OddFile(saved(PALETTE, "GIF", transparency=1)),
    "16 bit, values up to 255": OddFile(saved(Image.fromarray(GREY.astype(np.uint16)), "PNG")),
    "16 bit": OddFile(saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG")),
    "16-bit colours": OddFile(png(16, 12, 16, 2, DEEP_ROWS)),
    "animated GIF": OddFile(_of_two("GIF")),
    "animated WebP": OddFile(_of_two("WEBP")),
    "animated PNG": OddFile(_of_two("PNG")),
    "TIFF of two pages": OddFile(_of_two("TIFF"), suffix="tif"),
    "TIFF called .jpg": OddFile(saved(PICTURE, "TIFF")),
    "icon": OddFile(saved(PICTURE.resize((16, 16)), "ICO"), suffix="png"),
    "BMP": OddFile(saved(PICTURE, "BMP"), suffix="bmp"),
    "one pixel": OddFile(saved(PICTURE.crop((0, 0, 1, 1)), "PNG")),
    "1 x 20000 px": OddFile(saved(Image.fromarray(np.full((20_000, 1, 3), 90, np.uint8)), "PNG")),
    "20000 x 1 px": OddFile(saved(Image.fromarray(np.full((1, 20_000, 3), 90, np.uint8)), "PNG")),
}
if features.check("avif"):
    IMAGES["AVIF"] = OddFile(saved(PICTURE, "AVIF"), suffix="avif")

NO_IMAGES: dict[str, OddFile] = {
    "empty": OddFile(b"", "it is empty; replace it"),
    "HEIC": OddFile(HEIC, "it is a HEIC photograph, as iPhones write it; convert it"),
    "AVIF that is none": OddFile(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "it is an AVIF image"),
    "video": OddFile(b"\0\0\0\x18ftypisom\0\0\2\0isommp41", "it is a video"),
    "HTML": OddFile(b"\n<!DOCTYPE html><html>404</html>", "it is an HTML page, so the download failed; fetch it again"),
    "LFS": OddFile(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "it is a Git LFS pointer; run `git lfs pull`",
    ),
    "pickle": OddFile(pickle.dumps({"a": [1]}), "it is pickled Python objects"),
    "zip": OddFile(_zip(), "it is a zip archive; unpack it first"),
    "gzip": OddFile(gzip.compress(b"a"), "it is gzip-compressed"),
    "PostScript": OddFile(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "it is PostScript; convert it"
    ),
    "PDF": OddFile(b"%PDF-1.7\n", "it is a PDF"),
    "SVG": OddFile(b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "it is an SVG drawing"),
    "JSON": OddFile(b'{"message": "no access"}', "it is JSON text, perhaps a server's error message"),
    "text": OddFile("caf\u00e9".encode(), "it is text; replace it"),
    "zeros": OddFile(bytes(9000), "it is full of zero bytes, so a copy of it did not finish"),
    "header of a PNG": OddFile(b"\x89PNG\r\n\x1a\n\0\0", "it is a PNG image with a damaged or incomplete header"),
    "camera": OddFile(b"FUJIFILMCCD-RAW 0201", "it is a camera's raw file"),
    "noise": OddFile(bytes([7, 251, 3, 200] * 99), "it is damaged, or of an unknown format"),
}

DAMAGED: dict[str, OddFile] = {
    "half a JPEG": OddFile(_half(saved(PICTURE.resize((64, 64)), "JPEG")), "is damaged"),
    "half a PNG": OddFile(_half(saved(PICTURE.resize((64, 64)), "PNG")), "is damaged"),
    "half a GIF": OddFile(_half(saved(PICTURE.resize((64, 64)), "GIF")), "is damaged"),
    "half a WebP": OddFile(_half(saved(PICTURE.resize((64, 64)), "WEBP", lossless=True)), "is damaged"),
    "half a BMP": OddFile(_half(saved(PICTURE.resize((64, 64)), "BMP")), "is damaged"),
    "PNG with a wrong checksum": OddFile(_wrong_checksum(), "is damaged: a checksum is wrong"),
    "PNG of no pixels": OddFile(png(0, 0, 8, 2, b""), "damaged"),
    "PNG of 10 gigapixels": OddFile(png(100_000, 100_000, 8, 2, b"\0"), "scale it down"),
    "floating-point TIFF": OddFile(saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "floating-point"),
    "floating-point TIFF of NaN": OddFile(
        saved(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"), "floating-point"
    ),
    "32-bit TIFF": OddFile(saved(Image.fromarray(GREY.astype(np.int32) - 40_000), "TIFF"), "32-bit"),
}

ODD_FILES = IMAGES | NO_IMAGES | DAMAGED

ODD_NAMES = {  # of files, as a browser sends them
    "script": "<script>alert(1)</script>.png",
    "control characters": "a\x1b[31m\r\n\0\x07b.png",
    "from right to left": "photo\u202egnp.exe.png",
    "decomposed": "Cafe\u0301.png",
    "very long": "long" * 200 + ".png",
    "very long, four bytes a letter": "\U00020000" * 200 + ".png",
    "no name": "",
    "only dots": "....",
    "only a suffix": ".png",
    "a device of Windows": "con.png",
    "another device of Windows": "com1 .png",
    "a path": "../../etc/passwd",
    "a path of Windows": "C:\\Users\\me\\cat.png",
    "one surrogate": "a\ud800b.png",
    "a name of Thai": "\u0e19\u0e49\u0e33.png",
}
