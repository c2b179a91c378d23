"""References from the files of annotation tools: COCO JSON, labelme JSON, and masks as CVAT exports them (VOC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from prosam.data.sources.coco_json import instances_of, read_json
from prosam.data.sources.own_coco import only_instances
from prosam.data.sources.own_voc import is_voc_layout
from prosam.errors import Faults, InputError, unknown_name
from prosam.exchange.coco import read_coco
from prosam.exchange.labelme import is_labelme, read_labelme
from prosam.exchange.voc import read_voc
from prosam.predictor.annotations import Annotation

ReferenceList = list[tuple[Path, Annotation]]


def read_references(
    path: str | Path, *, labels: Sequence[str] = (), most: int | None = None, images: str | Path | None = None
) -> dict[str, ReferenceList]:
    """The references of each label, as `Predictor.learn` takes them.

    Args:
        path: a COCO JSON file, a labelme JSON file or a folder of them, or a folder in VOC layout, such as CVAT's
            export *Segmentation mask 1.1* with *Save images* ticked.
        labels: the labels to read; all if empty.
        most: largest number of references of each label, of which the first are taken; all if None.
        images: folder of the images that a COCO file names, if it is not in the usual place.

    Raises:
        InputError: `path` has another format or is damaged, images are missing or outlines damaged that would be used,
            or a wanted label is missing.
    """
    path = Path(path)
    found: defaultdict[str, ReferenceList] = defaultdict(list)
    met: dict[str, None] = {}
    faults = Faults()

    def is_missing(label: str) -> bool:
        return (not labels or label in labels) and (most is None or len(found.get(label, ())) < most)

    def is_wanted(label: str) -> bool:
        met.setdefault(label)
        return is_missing(label)

    def is_enough() -> bool:
        return bool(labels) and not any(map(is_missing, labels))

    for label, image, annotation in _each(path, None if images is None else Path(images), is_wanted, faults):
        if is_wanted(label):
            found[label].append((image, annotation))
        if is_enough():
            break
    if not is_enough():  # otherwise nothing that is wrong is used
        faults.check(path)
    if not met or not (labels or found):
        raise InputError(f"{path}: has no annotations")
    for label in labels:
        if label not in found:
            raise InputError(f"{path}: {_not_found(label, met)}")
    return {label: found[label] for label in labels or found}


def _not_found(label: str, met: Collection[str]) -> str:
    if label in met:
        return f"the label {label!r} has only empty masks; draw on an object"
    return unknown_name("label", label, met)


def _each(
    path: Path, images: Path | None, is_wanted: Callable[[str], bool], faults: Faults
) -> Iterator[tuple[str, Path, Annotation]]:
    if path.is_dir() and is_voc_layout(path):
        yield from read_voc(path, faults)
        return
    files = [path]
    if path.is_dir():
        files = only_instances(sorted(file for file in path.glob("*.json") if not file.name.startswith(".")))
        if not files:
            files = _inside(path)
    for file in files:
        with faults.collected():
            content = read_json(file)
            if is_labelme(content):
                for label, (image, annotation) in read_labelme(file, content, is_wanted).items():
                    yield label, image, annotation
            elif len(files) == 1:
                yield from read_coco(instances_of(file, content), images, is_wanted, faults)
            else:
                raise InputError(
                    f"{file}: is not a labelme file, and only labelme files may lie in a folder of several; name one "
                    "file"
                )


def _inside(folder: Path) -> list[Path]:
    """The only JSON file in a folder's `annotations`, where CVAT puts it."""
    inside = only_instances([file for file in folder.glob("annotations/*.json") if not file.name.startswith(".")])
    if len(inside) == 1:
        return inside
    hint = f"; name one of {', '.join(str(file) for file in sorted(inside)[:3])}" if inside else ""
    if any(file.suffix == ".png" and "-annotation-" in file.name for file in folder.glob("task-*")):
        hint = "; these are brush masks of Label Studio: pass each with --reference IMAGE --mask PNG"
    raise InputError(f"{folder}: has neither JSON files nor VOC's folders{hint or '; name a COCO or labelme file'}")
