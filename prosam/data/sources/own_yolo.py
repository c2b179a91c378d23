"""Your own data as ultralytics' YOLO for segmentation, which CVAT, Roboflow and Label Studio export too.

    data.yaml                                   names of the classes, and where the images of train and val are
    images/{train,val}/<id>.<suffix>            or train/images and valid/images, as Roboflow has them
    labels/{train,val}/<id>.txt                 see prosam/data/sources/yolo_labels.py

Without a data.yaml, classes.txt names the classes, and the folder of each image says whether it is for training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from prosam.data.dataset import Split
from prosam.data.formats.image_files import inspect_each
from prosam.data.formats.records import ImageRecord
from prosam.data.sources.own_found import OwnImages, files_by_id
from prosam.data.sources.own_labels import read_lines
from prosam.data.sources.own_voc import IMAGE_SUFFIXES
from prosam.data.sources.yolo_labels import label_file, outlined_masks, read_outlines
from prosam.data.walking import files_below
from prosam.errors import Faults, InputError
from prosam.remarks import remark

_KEYS: dict[Split, tuple[str, ...]] = {"train": ("train",), "val": ("val", "valid", "validation")}
_CLASSES = "classes.txt"
_LABELS = ("labels", "train/labels")
_NAMED = 3


@dataclass(frozen=True)
class _Described:
    """Which classes and images there are.

    Attributes:
        path: of the file that names the classes.
        classes: their names, in the order of their numbers.
        images: of each split; only train if the folder does not divide them.
    """

    path: Path
    classes: tuple[str, ...]
    images: dict[Split, list[Path]]


def is_yolo_layout(folder: Path) -> bool:
    """Whether a folder has label files of YOLO."""
    return any(next((folder / name).rglob("*.txt"), None) is not None for name in _LABELS if (folder / name).is_dir())


def read_yolo_layout(folder: Path, faults: Faults) -> OwnImages:
    """Read a folder in YOLO's layout. Classes without an object are no classes.

    Args:
        folder: that holds the data.
        faults: receives what is wrong with images and labels, which are then left out.

    Raises:
        InputError: see `prosam.data.sources.own.own_records`.
    """
    described = _described(folder)
    split_of: dict[Path, Split] = {}
    for split, images in described.images.items():
        for image in images:
            if split_of.setdefault(image, split) != split:
                faults.add(f"{image}: is both for training and for validation; an image has one split")
    names = files_by_id(folder, list(split_of), _image_folders(folder, split_of), faults)
    paths = list(names.values())
    records: list[ImageRecord] = []
    for name, path, file in zip(names, paths, inspect_each(paths), strict=True):
        if isinstance(file, InputError):
            faults.add(file)
            continue
        labels = folder / label_file(PurePosixPath(path.relative_to(folder).as_posix()))
        with faults.collected():
            outlines = read_outlines(labels, len(described.classes)) if labels.is_file() else []
            masks = outlined_masks(labels, outlines, file.height, file.width)
            below = PurePosixPath(name + path.suffix)
            records.append(ImageRecord(name, split_of[path], below, file.digest, file.height, file.width, masks))
    classes, records = _of_used_classes(described, records)
    sources = {record.file: names[record.image] for record in records}
    return OwnImages(classes, records, sources, len(described.images) == 2, [])


def _described(folder: Path) -> _Described:
    files = [path for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if not path.name.startswith(".")]
    files = [path for path in files if path.name.startswith("data.")] or files
    if len(files) > 1:
        raise InputError(f"{files[1]}: names classes, but {files[0].name} does too; call one of them data.yaml")
    if files:
        return _from_yaml(folder, files[0])
    path = folder / _CLASSES
    if not path.is_file():
        raise InputError(f"{folder / 'data.yaml'}: not found, nor {_CLASSES}; one of them has to name the classes")
    images: dict[Split, list[Path]] = {}
    for split, keys in _KEYS.items():
        images[split] = [image for key in keys for image in _images_in(folder / "images" / key)]
    if not all(images.values()):
        images = {"train": _images_in(folder / "images")}
    if not images["train"]:
        raise InputError(f"{folder / 'images'}: has no images; labels has their outlines")
    return _Described(path, _checked(path, read_lines(path)), images)


def _from_yaml(folder: Path, path: Path) -> _Described:
    from ruamel.yaml import YAML, YAMLError

    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InputError(f"{path}: is not YAML, or is damaged: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or "names" not in content:
        raise InputError(f"{path}: has no 'names'; it has to name the classes, as ultralytics' data.yaml does")
    images: dict[Split, list[Path]] = {}
    for split, keys in _KEYS.items():
        entries = next((content[key] for key in keys if content.get(key)), None)
        if entries is not None:
            listed = entries if isinstance(entries, list) else [entries]
            images[split] = [image for entry in listed for image in _entry(folder, path, split, content, entry)]
    if not images.get("train"):
        raise InputError(f"{path}: 'train' names no images")
    if content.get("test"):
        remark("its images for 'test' are neither for training nor for validation, so they are left out", str(path))
    if images.get("val", images["train"]) == images["train"]:
        images = {"train": images["train"]}  # one folder for both, as in ultralytics' small examples
    return _Described(path, _checked(path, content["names"]), images)


def _checked(path: Path, names: Any) -> tuple[str, ...]:
    """The names of the classes: a list, or a mapping from their numbers."""
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise InputError(f"{path}: the numbers in 'names' have to be 0 to {len(names) - 1}")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f"{path}: names no classes")
    classes = tuple(str(name).strip() for name in names)
    for place, name in enumerate(classes):
        if not name or name in classes[:place]:
            raise InputError(f"{path}: " + (f"names {name!r} twice" if name else f"class {place} has no name"))
    return classes


def _entry(folder: Path, path: Path, split: Split, content: Mapping[str, Any], entry: object) -> list[Path]:
    """The images of a folder, or of a list of paths, that data.yaml names."""
    name = str(entry).replace("\\", "/")
    bases = [folder, folder / str(content.get("path") or "")]
    tries = [base / other for base in bases for other in (name, name.removeprefix("../"))]
    place = next((place for place in tries if place.exists()), None)
    if place is None:
        raise InputError(f"{path}: '{split}' names {name!r}, which is not below {folder}; write a path from there")
    if place.is_dir():
        return [_below(folder, path, image) for image in _images_in(place)]
    return [_below(folder, path, _listed(folder, place, line)) for line in read_lines(place)]


def _listed(folder: Path, listing: Path, line: str) -> Path:
    """An image that a list names, relative to the folder or to the list; CVAT and darknet begin it with `data/`."""
    name = line.replace("\\", "/")
    for base in (folder, listing.parent):
        for other in (name, name.removeprefix("data/")):
            if (base / other).is_file():
                return base / other
    raise InputError(f"{listing}: lists {line!r}, which is not below {folder}")


def _below(folder: Path, path: Path, image: Path) -> Path:
    whole, root = image.resolve(), folder.resolve()
    if image.is_relative_to(folder) and ".." not in image.relative_to(folder).parts:
        return image
    if not whole.is_relative_to(root):
        raise InputError(f"{path}: names {image}, which lies outside {folder}; move the images there")
    return folder / whole.relative_to(root)


def _images_in(place: Path) -> list[Path]:
    found = files_below(place) if place.is_dir() else []
    return [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES]


def _image_folders(folder: Path, images: Mapping[Path, Split]) -> list[Path]:
    """The folders below which the images' ids begin: the last one named `images` on the way, and one of a split in it.

    Two images of one name in two of them get longer ids; see `files_by_id`.
    """
    places = {folder}
    for image in images:
        parts = image.relative_to(folder).parts[:-1]
        if "images" in parts:
            end = len(parts) - parts[::-1].index("images")
            places.add(folder.joinpath(*parts[:end]))
            if parts[end : end + 1] and parts[end] in {key for keys in _KEYS.values() for key in keys}:
                places.add(folder.joinpath(*parts[: end + 1]))
    return sorted(places)


def _of_used_classes(described: _Described, records: list[ImageRecord]) -> tuple[tuple[str, ...], list[ImageRecord]]:
    """Classes and records without the classes that no image shows."""
    used = sorted({class_id for record in records for class_id in record.masks})
    if not used or len(used) == len(described.classes):
        return described.classes, records
    unused = [name for number, name in enumerate(described.classes, start=1) if number not in used]
    more = " ..." if len(unused) > _NAMED else ""
    what = f"{len(unused)} of its classes have no object and are left out ({', '.join(unused[:_NAMED])}{more})"
    remark(what, str(described.path))
    new_ids = {old: new for new, old in enumerate(used, start=1)}
    renumbered = [
        ImageRecord(r.image, r.split, r.file, r.digest, r.height, r.width, {new_ids[i]: c for i, c in r.masks.items()})
        for r in records
    ]
    return tuple(described.classes[i - 1] for i in used), renumbered
