"""Your own data as COCO JSON: finding and reading the files."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from prosam.data.dataset import Split
from prosam.data.sources.coco import AnnotatedImage, image_records, read_splits
from prosam.data.sources.coco_json import Instances, read_instances
from prosam.data.sources.coco_masks import Crowd
from prosam.data.sources.own_found import OwnImages, by_id
from prosam.errors import InputError

_PAIRS = (  # patterns of the files for train and val, in the folder or in its `annotations`
    ("train.json", "val.json"),
    ("instances_train*.json", "instances_val*.json"),
    ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
)
_FOLDERS = ("", "annotations")


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
    single = [path for name in _FOLDERS for path in _matching(folder / name, "*.json")]
    if len(single) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in single[:3])
        raise InputError(
            f"{folder}: has {len(single)} JSON files ({names} ...); name two of them train.json and val.json"
        )
    return single[0] if single else None


def _matching(place: Path, pattern: str) -> list[Path]:
    """Files that match, in upper or lower case: CVAT writes instances_Train.json. Leaves out macOS's ._train.json."""
    folder, _, name = pattern.rpartition("/")
    there = sorted((place / folder).iterdir()) if (place / folder).is_dir() else []
    return [path for path in there if fnmatchcase(path.name.lower(), name) and not path.name.startswith(".")]


def read_coco_layout(folder: Path, crowd: Crowd) -> OwnImages:
    """Read a folder with COCO JSON; masks are exact.

    Raises:
        InputError: see `prosam.data.sources.own.own_records`.
    """
    files = find_json(folder)
    if files is None:
        raise InputError(f"{folder}: has no JSON file; train.json and val.json, or a single file, are needed")
    splits: dict[Split, Instances]
    splits = {"train": read_instances(files)} if isinstance(files, Path) else read_splits(*files)
    found: list[AnnotatedImage] = []
    without: list[str] = []
    for split, instances in splits.items():
        annotated = [image for image in instances.images if image.annotations]
        without += [PurePosixPath(image.file_name).stem for image in instances.images if not image.annotations]
        paths = locate_images(folder, instances, [image.file_name for image in annotated])
        for image, path in zip(annotated, paths, strict=True):
            found.append(AnnotatedImage(instances.path, image, split, PurePosixPath(path.name), path))
    by_id(image.source for image in found)
    records = list(image_records(found, masks="exact", crowd=crowd))
    sources = {image.file: image.source for image in found}
    return OwnImages(splits["train"].classes, records, sources, len(splits) == 2, without)


def locate_images(folder: Path, instances: Instances, names: Sequence[str]) -> list[Path]:
    """The paths of an instances file's images, below a folder or beside the file.

    Raises:
        InputError: an image is not found, or is in several places.
    """
    subset = instances.path.stem.removeprefix("instances_")  # train2017 of instances_train2017.json
    places = ["", "images", subset, f"images/{subset}", subset.rstrip("0123456789")]
    folders = list(dict.fromkeys([folder / place for place in places] + [instances.path.parent]))
    paths: list[Path] = []
    missing: list[str] = []
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InputError(f"{instances.path}: file_name {name!r} must be a path below the folder of the images")
        there = [path for path in (place / name for place in folders) if path.is_file()]
        if len(there) > 1:
            raise InputError(f"{there[0]}: is also in {there[1].parent}; keep only one of them")
        paths += there
        missing += [] if there else [name]
    if missing:
        count = f"{len(missing)} of {len(names)} images were not found, first {missing[0]!r}"
        looked = ", ".join(str(place) for place in folders if place.is_dir())
        raise InputError(f"{instances.path}: {count}; looked in {looked}")
    return paths
