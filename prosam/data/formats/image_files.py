"""Image files of any format that Pillow reads, as a viewer shows them.

The orientation in a file's EXIF data is applied. All images are converted to 8-bit RGB: 16 bit become 8 as
`prosam.data.formats.deep_pixels` says, and transparent pixels, also of a palette, are placed over white. Of several
pages or frames the first is read, which is remarked. Colour profiles are ignored.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from prosam.data.formats.content_kinds import HEAD, content_kind, tiff_kind
from prosam.data.formats.deep_pixels import deep_colours, eight_bits, uses_little
from prosam.data.formats.png_chunks import check_chunks
from prosam.data.names import check_is_file, existing
from prosam.data.parallel import parallel_map
from prosam.errors import InputError, result_or_error
from prosam.files import lost_cache
from prosam.remarks import remark

warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong is an error here, and the rest does not matter
PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = 1 << 26, 1 << 28  # editors write MBs of text into PNGs

_CHUNK = 500
_DECODED_CHUNK = 50
_DIGEST_LENGTH = 32
_MAX_UINT16 = 2**16 - 1
_PROGRAMS = ("EPS",)
_SUBFILE_TYPE, _NO_PAGE = 254, 1 | 4  # TIFF's tag, and its bits of a reduced image and of a mask
NOT_ALWAYS_READ = (".avif", ".heic", ".heif", ".hif", ".jp2", ".jxl")  # if Pillow lacks the codec
_WHAT_PILLOW_RAISES = (  # for damaged files
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
)
_UPRIGHT = {  # EXIF orientation -> transposition from the stored image to the one shown
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class InspectedImage:
    """What the data set's table stores about an image file.

    Attributes:
        height: of the image as it is shown, px.
        width: of the image as it is shown, px.
        digest: the first 32 hexadecimal digits of the SHA-256 of the file's content.
    """

    height: int
    width: int
    digest: str


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image as it is shown: HWC uint8 RGB in [0, 255].

    Raises:
        InputError: the file is missing, damaged or not an image, or holds floating-point or 32-bit numbers.
    """
    with opened_image(path) as image:
        return as_shown(image, str(path))


def image_of(content: bytes, name: str) -> NDArray[np.uint8]:
    """The image in a file's content, in the form of `read_image`; `name` identifies it in errors.

    Raises:
        InputError: as in `read_image`.
    """
    with opened_image(Path(name), BytesIO(content), name=name) as image:
        return as_shown(image, name)


def as_shown(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """An opened image in the form of `read_image`; `name` identifies it in errors.

    Raises:
        InputError: the image holds floating-point or 32-bit numbers.
    """
    check_chunks(image, name)
    remark_pages(image, name)
    deep = deep_colours(image)
    image.load()
    turn = _UPRIGHT.get(_orientation(image))
    if deep is not None and uses_little(np.asarray(image)[..., :3]):
        colours = deep()
        rgb = Image.fromarray(eight_bits(colours[..., :3], name))
        if image.has_transparency_data:
            rgb.putalpha(Image.fromarray((colours[..., 3] >> 8).astype(np.uint8)))
            rgb = _rgb(rgb, name)
    else:
        rgb = _rgb(image, name)
    return np.array(rgb if turn is None else rgb.transpose(turn))


def turned_upright(image: Image.Image) -> Image.Image:
    """An opened image as it is shown: turned as its EXIF data say, in its own mode."""
    image.load()
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def remark_pages(image: Image.Image, name: str) -> None:
    """Remark that an opened image, not yet decoded, has more pages or frames than the one that is read."""
    if _pages(image) > 1:
        remark("has several pages or frames, of which the first is read", name)


def _pages(image: Image.Image) -> int:
    """How many pages or frames there are to see; previews, masks and what a phone appends to a JPEG do not count."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return 1
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1)
    try:
        count = 0
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            count += not image.tag_v2.get(_SUBFILE_TYPE, 0) & _NO_PAGE  # pyright: ignore[reportAttributeAccessIssue]
            if count > 1:
                break
        return count
    finally:
        image.seek(0)


def shown_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as it is shown, px; usually only the file's first bytes are read.

    Raises:
        InputError: the file is missing, damaged or not an image.
    """
    with opened_image(path) as image:
        return _shown_size(image)


def inspect_images(paths: Sequence[Path]) -> Iterator[InspectedImage]:
    """Yield size and digest of each image, in order. All cores read, each file once, and no image is decoded.

    Raises:
        InputError: a file is missing, damaged or not an image.
    """
    return parallel_map(inspect_image, paths, chunk=_CHUNK)


def inspect_each(paths: Sequence[Path]) -> Iterator[InspectedImage | InputError]:
    """As `inspect_images`, but yield what is wrong with an image instead of raising it."""
    return parallel_map(partial(result_or_error, inspect_image), paths, chunk=_CHUNK)


def inspect_image(path: Path) -> InspectedImage:
    """Size and digest of an image, which is read once and not decoded.

    Raises:
        InputError: the file is missing, damaged or not an image.
    """
    check_is_file(existing(path))
    try:
        content = existing(path).read_bytes()
    except OSError as error:
        raise _unreadable(str(path), error) from error
    with opened_image(path, BytesIO(content)) as image:
        return InspectedImage(*_shown_size(image), file_digest(content))


def file_digest(content: bytes) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]


def damaged_images(paths: Sequence[Path]) -> Iterator[InputError]:
    """Decode images on all cores and discard them; yield what `read_image` says of those that cannot be read."""
    for fault in parallel_map(_fault, paths, chunk=_DECODED_CHUNK):
        if fault is not None:
            yield fault


def _fault(path: Path) -> InputError | None:
    image = result_or_error(read_image, path)
    return image if isinstance(image, InputError) else None


@contextmanager
def opened_image(
    path: Path,
    content: BytesIO | None = None,
    *,
    formats: tuple[str, ...] | None = None,
    name: str | None = None,
) -> Iterator[Image.Image]:
    """An image file open in Pillow; Pillow's errors inside the block become InputErrors.

    Args:
        path: of the file.
        content: of the file, if it has already been read.
        formats: Pillow's names of the accepted formats; None accepts all.
        name: of the file in errors; by default its path. A URL is not a path.

    Raises:
        InputError: the file is missing, damaged or not an image.
    """
    name = str(path) if name is None else name
    with image_errors(name):
        path = path if content else existing(path)
        if content is None:
            check_is_file(path)
        try:
            image = Image.open(path if content is None else content, formats=formats)
        except UnidentifiedImageError as error:
            why = _why_not(path, content, formats)
            raise InputError(f"{name}: cannot be read as an image: {why}") from error
        with image:
            if image.format in _PROGRAMS:  # would be run, by Ghostscript
                raise InputError(f"{name}: cannot be read as an image: it is PostScript; convert it to JPEG or PNG")
            yield image


@contextmanager
def image_errors(name: str) -> Iterator[None]:
    """Turn Pillow's errors for a damaged image, also while decoding one that is already open, into InputErrors.

    Args:
        name: of the image; its path, if it has one.
    """
    try:
        yield
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: has too many pixels to be read; scale it down") from error
    except _WHAT_PILLOW_RAISES as error:
        raise _unreadable(name, error) from error


def _why_not(path: Path, content: BytesIO | None, formats: tuple[str, ...] | None) -> str:
    whole = path.read_bytes() if content is None else content.getvalue()
    kind = tiff_kind(whole) if formats is None else None
    kind = kind or content_kind(whole[:HEAD])
    if (kind is None or kind.is_image) and _is_of_another_kind(path.suffix.lower(), formats):
        return f"{path.suffix} is not a supported format; convert it to JPEG or PNG"
    if kind is None and formats is not None and (form := _format_of(whole)) is not None:
        return f"it is a file of the format {form}, which is not supported; convert it to JPEG or PNG"
    return str(kind.as_damaged() if kind else "it is damaged, or of an unknown format; replace it with an intact copy")


def _format_of(content: bytes) -> str | None:
    try:
        with Image.open(BytesIO(content)) as image:
            return image.format
    except (UnidentifiedImageError, *_WHAT_PILLOW_RAISES):
        return None


def _is_of_another_kind(suffix: str, formats: tuple[str, ...] | None) -> bool:
    """Whether a suffix belongs to an image format that this Pillow cannot read, or that is not accepted here."""
    form = Image.registered_extensions().get(suffix)
    return suffix in NOT_ALWAYS_READ if form is None else formats is not None and form not in formats


def _unreadable(name: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        missing = "is a broken link" if Path(name).is_symlink() else "not found"
        return InputError(f"{name}: {lost_cache(Path(name)) or missing}")
    if isinstance(error, OSError) and error.strerror:
        return InputError(f"{name}: cannot be read ({error.strerror})")
    return InputError(f"{name}: is damaged: {' '.join(str(error).split())}; replace it with an intact copy")


def _shown_size(image: Image.Image) -> tuple[int, int]:
    # Pillow itself turns a TIFF upright when decoding; a PNG may have its EXIF data behind the pixels.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        image.load()
    turned = _orientation(image) >= 5
    return (image.width, image.height) if turned else (image.height, image.width)


def _orientation(image: Image.Image) -> int:
    """From 1 (upright) to 8; 1 if the EXIF data are damaged, since other programs show such images too."""
    if image.format == "TIFF":
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _WHAT_PILLOW_RAISES:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode == "F":
        raise InputError(f"{name}: holds floating-point numbers; convert it to 8 or 16 bit")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > _MAX_UINT16:
            raise InputError(f"{name}: holds 32-bit numbers; convert it to 8 or 16 bit")
        image = Image.fromarray(eight_bits(values, name))
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image.convert("RGB")
