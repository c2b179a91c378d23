"""COCO's instances_*.json: images, categories, and annotations as polygons or run-length codes.

The full file (330 MB, 604,907 annotations) takes several GB as Python lists of numbers, so each annotation is reduced
as soon as it is parsed; `bench/coco_index.py` measures the result.
"""

from __future__ import annotations

import gc
import json
from array import array
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from prosam.data.formats.content_kinds import kind_of_file
from prosam.data.names import check_is_file
from prosam.errors import Faults, InputError
from prosam.remarks import remark

_Found = TypeVar("_Found")

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


# what an annotation without `segmentation` has as its outline, which is refused when it has to become a mask
NO_OUTLINE = "none"


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


def read_instances(path: Path, *, strict: bool = False) -> Instances:
    """Read an instances file; see `instances_of`.

    Raises:
        InputError: the file is missing or damaged; see also `instances_of`.
    """
    return instances_of(path, read_json(path), strict=strict)


def instances_of(path: Path, content: Any, *, strict: bool = False) -> Instances:
    """The `Instances` of a parsed instances file.

    Args:
        path: of the file.
        content: of the file, from `read_json`.
        strict: also refuse a category that has the name of another one and no annotations.

    Raises:
        InputError: the content is not an instances file, an image or category is listed twice, or an annotation refers
            to one that is not listed. Outlines are not checked.
    """
    images, annotations, categories = _sections(path, content)
    faults = Faults()
    used = {
        number
        for parsed in annotations
        if isinstance(parsed, _Parsed) and _hashable(parsed.category_id)
        for number in (parsed.category_id, _whole(parsed.category_id))
    }
    class_ids, classes = _classes(path, categories, None if strict else used, faults)
    by_id = _images(path, images, faults)
    by_text = {str(number): image for number, image in by_id.items()}
    classes_by_text = {str(number): class_id for number, class_id in class_ids.items()}
    if annotations and all(not isinstance(one, _Parsed) or one.outline is NO_OUTLINE for one in annotations):
        raise InputError(f"{path}: {_named(annotations[0])} has no 'segmentation'; is it an instances file?")
    for parsed in annotations:
        if not isinstance(parsed, _Parsed):
            faults.add(f"{path}: {_named(parsed)} has no 'segmentation'; is it an instances file?")
            continue
        image = _by_id(by_id, by_text, parsed.image_id)
        class_id = _by_id(class_ids, classes_by_text, parsed.category_id)
        if image is None:
            faults.add(f"{path}: annotation {parsed.id} belongs to image {parsed.image_id!r}, which is not listed")
        elif class_id is None:
            faults.add(
                f"{path}: annotation {parsed.id} belongs to category {parsed.category_id!r}, which is not listed"
            )
        else:
            image.annotations.append(CocoAnnotation(parsed.id, class_id, parsed.crowd, parsed.outline))
    faults.check(path)
    return Instances(path, classes, list(by_id.values()))


def _by_id(by_id: Mapping[Hashable, _Found], by_text: Mapping[str, _Found], number: Any) -> _Found | None:
    """What has an id. Some exporters write an id as a number in one place and as text in another."""
    found = by_id.get(number) if _hashable(number) else None
    return by_text.get(str(number)) if found is None else found


def _hashable(number: object) -> bool:
    return isinstance(number, int | float | str)


def read_json(path: Path) -> Any:
    """The content of a JSON file; of an instances file, only the parts that are needed.

    Raises:
        InputError: the file is missing or damaged.
    """
    collecting = gc.isenabled()
    gc.disable()  # there are millions of new objects and no garbage: the collector would double the time
    check_is_file(path)
    try:
        content = path.read_bytes()
        text = content.decode(json.detect_encoding(content))  # UTF-8 with or without a mark, UTF-16 or UTF-32
        del content
        return json.loads(text, object_hook=_shrunk)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:  # ValueError: JSON's and UTF-8's errors
        kind = kind_of_file(path)
        is_text = kind is None or "text" in kind.what
        why = " ".join(str(error).split()) if is_text else str(kind)
        raise InputError(f"{path}: is not JSON, or is damaged: {why}") from error
    finally:
        if collecting:
            gc.enable()


def _sections(path: Path, content: Any) -> list[list[Any]]:
    sections = [content.get(name) if isinstance(content, dict) else None for name in SECTIONS]
    for name, section in zip(SECTIONS, sections, strict=True):
        if not isinstance(section, list):
            raise InputError(f"{path}: has no list '{name}'{_what_else(content)}")
    return sections  # pyright: ignore[reportReturnType]  # each is a list, see above


def _what_else(content: Any) -> str:
    """What a JSON file is that is no instances file, with the remedy, by the keys that annotation tools write."""
    first = content[0] if isinstance(content, list) and content else content
    keys: set[Any] = set(first) if isinstance(first, dict) else set()
    inner = next(iter(first.values()), None) if isinstance(first, dict) else None
    if keys & {"annotations", "completions", "predictions"} and "data" in keys:
        return ": it holds tasks of Label Studio; export them as COCO, and brush masks as PNG for --mask"
    if "_via_img_metadata" in keys or (isinstance(inner, dict) and {"regions", "filename"} <= set(inner)):
        return ": it is a project of the VGG Image Annotator (VIA); export its annotations in COCO's format"
    if {"type", "features"} <= keys:
        return ": it is GeoJSON; convert it to COCO's format"
    if {"dm_format_version", "items"} <= keys or {"categories", "items"} <= keys:
        return ": it is in Datumaro's own format; export it as COCO or VOC"
    if isinstance(first, _Parsed):
        return ": it is a list of results; it needs COCO's lists of images and categories"
    return "; is it an instances file of COCO?"


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
    if "image_id" in item and "category_id" in item:  # a box or points alone
        return _Parsed(item.get("id"), item["image_id"], item["category_id"], bool(item.get("iscrowd")), NO_OUTLINE)
    if "file_name" in item:
        return {key: item.get(key) for key in ("id", "file_name", "height", "width")}
    return item


def _classes(
    path: Path, categories: list[Any], used: Collection[Any] | None, faults: Faults
) -> tuple[dict[Hashable, int], tuple[str, ...]]:
    """Class ids by category id, and the names of the classes.

    Of two categories with one name, the one without annotations is left out: Roboflow lists the project first, often
    under the name of a class.
    """
    names: dict[int, str] = {}
    for category in categories:
        number = _whole(category.get("id")) if isinstance(category, dict) else None
        name = category.get("name") if isinstance(category, dict) else None
        if number is None or not isinstance(name, str) or not name.strip():
            faults.add(f"{path}: {_named(category, 'category')} lacks an id (a whole number) or a name")
        elif number in names:
            faults.add(f"{path}: category id {number} is listed twice")
        else:
            names[number] = name.strip()
    if not categories:
        raise InputError(f"{path}: lists no categories")
    ids: dict[str, int] = {}  # of each name
    for number in sorted(names):
        other = ids.get(names[number])
        if other is None or (used is not None and other not in used):
            ids[names[number]] = number
        elif used is None or number in used:
            faults.add(f"{path}: category name {names[number]!r} is listed twice")
    faults.check(path)
    if doubled := sorted({name for number, name in names.items() if ids[name] != number}):
        what = f"categories without annotations have the names of others and are no classes ({', '.join(doubled)})"
        remark(what, str(path))
    kept = sorted(ids.values())
    return {number: index + 1 for index, number in enumerate(kept)}, tuple(names[number] for number in kept)


def _images(path: Path, images: list[Any], faults: Faults) -> dict[Hashable, CocoImage]:
    by_id: dict[Hashable, CocoImage] = {}
    for image in images:
        match image:
            case {"id": int() | float() | str() as number, "file_name": str(name)} if name:
                height, width = _whole(image.get("height")), _whole(image.get("width"))
                if height is None or width is None or height < 1 or width < 1:
                    faults.add(f"{path}: {_named(image, 'image')} lacks an id, file_name, height or width")
                elif number in by_id:
                    faults.add(f"{path}: image id {number!r} is listed twice")
                else:
                    by_id[number] = CocoImage(name.replace("\\", "/"), height, width)
            case _:
                faults.add(f"{path}: {_named(image, 'image')} lacks an id, file_name, height or width")
    if not images:
        raise InputError(f"{path}: lists no images")
    for name, count in Counter(image.file_name for image in by_id.values()).items():
        if count > 1:
            faults.add(f"{path}: the image file {name!r} is listed twice")
    faults.check(path)
    return by_id


def _whole(value: object) -> int | None:
    """A whole number, also if it is written as 480.0 or as the text "480"; None for anything else."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return int(value) if len(value) < 20 else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _named(item: object, kind: str = "annotation") -> str:
    return f"{kind} {item['id']!r}" if isinstance(item, dict) and "id" in item else f"an entry of the list of {kind}s"
