"""The images that were dropped on the page, checked and kept in a temporary folder; the oldest are removed first."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.errors import InputError
from prosam.files import is_refused_by_windows
from prosam.web.sent_images import decoded

_KEPT_BYTES = 2**30
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif"}
_NAME_LENGTH, _NAME_BYTES = 80, 160  # file systems allow 255 bytes, and results have longer names


@dataclass(frozen=True)
class KeptImage:
    """An image in the store.

    Attributes:
        id: the first 32 hexadecimal digits of the SHA-256 of its file.
        name: a safe file name, with the suffix of its format.
        path: path of its file.
        height: height as it is shown, px.
        width: width as it is shown, px.
    """

    id: str
    name: str
    path: Path
    height: int
    width: int

    def content(self) -> bytes:
        """The content of its file; InputError if the store has removed it."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError as error:
            raise _gone() from error

    def pixels(self) -> NDArray[np.uint8]:
        """The pixels as they are shown, (H, W, 3) uint8 RGB; InputError if the store has removed the image."""
        return decoded(self.content(), self.name)[0]


class ImageStore:
    """Images in a folder, identified by their content. Several threads may use one."""

    def __init__(self, folder: Path, *, most_bytes: int = _KEPT_BYTES):
        """Begin with an empty store.

        Args:
            folder: folder of the images' files.
            most_bytes: largest size of all files together; beyond it, the images used longest ago are removed.
        """
        self._folder, self._most_bytes = folder, most_bytes
        self._images: OrderedDict[str, KeptImage] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._lock = Lock()

    def add(self, content: bytes, name: str) -> KeptImage:
        """Keep an image file that was sent.

        Args:
            content: content of the file.
            name: the sender's name of the file, for messages and results.

        Raises:
            InputError: the file is not an image in one of `IMAGE_FORMATS`, is damaged, or is too large.
        """
        pixels, form = decoded(content, name)
        digest = hashlib.sha256(content).hexdigest()[:32]
        image = KeptImage(digest, _safe(name, form), self._folder / digest, *pixels.shape[:2])
        with self._lock:
            if digest not in self._images:
                image.path.write_bytes(content)
            self._images[digest] = image
            self._images.move_to_end(digest)
            self._sizes[digest] = len(content)
            while sum(self._sizes.values()) > self._most_bytes and len(self._images) > 1:
                oldest, removed = self._images.popitem(last=False)
                del self._sizes[oldest]
                removed.path.unlink(missing_ok=True)
        return image

    def __getitem__(self, id: str) -> KeptImage:
        """An image by its id; InputError if the store does not have it, or no longer has it."""
        with self._lock:
            if id not in self._images:
                raise _gone()
            self._images.move_to_end(id)
            return self._images[id]


def _gone() -> InputError:
    return InputError("the image is no longer kept by `prosam demo`; drop it again")


def view(pixels: NDArray[np.uint8], most: int) -> bytes:
    """An image as a JPEG for the page, no side longer than `most` px."""
    image = Image.fromarray(pixels)
    image.thumbnail((most, most))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def _safe(name: str, form: str) -> str:
    """A file name that every system takes, for any name that was sent."""
    stem = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).stem
    letters = "".join(sign if _is_safe(sign) else "_" for sign in stem)[:_NAME_LENGTH]
    stem = letters.encode()[:_NAME_BYTES].decode(errors="ignore").strip(" .") or "image"
    return ("_" if is_refused_by_windows(stem) else "") + stem + _SUFFIXES[form]


def _is_safe(sign: str) -> bool:
    # a letter may be followed by marks, such as the vowels of Thai
    return bool(re.match(r"[\w .()+-]", sign)) or unicodedata.category(sign)[0] == "M"
