"""References from the files of annotation tools: COCO JSON, labelme JSON, and masks as CVAT exports them (VOC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from prosam.data.sources.coco_json import instances_of, read_json
from prosam.data.sources.own_voc import is_voc_layout
from prosam.errors import InputError, unknown_name
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
        InputError: `path` has another format or is damaged, an image is missing, or a wanted label is missing.
    """
    path = Path(path)
    found: defaultdict[str, ReferenceList] = defaultdict(list)
    met: dict[str, None] = {}

    def is_wanted(label: str) -> bool:
        met.setdefault(label)
        return (not labels or label in labels) and (most is None or len(found.get(label, ())) < most)

    for label, image, annotation in _each(path, None if images is None else Path(images), is_wanted):
        if is_wanted(label):
            found[label].append((image, annotation))
    if not met or not (labels or found):
        raise InputError(f"{path}: has no annotations")
    for label in labels:
        if label not in found:
            raise InputError(f"{path}: {unknown_name('label', label, met)}")
    return {label: found[label] for label in labels or found}


def _each(path: Path, images: Path | None, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, Path, Annotation]]:
    if path.is_dir() and is_voc_layout(path):
        yield from read_voc(path)
        return
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.glob("*.json") if not file.name.startswith("."))
        if not files:
            raise InputError(f"{path}: has neither JSON files nor VOC's folders; name a COCO or labelme file")
    for file in files:
        content = read_json(file)
        if is_labelme(content):
            for label, (image, annotation) in read_labelme(file, content).items():
                yield label, image, annotation
        elif len(files) == 1:
            yield from read_coco(instances_of(file, content), images, is_wanted)
        else:
            raise InputError(
                f"{file}: is not a labelme file, and only labelme files may lie in a folder of several; name one file"
            )
