"""COCO's instances_*.json: images, categories, and annotations as polygons or run-length codes.

The full file (330 MB, 604,907 annotations) takes several GB as Python lists of numbers, so each annotation is reduced
as soon as it is parsed; `bench/coco_index.py` measures the result.
"""

from __future__ import annotations

import gc
import json
from array import array
from collections import Counter
from collections.abc import Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from prosam.errors import InputError

SECTIONS = ("images", "annotations", "categories")


class CocoAnnotation(NamedTuple):
    """One outlined object, or a crowd of objects.

    Attributes:
        id: as in the file; only for messages.
        class_id: index of the category in ascending order of category ids, + 1.
        crowd: whether it covers a group of objects.
        outline: polygons of pixel coordinates x, y, x, y, ... (an array of doubles each), or a run-length code as in
            the file. Anything else is kept, and refused when it has to become a mask.
    """

    id: object
    class_id: int
    crowd: bool
    outline: list[array[float]] | Any


@dataclass(slots=True)
class CocoImage:
    """An image of the file.

    Attributes:
        file_name: as in the file, with forward slashes.
        height: px.
        width: px.
        annotations: in the file's order.
    """

    file_name: str
    height: int
    width: int
    annotations: list[CocoAnnotation] = field(default_factory=list)


@dataclass(frozen=True)
class Instances:
    """The content of an instances file.

    Attributes:
        path: of the file.
        classes: names of the categories in ascending order of their ids.
        images: in the file's order, including those without annotations.
    """

    path: Path
    classes: tuple[str, ...]
    images: list[CocoImage]


class _Parsed(NamedTuple):
    """An annotation before its references are looked up."""

    id: object
    image_id: Any
    category_id: Any
    crowd: bool
    outline: Any


def read_instances(path: Path) -> Instances:
    """Read an instances file.

    Raises:
        InputError: the file is missing or damaged; see also `instances_of`.
    """
    return instances_of(path, read_json(path))


def instances_of(path: Path, content: Any) -> Instances:
    """The `Instances` of a parsed instances file.

    Args:
        path: of the file.
        content: of the file, from `read_json`.

    Raises:
        InputError: the content is not an instances file, an image or category is listed twice, or an annotation refers
            to one that is not listed. Outlines are not checked.
    """
    images, annotations, categories = _sections(path, content)
    class_ids, classes = _classes(path, categories)
    by_id = _images(path, images)
    for parsed in annotations:
        if not isinstance(parsed, _Parsed):
            raise InputError(f"{path}: {_named(parsed)} has no 'segmentation'; is it an instances file?")
        image = by_id.get(parsed.image_id) if isinstance(parsed.image_id, Hashable) else None
        if image is None:
            raise InputError(
                f"{path}: annotation {parsed.id} belongs to image {parsed.image_id!r}, which is not listed"
            )
        class_id = class_ids.get(parsed.category_id) if isinstance(parsed.category_id, Hashable) else None
        if class_id is None:
            raise InputError(
                f"{path}: annotation {parsed.id} belongs to category {parsed.category_id!r}, which is not listed"
            )
        image.annotations.append(CocoAnnotation(parsed.id, class_id, parsed.crowd, parsed.outline))
    return Instances(path, classes, list(by_id.values()))


def read_json(path: Path) -> Any:
    """The content of a JSON file; of an instances file, only the parts that are needed.

    Raises:
        InputError: the file is missing or damaged.
    """
    collecting = gc.isenabled()
    gc.disable()  # there are millions of new objects and no garbage: the collector would double the time
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_hook=_shrunk)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found") from error
    except (OSError, ValueError, RecursionError) as error:  # ValueError: JSON's and UTF-8's errors
        raise InputError(f"{path}: is not JSON, or is damaged: {' '.join(str(error).split())}") from error
    finally:
        if collecting:
            gc.enable()


def _sections(path: Path, content: Any) -> list[list[Any]]:
    sections = [content.get(name) if isinstance(content, dict) else None for name in SECTIONS]
    for name, section in zip(SECTIONS, sections, strict=True):
        if not isinstance(section, list):
            raise InputError(f"{path}: has no list '{name}'; is it an instances file of COCO?")
    return sections  # pyright: ignore[reportReturnType]  # each is a list, see above


def _shrunk(item: dict[str, Any]) -> Any:
    """An object of the file, reduced to the parts that are needed and as small as possible."""
    if "shapes" in item:  # a labelme file, whatever else it holds
        return item
    if "segmentation" in item:
        outline = item["segmentation"]
        if isinstance(outline, list):
            with suppress(
                TypeError, OverflowError
            ):  # anything but a polygon is refused later, with the annotation's id
                outline = [array("d", polygon) for polygon in outline]
        return _Parsed(
            item.get("id"), item.get("image_id"), item.get("category_id"), bool(item.get("iscrowd")), outline
        )
    if "file_name" in item:
        return {key: item.get(key) for key in ("id", "file_name", "height", "width")}
    return item


def _classes(path: Path, categories: list[Any]) -> tuple[dict[Hashable, int], tuple[str, ...]]:
    names: dict[int, str] = {}
    for category in categories:
        match category:
            case {"id": int(number), "name": str(name)} if name.strip():
                if number in names:
                    raise InputError(f"{path}: category id {number} is listed twice")
                names[number] = name.strip()
            case _:
                raise InputError(f"{path}: {_named(category, 'category')} lacks an id (a whole number) or a name")
    if not names:
        raise InputError(f"{path}: lists no categories")
    if repeated := _repeated(names.values()):
        raise InputError(f"{path}: category name {repeated!r} is listed twice")
    ids = sorted(names)
    return {number: index + 1 for index, number in enumerate(ids)}, tuple(names[number] for number in ids)


def _images(path: Path, images: list[Any]) -> dict[Hashable, CocoImage]:
    by_id: dict[Hashable, CocoImage] = {}
    for image in images:
        match image:
            case {
                "id": int() | str() as number,
                "file_name": str(name),
                "height": int(height),
                "width": int(width),
            } if name and height > 0 and width > 0:
                if number in by_id:
                    raise InputError(f"{path}: image id {number!r} is listed twice")
                by_id[number] = CocoImage(name.replace("\\", "/"), height, width)
            case _:
                raise InputError(f"{path}: {_named(image, 'image')} lacks an id, file_name, height or width")
    if not by_id:
        raise InputError(f"{path}: lists no images")
    if repeated := _repeated(image.file_name for image in by_id.values()):
        raise InputError(f"{path}: the image file {repeated!r} is listed twice")
    return by_id


def _named(item: object, kind: str = "annotation") -> str:
    return f"{kind} {item['id']!r}" if isinstance(item, dict) and "id" in item else f"an entry of the list of {kind}s"


def _repeated(names: Iterable[str]) -> str | None:
    name, count = Counter(names).most_common(1)[0]
    return name if count > 1 else None
