"""Files of a folder that look like images and are not read, so that none is missing without a word."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from prosam.data.formats.content_kinds import kind_of_file
from prosam.data.formats.image_files import NOT_ALWAYS_READ
from prosam.remarks import remark

_OTHER_SUFFIXES = (
    *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2", ".srw"),  # of cameras
    *(".dcm", ".exr", ".fits", ".hdr", ".j2k", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".xcf"),
    *NOT_ALWAYS_READ,
)


def remark_other_images(files: Sequence[Path], suffixes: Collection[str]) -> None:
    """Remark images of formats that are not read, images whose names have no suffix, and pipes that are called images.

    Args:
        files: of a folder.
        suffixes: of the files that are read, in lower case.
    """
    for path in files:
        suffix = path.suffix.lower()
        if suffix in suffixes:
            if not path.is_file() and path.exists() and not path.is_dir():
                remark("is a pipe or a device, which is left out", str(path))
        elif suffix in _OTHER_SUFFIXES:
            remark(f"images of the format {suffix} are left out; convert them to JPEG or PNG", str(path))
        elif not suffix and path.is_file() and (kind := kind_of_file(path)) is not None and kind.is_image:
            remark("is an image without a suffix, which is left out; name it .jpg or .png", str(path))
