"""Images with one grey mask each, for one class each: the form of FSS-1000, PerSeg, ISIC and the lungs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.dataset import Split
from prosam.data.formats.image_files import inspect_image, opened_image
from prosam.data.formats.masks import encode
from prosam.data.formats.png_chunks import check_chunks
from prosam.data.formats.records import ImageRecord
from prosam.data.parallel import parallel_map
from prosam.errors import InputError
from prosam.progress import track
from prosam.remarks import remark

HALF = 128  # grey values from here on are foreground in the code of HSNet and PATNet
ANY = 1  # and in PerSAM's

_CHUNK = 64
OTHER_SIZE = "the mask has another size than its image, so it is resized to it by nearest neighbour"
NO_OBJECT = "the mask is empty, so the image is in no episode"


@dataclass(frozen=True)
class MaskPair:
    """An image and its mask.

    Attributes:
        image: id.
        split: train or val.
        photo: path of the image.
        mask: path of the mask.
        class_id: of what the mask shows.
    """

    image: str
    split: Split
    photo: Path
    mask: Path
    class_id: int


def pair_records(root: Path, pairs: Sequence[MaskPair], *, foreground: int, name: str) -> Iterator[ImageRecord]:
    """Yield the record of each pair, in order; the files are read on all cores, a few at a time.

    Args:
        root: folder of the images; the records' files are relative to it.
        pairs: in the order of the table.
        foreground: least grey value of the object.
        name: of the data set, for the progress bar.

    Raises:
        InputError: a file is missing or damaged. The presence of all is checked at once, the content as it is read.
    """
    if missing := [path for pair in pairs for path in (pair.photo, pair.mask) if not path.is_file()]:
        others = f", nor are {len(missing) - 1} other files" if len(missing) > 1 else ""
        raise InputError(f"{missing[0]}: not found{others}")
    records = parallel_map(partial(_record, root, foreground), pairs, chunk=_CHUNK)
    return track(records, name, len(pairs), "image")


def _record(root: Path, foreground: int, pair: MaskPair) -> ImageRecord:
    photo, grey = inspect_image(pair.photo), read_grey(pair.mask)
    if grey.shape != (photo.height, photo.width):
        remark(OTHER_SIZE, str(pair.mask))
        resized = Image.fromarray(grey).resize((photo.width, photo.height), Image.Resampling.NEAREST)
        grey = np.asarray(resized)
    mask = grey >= foreground
    if not mask.any():
        remark(NO_OBJECT, str(pair.mask))
    masks = {pair.class_id: encode(mask)} if mask.any() else {}
    file = PurePosixPath(pair.photo.relative_to(root))
    return ImageRecord(pair.image, pair.split, file, photo.digest, photo.height, photo.width, masks)


def read_grey(path: Path) -> NDArray[np.uint8]:
    """An image as 8-bit grey values, (H, W), by Pillow's conversion to "L"; the field's code reads masks this way.

    Raises:
        InputError: the file is missing or damaged.
    """
    with opened_image(path) as image:
        check_chunks(image, str(path))
        return np.array(image.convert("L"))
