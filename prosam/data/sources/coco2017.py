"""COCO 2017: its archives, and where its images lie; LVIS and PACO annotate them.

They are the images of COCO 2014, divided otherwise and with shorter names, so a folder of COCO 2014 serves as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from prosam.data.sources.published import COCO_TRAIN, COCO_VAL, ArchivePart, kept_file
from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile

SHARED = "coco-2017"
"""The folder in data/sources that the data sets on these images share."""

_ZIPS = "http://images.cocodataset.org/zips/"
TRAIN_2017 = ArchivePart(
    "train2017",
    RemoteFile(
        "train2017.zip", (f"{_ZIPS}train2017.zip",), size=19_336_861_798, md5="cced6f7f71b7629ddf16f17bbcfab6b2"
    ),
    lambda _: True,
)
VAL_2017 = ArchivePart(
    "val2017",
    RemoteFile("val2017.zip", (f"{_ZIPS}val2017.zip",), size=815_585_330, md5="442b8da7639aecaf257c1dceb8ba8c80"),
    lambda _: True,
)
_LVIS = "https://dl.fbaipublicfiles.com/LVIS/"
_PACO = "paco_lvis_v1.zip"


def forms(member: str, archive: str | None = None) -> tuple[str, ...]:
    """Names of the files that hold a JSON file: itself, with gzip, or an archive."""
    return member, f"{member}.gz", archive or f"{member}.zip"


LVIS_TRAIN, LVIS_VAL = (
    ArchivePart(
        f"lvis_v1_{split}.json",
        RemoteFile(f"lvis_v1_{split}.json.zip", (f"{_LVIS}lvis_v1_{split}.json.zip",)),
        lambda _: True,
        growth=0.0,
        forms=forms(f"lvis_v1_{split}.json"),
    )
    for split in ("train", "val")
)
PACO = ArchivePart(
    "paco_lvis_v1_val.json",
    RemoteFile(
        _PACO,
        (f"https://dl.fbaipublicfiles.com/paco/annotations/{_PACO}",),
        sha256="02ac4edb22c251e07853e6231d69aec3fad0a180f03de2f8c880650322debc80",
    ),
    lambda _: True,
    growth=0.0,
    forms=forms("paco_lvis_v1_val.json", _PACO),
)


def image_parts(data_root: Path | None, *, val: bool = True) -> tuple[ArchivePart, ...]:
    """The archives of the images: those of 2017, or those of 2014 if that is what `data_root` holds.

    Args:
        data_root: the user's folder, or None.
        val: whether images of val2017 are needed too.
    """
    newer = (TRAIN_2017, VAL_2017) if val else (TRAIN_2017,)
    if data_root is not None:
        there = {
            part.content
            for part in (*newer, COCO_TRAIN, COCO_VAL)
            if (data_root / part.content).is_dir() or (data_root / part.archive.name).is_file()
        }
        if TRAIN_2017.content not in there and {COCO_TRAIN.content, COCO_VAL.content} <= there:
            return COCO_TRAIN, COCO_VAL
    return newer


def annotations_file(folder: Path, member: str, data_root: Path | None, archive: str | None = None) -> Path:
    """The file that holds a JSON file of annotations.

    Args:
        folder: to look in, and in its folder `annotations`.
        member: the JSON file.
        data_root: likewise, looked in first, or None.
        archive: in which the JSON file is published.

    Raises:
        InputError: there is none.
    """
    names = forms(member, archive)
    found = kept_file(names, folder, data_root)
    if found is None:
        raise InputError(f"{(data_root or folder) / member}: not found, nor {names[1]} or {names[2]}")
    return found


def located_images(root: Path, images: Mapping[int, Mapping[str, Any]]) -> dict[int, PurePosixPath]:
    """The path of each image below a folder.

    Args:
        root: with train2017 and val2017, or train2014 and val2014.
        images: entries by image id, with `file_name` or `coco_url`.

    Raises:
        InputError: an image is missing, or an entry does not say in which folder it is.
    """
    if (root / TRAIN_2017.content).is_dir():
        wanted = {number: _place(number, entry) for number, entry in images.items()}
        there = {folder: _names(root / folder) for folder in sorted({path.parts[0] for path in wanted.values()})}
    else:
        there = {part.content: _names(root / part.content) for part in (COCO_TRAIN, COCO_VAL)}
        wanted = {}
        for number in images:
            named = {folder: f"COCO_{folder}_{number:012}.jpg" for folder in there}
            folder = next((folder for folder, name in named.items() if name in there[folder]), COCO_TRAIN.content)
            wanted[number] = PurePosixPath(folder, named[folder])
    missing = [path for path in wanted.values() if path.name not in there[path.parts[0]]]
    if missing:
        raise InputError(f"{root / missing[0]}: not found, as {len(missing)} of {len(wanted)} annotated images are not")
    return wanted


def _place(number: int, entry: Mapping[str, Any]) -> PurePosixPath:
    """For example train2017/000000000009.jpg: LVIS has it at the end of an address, PACO as the file's name."""
    path = PurePosixPath(str(entry.get("file_name") or entry.get("coco_url") or ""))
    if len(path.parts) < 2 or path.parts[-2] not in (TRAIN_2017.content, VAL_2017.content):
        raise InputError(f"image {number}: neither its file_name nor its coco_url ends in train2017/... or val2017/...")
    return PurePosixPath(*path.parts[-2:])


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}  # one listing instead of 120,000 look-ups
    except OSError as error:
        raise InputError(f"{folder}: not found; it has images of COCO") from error
