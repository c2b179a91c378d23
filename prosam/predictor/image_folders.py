"""Folders of images: finding the image files, and reading them ahead of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prosam.data.formats.image_files import NOT_ALWAYS_READ
from prosam.data.other_images import remark_other_images
from prosam.data.parallel import Item
from prosam.data.reading_ahead import read_ahead
from prosam.data.sources.own_voc import IMAGE_SUFFIXES
from prosam.data.walking import files_below
from prosam.errors import InputError, result_or_error
from prosam.predictor.images import load_image

_READERS = 4


def images_below(folder: Path, *, without: Sequence[Path] = (), files: Sequence[Path] | None = None) -> list[Path]:
    """The image files of a folder and of all folders below it, sorted by name, without hidden ones.

    Links to folders are followed; see `files_below`. The files include some that may turn out to be unreadable, such as
    broken links and an iPhone's .heic.

    Args:
        folder: the folder to search.
        without: folders or files to leave out if they lie in the folder.
        files: what `files_below` says of the folder, if it is already known.

    Raises:
        InputError: `folder` is not a folder, or has no images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    left_out = [path.resolve() for path in without if not folder.resolve().is_relative_to(path.resolve())]
    files = _outside(files_below(folder) if files is None else files, left_out)
    suffixes = (*IMAGE_SUFFIXES, *NOT_ALWAYS_READ)
    looked_at = [path for path in files if path.suffix.lower() in suffixes]
    found = [path for path in looked_at if path.is_file() or (path.is_symlink() and not path.exists())]
    remark_other_images(files, suffixes)
    if not found:
        raise InputError(f"{folder}: has no images; image files end with {', '.join(IMAGE_SUFFIXES)}")
    return found


def _outside(files: Sequence[Path], places: Sequence[Path]) -> list[Path]:
    """Files that are in none of several places; each folder is resolved once, since there may be 100,000 files."""
    if not places:
        return list(files)
    kept: list[Path] = []
    real: dict[Path, Path | None] = {}  # of each folder; None if it lies in one of the places
    for path in files:
        if path.parent not in real:
            folder = path.parent.resolve()
            real[path.parent] = None if any(folder.is_relative_to(place) for place in places) else folder
        folder = real[path.parent]
        if folder is not None and folder / path.name not in places:
            kept.append(path)
    return kept


def read_groups(
    items: Sequence[Item],
    size: int,
    on_unreadable: Callable[[Item, InputError], None] | None,
    read: Callable[[Item], NDArray[np.uint8]] = load_image,
) -> Iterator[list[tuple[Item, NDArray[np.uint8]]]]:
    """Yield groups of images in order; images are read ahead.

    Args:
        items: the images, by default their paths.
        size: images a group.
        on_unreadable: called with each image that cannot be read.
        read: reads an image, (H, W, 3) uint8 RGB; InputError says that it cannot be read.

    Raises:
        InputError: some images could not be read, and there is no `on_unreadable`; raised after the last image.
    """
    unreadable: list[InputError] = []
    group: list[tuple[Item, NDArray[np.uint8]]] = []
    with ThreadPoolExecutor(_READERS) as readers:
        found = read_ahead(items, partial(result_or_error, read), 2 * size, readers)
        for item, image in zip(items, found, strict=True):
            if not isinstance(image, InputError):
                group.append((item, image))
            elif on_unreadable is not None:
                on_unreadable(item, image)
            else:
                unreadable.append(image)
            if len(group) == size:
                yield group
                group = []
    if group:
        yield group
    if unreadable:
        raise InputError(f"{len(unreadable)} of {len(items)} images could not be read; the first is {unreadable[0]}")
