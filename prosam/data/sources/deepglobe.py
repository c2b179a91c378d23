"""DeepGlobe's land cover, cut into tiles and filtered as PATNet does.

    train/<id>_sat.jpg, train/<id>_mask.png

Each of 803 images (2448 x 2448 px) is cut into 6 x 6 tiles. A tile is kept if its mask has two colours or more, each on
more than 4.8% of it; the colour of unknown land counts in this, but is no class.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.data.formats.image_files import inspect_image, read_image
from prosam.data.formats.masks import encode
from prosam.data.formats.records import ImageRecord
from prosam.data.parallel import parallel_map
from prosam.errors import InputError
from prosam.progress import track

IMAGES, TILES = "train", "tiles"
DEEPGLOBE_STATED = {"images": 803}

# in the order of PATNet's folders 1 to 6; RGB, each 0 or 255, so that a colour is a number of three bits
COLOURS = {
    "agriculture": (255, 255, 0),
    "urban": (0, 255, 255),
    "rangeland": (255, 0, 255),
    "forest": (0, 255, 0),
    "water": (0, 0, 255),
    "barren": (255, 255, 255),
}

_SIDE = 6  # tiles
_LEAST = 0.048  # of a tile, that the rarest colour has to cover more than
_HALF = 128  # the data set's authors say that colours are not always pure
_CHUNK = 4
_QUALITY = 95


def deepglobe_images(root: Path) -> list[Path]:
    """The satellite images, by name.

    Raises:
        InputError: there is none, or one has no mask.
    """
    photos = sorted((root / IMAGES).glob("*_sat.jpg"))
    if not photos:
        raise InputError(f"{root / IMAGES}: has no *_sat.jpg")
    for photo in photos:
        if not _mask_of(photo).is_file():
            raise InputError(f"{_mask_of(photo)}: not found; {photo.name} needs it")
    return photos


def tile_records(root: Path, photos: list[Path], name: str) -> Iterator[ImageRecord]:
    """Write the tiles that are kept to `tiles` in the folder, and yield their records, by image, row and column.

    Args:
        root: the folder with the images; the records' files are relative to it.
        photos: of `deepglobe_images`.
        name: of the data set, for the progress bar.

    Raises:
        InputError: an image is damaged, or differs in size from its mask.
    """
    (root / TILES).mkdir(exist_ok=True)
    tiles = parallel_map(partial(_tiles, root), photos, chunk=_CHUNK)
    for of_photo in track(tiles, name, len(photos), "image"):
        yield from of_photo


def colour_numbers(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colour of each pixel as a number from 0 (black) to 7 (white): red counts 4, green 2, blue 1.

    Args:
        mask: (H, W, 3) RGB.
    """
    bright = mask >= _HALF
    return (4 * bright[..., 0] + 2 * bright[..., 1] + bright[..., 2]).astype(np.uint8)


def is_kept(colours: NDArray[np.uint8]) -> bool:
    """Whether a tile, by its colour numbers (H, W), has several colours and none is rare."""
    counts = np.bincount(colours.ravel())
    counts = counts[counts > 0]
    return len(counts) > 1 and bool(counts.min() / colours.size > _LEAST)


def _mask_of(photo: Path) -> Path:
    return photo.with_name(photo.name.replace("_sat.jpg", "_mask.png"))


def _tiles(root: Path, photo: Path) -> list[ImageRecord]:
    pixels, mask = read_image(photo), read_image(_mask_of(photo))
    if pixels.shape != mask.shape:
        raise InputError(f"{_mask_of(photo)}: has another size than {photo.name}")
    colours = colour_numbers(mask)
    height, width = colours.shape
    numbers = [int(colour_numbers(np.array(colour, np.uint8)[None, None])[0, 0]) for colour in COLOURS.values()]
    records = []
    for row in range(_SIDE):
        for column in range(_SIDE):
            rows = slice(row * height // _SIDE, (row + 1) * height // _SIDE)
            columns = slice(column * width // _SIDE, (column + 1) * width // _SIDE)
            tile = colours[rows, columns]
            if not is_kept(tile):
                continue
            image = f"{photo.stem}_{row}{column}"
            file = PurePosixPath(TILES, f"{image}.jpg")
            beside = root / TILES / f".{image}.partial"
            Image.fromarray(pixels[rows, columns]).save(beside, format="JPEG", quality=_QUALITY)
            beside.replace(root / file)
            masks = {i: encode(tile == number) for i, number in enumerate(numbers, start=1) if (tile == number).any()}
            found = inspect_image(root / file)
            records.append(ImageRecord(image, "val", file, found.digest, found.height, found.width, masks))
    return records
