"""The checksums of a PNG's chunks: Pillow skips some, and reads a PNG wrong whose last pixels are damaged."""

from __future__ import annotations

import struct
import zlib

from PIL import Image, ImageFile

from prosam.errors import InputError

_HEADER = struct.Struct(">I4s")  # length of the data, and name of the chunk
_CHECK = struct.Struct(">I")
_SIGNATURE_BYTES = 8
_OF_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")


def check_chunks(image: Image.Image, name: str) -> None:
    """Require that what a PNG's pixels depend on has the checksums that the file states; other formats pass.

    Args:
        image: opened, not yet decoded.
        name: identifies it in the error.

    Raises:
        InputError: the file is damaged.
    """
    file = image.fp if isinstance(image, ImageFile.ImageFile) else None
    if image.format != "PNG" or file is None:
        return
    place = file.tell()
    file.seek(_SIGNATURE_BYTES)
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        length, kind = _HEADER.unpack(header)
        data, stated = file.read(length), file.read(_CHECK.size)
        if kind == b"IEND" or len(stated) < _CHECK.size:  # whether pixels are missing, Pillow says
            break
        if not kind.isalpha() or (
            kind in _OF_PIXELS and zlib.crc32(data, zlib.crc32(kind)) != _CHECK.unpack(stated)[0]
        ):
            raise InputError(f"{name}: is damaged: a checksum is wrong; replace it with an intact copy")
    file.seek(place)
