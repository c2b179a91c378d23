"""Your own data in VOC layout, as drawn by hand or exported by CVAT and labelme.

JPEGImages/<id>.<suffix>
SegmentationClass/<id>.png              class ids, or the colours of labelmap.txt; 255 is void
classes.txt                             or class_names.txt (labelme), or labelmap.txt (CVAT)
ImageSets/Segmentation/{train,val}.txt  optional
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from prosam.data.dataset import Split
from prosam.data.formats.image_files import inspect_each
from prosam.data.formats.label_maps import check_labels, codes_of, opened_labels, read_label_map
from prosam.data.formats.records import ImageRecord
from prosam.data.names import composed
from prosam.data.other_images import remark_other_images
from prosam.data.parallel import parallel_map
from prosam.data.sources.own_found import OwnImages, files_by_id, image_id
from prosam.data.sources.own_labels import Labels, read_class_labels, read_lines
from prosam.data.walking import files_below
from prosam.errors import Faults, InputError, result_or_error

IMAGES_FOLDER = "JPEGImages"
MASKS = ("SegmentationClass", "SegmentationClassPNG")  # the latter is from older versions of labelme
IMAGE_SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_CHUNK = 50
_SETS = Path("ImageSets/Segmentation")
_LISTS: dict[Split, tuple[str, ...]] = {"train": ("train",), "val": ("val", "valid", "validation")}  # CVAT: Train.txt


@dataclass(frozen=True)
class _Job:
    image: Path
    mask: Path
    height: int
    width: int


def is_voc_layout(folder: Path) -> bool:
    """Whether a folder has subfolders with VOC's names."""
    return any((folder / name).is_dir() for name in (IMAGES_FOLDER, *MASKS))


def read_voc_layout(folder: Path, faults: Faults) -> OwnImages:
    """Read a folder in VOC layout.

    Args:
        folder: that holds the data.
        faults: receives what is wrong with images and masks, which are then left out.

    Raises:
        InputError: see `prosam.data.sources.own.own_records`.
    """
    labels = read_class_labels(folder)
    files = _files(folder, IMAGES_FOLDER)
    pictures = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    images = files_by_id(folder, pictures, [folder / IMAGES_FOLDER], faults)
    masks = _masks(folder, faults)
    remark_other_images([file for file in files if image_id(_inside(file, folder)) not in masks], IMAGE_SUFFIXES)
    splits = _splits(folder, faults)
    ids: dict[str, Split] = dict.fromkeys(masks, "train") if splits is None else splits
    whole: dict[str, Split] = {}
    for image, split in ids.items():
        if image not in images:
            faults.add(_no_image(folder, image, images, masks.get(image)))
        elif image not in masks:
            faults.add(
                f"{folder / MASKS[0] / image}.png: not found, but {image!r} is listed; draw the mask or unlist it"
            )
        else:
            whole[image] = split
    jobs: dict[str, _Job] = {}
    digests: dict[str, str] = {}
    for image, file in zip(whole, inspect_each([images[image] for image in whole]), strict=True):
        if isinstance(file, InputError):
            faults.add(file)
        else:
            jobs[image] = _Job(images[image], masks[image], file.height, file.width)
            digests[image] = file.digest
    records: list[ImageRecord] = []
    sources: dict[PurePosixPath, Path] = {}
    read = parallel_map(partial(result_or_error, partial(_codes, labels)), list(jobs.values()), chunk=_CHUNK)
    for (image, job), codes in zip(jobs.items(), read, strict=True):
        if isinstance(codes, InputError):
            faults.add(codes)
            continue
        file = PurePosixPath(image + job.image.suffix)
        records.append(ImageRecord(image, whole[image], file, digests[image], job.height, job.width, *codes))
        sources[file] = job.image
    without_mask = [image for image in images if image not in masks]
    unlisted = [image for image in images if image in masks and image not in ids]
    return OwnImages(labels.classes, records, sources, splits is not None, without_mask, unlisted)


def _inside(file: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(file.relative_to(folder / IMAGES_FOLDER).as_posix())


def _files(folder: Path, name: str) -> list[Path]:
    if not (folder / name).is_dir():
        raise InputError(f"{folder / name}: not found; layout voc needs {IMAGES_FOLDER} and {MASKS[0]}")
    return [path for path in files_below(folder / name) if not path.is_dir()]


def _masks(folder: Path, faults: Faults) -> dict[str, Path]:
    place = next((name for name in MASKS[::-1] if (folder / name).is_dir()), MASKS[0])
    masks: list[Path] = []
    others = 0
    for path in _files(folder, place):
        if path.suffix.lower() == ".png":
            masks.append(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            others += 1
            faults.add(f"{path}: is not a PNG; save masks as PNG, because JPEG and other formats change the class ids")
    if not masks and not others:
        raise InputError(f"{folder / place}: has no PNG; put a mask with the image's name there for each image")
    return files_by_id(folder, masks, [folder / place], faults)


def _no_image(folder: Path, image: str, images: Mapping[str, Path], mask: Path | None) -> InputError:
    """The error that an image with a mask or in a list is missing, with the likely reason."""
    other = [p for p in _beside(folder / IMAGES_FOLDER / image) if composed(p.stem) == PurePosixPath(image).name]
    if other:  # such as an iPhone's .heic
        return InputError(f"{other[0]}: has an unsupported format; convert it to JPEG or PNG")
    if PurePosixPath(image).stem in images:
        stem = PurePosixPath(image).stem
        return InputError(f"{folder / _SETS}: a list contains {image!r}; write {stem!r}, without the suffix")
    why = f"there is a mask {mask}; add the image, or rename the mask" if mask else "it is listed; add it or unlist it"
    return InputError(f"{folder / IMAGES_FOLDER / image}.jpg: not found, nor with another suffix, but {why}")


def _beside(path: Path) -> list[Path]:
    """What lies in the folder of a path that a list names, which may be longer than any system's."""
    try:
        return list(path.parent.iterdir())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return []
        raise


def _splits(folder: Path, faults: Faults) -> dict[str, Split] | None:
    """The split of each listed image in list order, or None if there are no lists."""
    files = _files(folder, str(_SETS)) if (folder / _SETS).is_dir() else []
    paths: list[tuple[Split, Path]] = [
        (split, path)
        for split, names in _LISTS.items()
        for path in files
        if path.suffix == ".txt" and path.stem.lower() in names
    ]
    if not paths:
        return None
    if {split for split, _ in paths} != set(_LISTS):
        raise InputError(f"{paths[0][1]}: exists without the other one of train.txt and val.txt; write both or neither")
    splits: dict[str, Split] = {}
    for split, path in paths:
        lines = read_lines(path)
        if not lines:
            raise InputError(f"{path}: lists no images")
        for image in map(composed, lines):
            if image in splits:
                faults.add(f"{path}: lists {image!r}, which is already listed; an image has one split")
            splits.setdefault(image, split)
    return splits


def _codes(labels: Labels, job: _Job) -> tuple[dict[int, str], dict[int, str]]:
    """The masks and void pixels of an image, in the form of `ImageRecord`."""
    ids = _class_ids(labels, job.mask)
    if ids.shape != (job.height, job.width):
        size = f"{ids.shape[1]}x{ids.shape[0]}"
        message = f"{job.mask}: is {size} px, but its image is {job.width}x{job.height} px"
        if ids.shape == (job.width, job.height):
            message += "; the mask fits the image without its EXIF rotation: rotate the mask"
        raise InputError(message)
    return codes_of(ids)


def _class_ids(labels: Labels, path: Path) -> NDArray[np.uint8]:
    """The class id of each pixel, 0 or VOID included: (H, W)."""
    if labels.colours is None:
        values = read_label_map(path)
        check_labels(values, len(labels.classes), path)
        return values
    with opened_labels(path) as image:
        pixels = np.array(image.convert("RGB")).astype(np.uint32)
    packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    values, inverse = np.unique(packed, return_inverse=True)
    ids = np.zeros(len(values), np.uint8)
    for i, value in enumerate(values.tolist()):
        colour = value >> 16, value >> 8 & 255, value & 255
        if colour not in labels.colours:
            raise InputError(f"{path}: the colour {','.join(map(str, colour))} is not in {labels.path.name}")
        ids[i] = labels.colours[colour]
    return ids[inverse].reshape(packed.shape)
