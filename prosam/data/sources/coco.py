"""COCO 2014, and other data in the form of COCO's instances files.

    annotations/instances_{train,val}2014.json
    {train,val}2014/<file_name>

For COCO-20i, train2014 is for training and val2014 for testing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prosam.data.dataset import Split
from prosam.data.formats.image_files import InspectedImage, inspect_each
from prosam.data.formats.records import ImageRecord
from prosam.data.sources.coco_json import CocoImage, Instances, read_instances
from prosam.data.sources.coco_masks import BadOutlinesError, Crowd, Masks, class_masks
from prosam.errors import Faults, InputError

FOLDERS: dict[Split, str] = {"train": "train2014", "val": "val2014"}


@dataclass(frozen=True)
class CocoData:
    """COCO as it enters the pipeline.

    Attributes:
        classes: names in class-id order, which is the order of COCO's category ids.
        images: number of records.
        records: train, then val, each in the file's order; generated on demand, and only once.
    """

    classes: tuple[str, ...]
    images: int
    records: Iterator[ImageRecord]


@dataclass(frozen=True)
class AnnotatedImage:
    """An image of an instances file, found on disk.

    Attributes:
        json: the instances file.
        image: its entry there.
        split: train or val.
        file: path for the record.
        source: path on disk.
        name: its id.
    """

    json: Path
    image: CocoImage
    split: Split
    file: PurePosixPath
    source: Path
    name: str


def coco_records(root: Path, *, masks: Masks, crowd: Crowd) -> CocoData:
    """Read COCO 2014.

    An image's id is its file name without the suffix; `file` is relative to `root`. Images without annotations are left
    out, as in the papers' lists. All images with annotations are included, even if their masks are empty.

    Args:
        root: the folder with train2014, val2014 and annotations.
        masks: `exact` or `flattened`; see `prosam.data.sources.coco_masks.class_masks`.
        crowd: what a crowd region is: pixels of its `class`, or `void`.

    Raises:
        InputError: a file is missing or damaged, or contradicts another. Errors of images and outlines are raised while
            records are consumed.
    """
    paths = {split: root / "annotations" / f"instances_{folder}.json" for split, folder in FOLDERS.items()}
    files = read_splits(paths["train"], paths["val"], strict=True)
    found = [image for split, folder in FOLDERS.items() for image in _found(root, folder, split, files[split])]
    return CocoData(files["train"].classes, len(found), image_records(found, masks=masks, crowd=crowd))


def read_splits(train: Path, val: Path, *, strict: bool = False) -> dict[Split, Instances]:
    """Read the instances files of both splits; raises InputError if their categories differ."""
    files: dict[Split, Instances] = {
        "train": read_instances(train, strict=strict),
        "val": read_instances(val, strict=strict),
    }
    one, other = files["train"].classes, files["val"].classes
    if one != other:
        odd = sorted(set(one).symmetric_difference(other)) or ["their order"]
        raise InputError(
            f"{val}: its categories differ from {train.name}'s, first in {odd[0]!r}; both need the same list"
        )
    return files


def image_records(
    images: Sequence[AnnotatedImage], *, masks: Masks, crowd: Crowd, faults: Faults | None = None
) -> Iterator[ImageRecord]:
    """The record of each image, in order; the files are read on all cores.

    Args:
        images: found on disk.
        masks: see `coco_records`.
        crowd: see `coco_records`.
        faults: receives what is wrong with images, which then have no record; None to raise it.

    Raises:
        InputError: there is no `faults`, and an image is damaged or differs in size from its entry, or an outline is
            not a mask of the image.
    """
    inspected = inspect_each([image.source for image in images])
    return records_of(zip(images, inspected, strict=True), masks=masks, crowd=crowd, faults=faults)


def records_of(
    inspected: Iterable[tuple[AnnotatedImage, InspectedImage | InputError]],
    *,
    masks: Masks,
    crowd: Crowd,
    faults: Faults | None = None,
) -> Iterator[ImageRecord]:
    """Yield the record of each image whose file was inspected, in order; see `image_records`."""
    for image, file in inspected:
        wrong = Faults()
        with wrong.collected():
            if isinstance(file, InputError):
                raise file
            _check_size(image, file)
        found: tuple[dict[int, str], dict[int, str]] = {}, {}
        try:
            found = class_masks(image.image, masks, crowd)
        except BadOutlinesError as error:
            for message in error.messages:
                wrong.add(f"{image.json}: image {image.image.file_name!r}, {message}")
        if faults is None:
            wrong.check(image.json)
        else:
            faults.add_all(wrong)
        if not len(wrong) and not isinstance(file, InputError):
            yield ImageRecord(image.name, image.split, image.file, file.digest, file.height, file.width, *found)


def _check_size(image: AnnotatedImage, file: InspectedImage) -> None:
    height, width = image.image.height, image.image.width
    if (file.height, file.width) == (height, width):
        return
    message = f"{image.source}: is {file.width}x{file.height} px, but {image.json.name} says {width}x{height} px"
    if (file.width, file.height) == (height, width):
        message += "; it was annotated without its EXIF rotation: remove the EXIF orientation"
    raise InputError(message)


def _found(root: Path, folder: str, split: Split, instances: Instances) -> list[AnnotatedImage]:
    annotated = [image for image in instances.images if image.annotations]
    try:
        there = {path.name for path in (root / folder).iterdir()}  # one listing instead of 82,783 look-ups
    except OSError as error:
        raise InputError(f"{root / folder}: not found; it has the images of {instances.path.name}") from error
    if missing := [image.file_name for image in annotated if image.file_name not in there]:
        others = f", nor are {len(missing) - 1} other images" if len(missing) > 1 else ""
        named = f"of the {len(annotated)} that {instances.path.name} annotates"
        raise InputError(f"{root / folder / missing[0]}: not found{others}, {named}")
    return [
        AnnotatedImage(
            instances.path,
            image,
            split,
            PurePosixPath(folder, image.file_name),
            root / folder / image.file_name,
            PurePosixPath(image.file_name).stem,
        )
        for image in annotated
    ]
