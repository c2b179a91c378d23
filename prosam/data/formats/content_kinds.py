"""What a file is, by its first bytes, for the message when it is not what its name says."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

HEAD = 4096  # bytes that are enough to tell

_COPY = "replace it with an intact copy"
_CONVERT = "convert it to JPEG or PNG"
_FETCH = "fetch it again"
_UNPACK = "unpack it first"


@dataclass(frozen=True)
class ContentKind:
    """A kind of content.

    Attributes:
        what: with an article, such as `a HEIC photograph`; `empty` for an empty file.
        remedy: what the user can do.
        is_image: whether other programs show it as an image.
        is_common: whether Pillow reads such images, unless they are damaged.
        is_plain: whether it is text that a reader of text may expect, and no page or pointer in the place of a file.
    """

    what: str
    remedy: str
    is_image: bool = False
    is_common: bool = False
    is_plain: bool = False

    def __str__(self) -> str:
        return f"it is {self.what}; {self.remedy}"

    def as_damaged(self) -> ContentKind:
        """The kind of a file that could not be read as an image."""
        return replace(self, what=f"{self.what} {_CUT}") if self.is_common else self


_BRANDS = {  # of ISO base media files, behind `ftyp`
    **dict.fromkeys((b"avif", b"avis"), ContentKind("an AVIF image", _CONVERT, True)),
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
        ContentKind("a HEIC photograph, as iPhones write it", _CONVERT, True),
    ),
    b"crx ": ContentKind("a camera's raw file (Canon CR3)", _CONVERT, True),
    b"jp2 ": ContentKind("a JPEG 2000 image", _CONVERT, True),
    b"jxl ": ContentKind("a JPEG XL image", _CONVERT, True),
}
_VIDEO = ContentKind("a video", "name its frames, or the video itself with a video's suffix")
_HTML = ContentKind("an HTML page, so the download failed", _FETCH)
_CUT = "with a damaged or incomplete header"

_STARTS: tuple[tuple[bytes, ContentKind], ...] = (
    (b"version https://git-lfs.github.com/", ContentKind("a Git LFS pointer", "run `git lfs pull` to get the file")),
    (b"/annex/objects/", ContentKind("a git-annex pointer", "run `git annex get` to get the file")),
    (b"\xff\xd8\xff", ContentKind("a JPEG image", _COPY, True, is_common=True)),
    (b"\x89PNG", ContentKind("a PNG image", _COPY, True, is_common=True)),
    (b"GIF8", ContentKind("a GIF image", _COPY, True, is_common=True)),
    (b"II\x2a\0\x10\0\0\0CR", ContentKind("a camera's raw file (Canon CR2)", _CONVERT, True)),
    (b"FUJIFILMCCD-RAW", ContentKind("a camera's raw file (Fujifilm RAF)", _CONVERT, True)),
    (b"IIU\0", ContentKind("a camera's raw file (Panasonic RW2)", _CONVERT, True)),
    (b"IIRO", ContentKind("a camera's raw file (Olympus ORF)", _CONVERT, True)),
    (b"IIRS", ContentKind("a camera's raw file (Olympus ORF)", _CONVERT, True)),
    (b"\0\0\0\x0cJXL ", ContentKind("a JPEG XL image", _CONVERT, True)),
    (b"\xff\x0a", ContentKind("a JPEG XL image", _CONVERT, True)),
    (b"\0\0\0\x0cjP", ContentKind("a JPEG 2000 image", _CONVERT, True)),
    (b"8BPS", ContentKind("a Photoshop file", _CONVERT, True)),
    (b"%PDF", ContentKind("a PDF", "export its pages as PNG", True)),
    (b"%!PS", ContentKind("PostScript", _CONVERT, True)),
    (b"\x76\x2f\x31\x01", ContentKind("an OpenEXR image", _CONVERT, True)),
    (b"#?RADIANCE", ContentKind("a Radiance HDR image", _CONVERT, True)),
    (b"SIMPLE  =", ContentKind("a FITS image", _CONVERT, True)),
    (b"\x93NUMPY", ContentKind("a NumPy array", "save it as PNG")),
    (b"\x89HDF", ContentKind("an HDF5 file", "export what it holds")),
    (b"SQLite format 3", ContentKind("a SQLite database", _COPY)),
    (b"PK\x03\x04", ContentKind("a zip archive", _UNPACK)),
    (b"PK\x05\x06", ContentKind("an empty zip archive", _FETCH)),
    (b"\x1f\x8b", ContentKind("gzip-compressed", _UNPACK)),
    (b"BZh", ContentKind("bzip2-compressed", _UNPACK)),
    (b"\xfd7zXZ\0", ContentKind("xz-compressed", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", ContentKind("zstd-compressed", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", ContentKind("a 7z archive", _UNPACK)),
    (b"Rar!", ContentKind("a RAR archive", _UNPACK)),
    (b"\x1a\x45\xdf\xa3", _VIDEO),
    (b"\0\0\x01\xba", _VIDEO),
    (b"\x7fELF", ContentKind("a program", _COPY)),
    (b"MZ", ContentKind("a Windows program", _COPY)),
    (b"\0\x05\x16\x07", ContentKind("macOS's data about another file (._ files)", "delete it")),
)


def content_kind(head: bytes) -> ContentKind | None:
    """The kind of a file's content, or None if it is not known.

    Args:
        head: the first bytes of the file, HEAD of them unless it is shorter.
    """
    if not head:
        return ContentKind("empty", _COPY)
    if not head.strip(b"\0"):
        return ContentKind("full of zero bytes, so a copy of it did not finish", _COPY)
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head[:4] == b"RIFF":
        return ContentKind("a WebP image", _COPY, True, is_common=True) if head[8:12] == b"WEBP" else _VIDEO
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if re.match(rb"\x80[\x02-\x05]", head):
        return ContentKind("pickled Python objects", "save what it holds in its own format")
    if head[128:132] == b"DICM":
        return ContentKind("a DICOM file", _CONVERT, True)
    if head[257:262] == b"ustar":
        return ContentKind("a tar archive", _UNPACK)
    return _of_text(head)


def kind_of_file(path: Path) -> ContentKind | None:
    """The kind of a file's content; None also if it cannot be read."""
    try:
        with path.open("rb") as file:
            return content_kind(file.read(HEAD))
    except OSError:
        return None


def kind_instead_of_text(content: bytes) -> ContentKind | None:
    """What a file is that should be text, such as an HTML page or a Git LFS pointer; None if it may be text."""
    kind = content_kind(content[:HEAD])
    return None if kind is None or kind.is_plain or not content else kind


def _of_brands(head: bytes) -> ContentKind:
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, min(len(head), int.from_bytes(head[:4], "big")), 4))]
    if b"avif" in brands or b"avis" in brands:  # an AVIF image may call itself mif1 first
        return _BRANDS[b"avif"]
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), _VIDEO)


def _of_text(head: bytes) -> ContentKind | None:
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or not error.start:  # else the head ends within a letter
            return None
        text = head[: error.start].decode(encoding)
    if re.search(r"[\0-\x08\x0e-\x1a]", text):
        return None
    start = text.lstrip()[:500].lower()
    if re.match(r"<!doctype html|<html|<head|<body", start) or (start.startswith("<?xml") and "<html" in start):
        return _HTML
    if "<svg" in start:
        return ContentKind("an SVG drawing", "export it as PNG", True)
    if start.startswith("<"):
        return ContentKind("XML or HTML text, perhaps a server's error message", _FETCH, is_plain=True)
    if start.startswith(("{", "[")):
        return ContentKind("JSON text, perhaps a server's error message", _FETCH, is_plain=True)
    if "access denied" in start or "not found" in start or "error" in start:
        return ContentKind("text, perhaps a server's error message", _FETCH, is_plain=True)
    return ContentKind("text", _COPY, is_plain=True)


_SAMPLES = {1: "", 2: " signed", 3: " floating-point", 5: " complex", 6: " complex"}


def tiff_kind(content: bytes) -> ContentKind | None:
    """The kind of a TIFF whose pixels Pillow does not read; None if the content is not a TIFF or is damaged."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    if content[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    try:
        directory = ImageFileDirectory_v2(content[: 16 if b"+" in content[:4] else 8])
        file = BytesIO(content)
        file.seek(directory.next)
        directory.load(file)
        bands = int(directory.get(277, 1))
        bits = directory.get(258, (1,))
        form = _SAMPLES.get(directory.get(339, (1,))[0], "")
        width, height = int(directory[256]), int(directory[257])
    except Exception:  # whatever Pillow raises for a damaged directory
        return ContentKind(f"a TIFF {_CUT}", _COPY, True)
    of_bands = "one band" if bands == 1 else f"{bands} bands"
    what = f"a TIFF of {width}x{height} px with {of_bands} of {max(bits)}-bit{form} numbers, which cannot be shown"
    return ContentKind(what, "convert it to 8-bit RGB", True)
