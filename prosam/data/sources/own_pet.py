"""Your own data as Oxford-IIIT Pet has them: a photograph, a trimap, and the class in a list.

    images/<name>.jpg
    annotations/trimaps/<name>.png        1 the object, 2 the background, 3 the border, which is void
    annotations/{trainval,test}.txt       <name> <breed> <species> <number of the breed in the species>
    annotations/list.txt                  the same of all images, if they are not divided

The name of a breed is the name of the image without the number at its end. Species 1 is cat and 2 is dog. Without any
list, all images that have a trimap are taken, and a name in capitals is a cat's, as in Oxford-IIIT Pet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from prosam.data.dataset import Split
from prosam.data.formats.image_files import inspect_each
from prosam.data.formats.label_maps import read_label_map
from prosam.data.formats.masks import encode
from prosam.data.formats.records import EVERY_CLASS, ImageRecord
from prosam.data.names import composed
from prosam.data.parallel import parallel_map
from prosam.data.sources.own_found import OwnImages
from prosam.data.sources.own_labels import read_lines
from prosam.data.sources.own_voc import IMAGE_SUFFIXES
from prosam.data.walking import files_below
from prosam.errors import Faults, InputError, result_or_error

TrimapClasses = Literal["breed", "species"]

_TRIMAPS = Path("annotations/trimaps")
_LISTS: dict[Split, str] = {"train": "trainval.txt", "val": "test.txt"}
_ALL = "list.txt"
_SPECIES = {"1": "cat", "2": "dog"}
_OBJECT, _BACKGROUND, _BORDER = 1, 2, 3
_CHUNK = 50


@dataclass(frozen=True)
class _Job:
    trimap: Path
    class_id: int
    height: int
    width: int


def is_pet_layout(folder: Path) -> bool:
    """Whether a folder has trimaps where Oxford-IIIT Pet has them."""
    return (folder / _TRIMAPS).is_dir()


def read_pet_layout(folder: Path, classes: TrimapClasses, faults: Faults) -> OwnImages:
    """Read a folder in the layout of Oxford-IIIT Pet.

    Args:
        folder: that holds the data.
        classes: whether a class is a `breed` or a `species`.
        faults: receives what is wrong with images and trimaps, which are then left out.

    Raises:
        InputError: see `prosam.data.sources.own.own_records`.
    """
    images = {composed(path.stem): path for path in _files(folder / "images", IMAGE_SUFFIXES)}
    trimaps = {composed(path.stem): path for path in _files(folder / _TRIMAPS, (".png",))}
    lists: list[tuple[Split, Path]] = [(split, folder / "annotations" / name) for split, name in _LISTS.items()]
    divided = all(path.is_file() for _, path in lists)
    entries: dict[str, tuple[Split, str]] = {}  # name -> split and class
    for split, name, its_class in _listed(folder, lists if divided else [], list(trimaps), classes):
        if name in entries:
            faults.add(f"{folder / 'annotations'}: lists {name!r} twice; an image has one split")
        elif name not in images or name not in trimaps:
            missing = folder / "images" / f"{name}.jpg" if name not in images else folder / _TRIMAPS / f"{name}.png"
            faults.add(f"{missing}: not found, but {name!r} is listed")
        else:
            entries[name] = split, its_class
    names = tuple(sorted({its_class for _, its_class in entries.values()}, key=str.lower))
    jobs: dict[str, _Job] = {}
    digests: dict[str, str] = {}
    for name, file in zip(entries, inspect_each([images[name] for name in entries]), strict=True):
        if isinstance(file, InputError):
            faults.add(file)
        else:
            jobs[name] = _Job(trimaps[name], names.index(entries[name][1]) + 1, file.height, file.width)
            digests[name] = file.digest
    records: list[ImageRecord] = []
    sources: dict[PurePosixPath, Path] = {}
    read = parallel_map(partial(result_or_error, _codes), list(jobs.values()), chunk=_CHUNK)
    for (name, job), codes in zip(jobs.items(), read, strict=True):
        if isinstance(codes, InputError):
            faults.add(codes)
            continue
        file = PurePosixPath(name + images[name].suffix)
        records.append(ImageRecord(name, entries[name][0], file, digests[name], job.height, job.width, *codes))
        sources[file] = images[name]
    return OwnImages(names, records, sources, divided, [name for name in images if name not in trimaps])


def _files(place: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not place.is_dir():
        raise InputError(f"{place}: not found; layout pet needs images and {_TRIMAPS}")
    return [path for path in files_below(place) if path.suffix.lower() in suffixes]


def _listed(
    folder: Path, lists: list[tuple[Split, Path]], names: list[str], classes: TrimapClasses
) -> Iterator[tuple[Split, str, str]]:
    """Split, name and class of each image that the lists hold, or that has a trimap if there are no lists."""
    everything = folder / "annotations" / _ALL
    if not lists and not everything.is_file():
        for name in names:
            yield "train", name, _breed(name) if classes == "breed" else _SPECIES["1" if name[:1].isupper() else "2"]
        return
    for split, path in lists or [("train", everything)]:
        for line in read_lines(path):
            if line.startswith("#"):
                continue
            name, *numbers = line.split()
            if len(numbers) < 2 or numbers[1] not in _SPECIES:
                raise InputError(f"{path}: {line!r} is not of the form name, breed, species (1 or 2), number")
            yield split, composed(name), _breed(name) if classes == "breed" else _SPECIES[numbers[1]]


def _breed(name: str) -> str:
    head, _, number = name.rpartition("_")
    return (head if head and number.isdecimal() else name).replace("_", " ")


def _codes(job: _Job) -> tuple[dict[int, str], dict[int, str]]:
    """The mask and the void pixels of a photograph, in the form of `ImageRecord`."""
    values = read_label_map(job.trimap)
    if values.shape != (job.height, job.width):
        size = f"{values.shape[1]}x{values.shape[0]}"
        raise InputError(f"{job.trimap}: is {size} px, but its image is {job.width}x{job.height} px")
    if other := sorted(set(np.unique(values).tolist()) - {_OBJECT, _BACKGROUND, _BORDER}):
        raise InputError(f"{job.trimap}: has the value {other[0]}; a trimap has 1 (object), 2 (background), 3 (border)")
    masks = {job.class_id: encode(values == _OBJECT)} if (values == _OBJECT).any() else {}
    void = {EVERY_CLASS: encode(values == _BORDER)} if (values == _BORDER).any() else {}
    return masks, void
