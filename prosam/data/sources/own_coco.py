"""Your own data as COCO JSON: finding and reading the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from prosam.data.dataset import Split
from prosam.data.names import Listings, existing
from prosam.data.sources.coco import AnnotatedImage, image_records, read_splits
from prosam.data.sources.coco_json import CocoImage, Instances, read_instances
from prosam.data.sources.coco_masks import Crowd
from prosam.data.sources.own_found import OwnImages, files_by_id, image_id
from prosam.errors import Faults, InputError
from prosam.remarks import remark

_PAIRS = (  # patterns of the files for train and val, in the folder or in its `annotations`
    ("train.json", "val.json"),
    ("instances_train*.json", "instances_val*.json"),
    ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
)
_FOLDERS = ("", "annotations")
# What COCO itself, and Datumaro, write beside the instances of the same images.
_OTHER_TASKS = ("captions_", "image_info_", "labels_", "panoptic_", "person_keypoints_", "stuff_")
_NAMED = 3


def find_json(folder: Path) -> tuple[Path, Path] | Path | None:
    """The files for train and val, or the only file, or None if there is none.

    Raises:
        InputError: it is ambiguous which files are meant.
    """
    for place in (folder / name for name in _FOLDERS):
        for patterns in _PAIRS:
            train, val = (_matching(place, pattern) for pattern in patterns)
            if len(train) == len(val) == 1:
                return train[0], val[0]
            if train or val:
                there = [path.name for path in train + val]
                raise InputError(f"{place}: has {', '.join(there)}; one {patterns[0]} and one {patterns[1]} are needed")
    single = only_instances([path for name in _FOLDERS for path in _matching(folder / name, "*.json")])
    if len(single) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in single[:3])
        raise InputError(
            f"{folder}: has {len(single)} JSON files ({names} ...); name two of them train.json and val.json"
        )
    return single[0] if single else None


def only_instances(files: Sequence[Path]) -> list[Path]:
    """JSON files without those that describe the same images in another way, such as captions_val.json."""
    names = {path.name for path in files}

    def is_beside_instances(path: Path) -> bool:
        tasks = [task for task in _OTHER_TASKS if path.name.startswith(task)]
        return any(f"instances_{path.name.removeprefix(task)}" in names for task in tasks)

    return [path for path in files if not is_beside_instances(path)]


def _matching(place: Path, pattern: str) -> list[Path]:
    """Files that match, in upper or lower case: CVAT writes instances_Train.json. Leaves out macOS's ._train.json."""
    folder, _, name = pattern.rpartition("/")
    there = sorted((place / folder).iterdir()) if (place / folder).is_dir() else []
    return [path for path in there if fnmatchcase(path.name.lower(), name) and not path.name.startswith(".")]


def read_coco_layout(folder: Path, crowd: Crowd, faults: Faults) -> OwnImages:
    """Read a folder with COCO JSON; masks are exact.

    Args:
        folder: that holds the data.
        crowd: see `prosam.data.sources.own.own_records`.
        faults: receives what is wrong with images and outlines, which are then left out.

    Raises:
        InputError: see `prosam.data.sources.own.own_records`.
    """
    files = find_json(folder)
    if files is None:
        raise InputError(f"{folder}: has no JSON file; train.json and val.json, or a single file, are needed")
    splits: dict[Split, Instances]
    splits = {"train": read_instances(files)} if isinstance(files, Path) else read_splits(*files)
    if not isinstance(files, Path):
        _remark_others(folder, files)
    splits = _of_used_classes(splits)
    listed: list[tuple[CocoImage, Split, Path]] = []
    without: list[str] = []
    places: list[Path] = []
    for split, instances in splits.items():
        annotated = [image for image in instances.images if image.annotations]
        without += [image_id(PurePosixPath(image.file_name)) for image in instances.images if not image.annotations]
        paths = located(folder, instances, [image.file_name for image in annotated], faults)
        for image in annotated:
            if image.file_name in paths:
                listed.append((image, split, paths[image.file_name]))
        places += image_folders(folder, instances)
    names = {file: name for name, file in files_by_id(folder, [path for *_, path in listed], places, faults).items()}
    found = [
        AnnotatedImage(splits[split].path, image, split, PurePosixPath(names[path] + path.suffix), path, names[path])
        for image, split, path in listed
        if path in names
    ]
    records = list(image_records(found, masks="exact", crowd=crowd, faults=faults))
    sources = {image.file: image.source for image in found}
    return OwnImages(splits["train"].classes, records, sources, len(splits) == 2, without)


def _remark_others(folder: Path, chosen: tuple[Path, Path]) -> None:
    """Remark the JSON files beside those for training and testing, such as a subset Test."""
    beside = {path for file in chosen for path in _matching(file.parent, "*.json")}
    beside |= {path for path in folder.glob("*/_annotations.coco.json") if chosen[0].name == path.name}
    for path in sorted(set(only_instances([*beside])) - set(chosen)):
        remark("it is neither for training nor for testing, so its images are left out", str(path))


def _of_used_classes(splits: dict[Split, Instances]) -> dict[Split, Instances]:
    """The files without the categories that have no annotation in any of them."""
    used = {one.class_id for file in splits.values() for image in file.images for one in image.annotations}
    classes = next(iter(splits.values())).classes
    if not used or len(used) == len(classes):
        return splits
    unused = [name for number, name in enumerate(classes, 1) if number not in used]
    new_ids = {old: new for new, old in enumerate(sorted(used), 1)}
    for file in splits.values():
        for image in file.images:
            image.annotations[:] = [one._replace(class_id=new_ids[one.class_id]) for one in image.annotations]
        more = " ..." if len(unused) > _NAMED else ""
        what = f"{len(unused)} of its categories have no annotation and are no classes"
        remark(f"{what} ({', '.join(unused[:_NAMED])}{more})", str(file.path))
    kept = tuple(name for number, name in enumerate(classes, 1) if number in used)
    return {split: replace(file, classes=kept) for split, file in splits.items()}


def image_folders(folder: Path, instances: Instances) -> list[Path]:
    """The folders that the names of an instances file may be relative to, below a folder or beside the file."""
    subset = instances.path.stem.removeprefix("instances_")  # train2017 of instances_train2017.json
    places = ["", "images", subset, f"images/{subset}", subset.rstrip("0123456789")]
    return list(dict.fromkeys([folder / place for place in places] + [instances.path.parent]))


def located(folder: Path, instances: Instances, names: Sequence[str], faults: Faults) -> dict[str, Path]:
    """The path of each of an instances file's images, below a folder or beside the file.

    Args:
        folder: of the data.
        instances: the file.
        names: of its images, as it writes them.
        faults: receives which are not found, are in several places, or leave the folder.
    """
    folders = image_folders(folder, instances)
    listings: Listings = {}
    paths: dict[str, Path] = {}
    missing: list[str] = []
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            faults.add(f"{instances.path}: file_name {name!r} must be a path below the folder of the images")
            continue
        there = [path for path in (existing(place / name, listings) for place in folders) if path.is_file()]
        if len(there) > 1:
            faults.add(f"{there[0]}: is also in {there[1].parent}; keep only one of them")
        elif there:
            paths[name] = there[0]
        else:
            missing.append(name)
    if missing:
        count = f"{len(missing)} of {len(names)} images were not found, first {missing[0]!r}"
        looked = ", ".join(str(place) for place in folders if place.is_dir())
        faults.add(f"{instances.path}: {count}; looked in {looked}")
    return paths
