"""The meaning of the labels in your own masks: classes.txt, labelme's class_names.txt or CVAT's labelmap.txt."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prosam.data.formats.content_kinds import kind_instead_of_text
from prosam.data.formats.label_maps import MAX_CLASSES, VOID
from prosam.errors import InputError

Colour = tuple[int, int, int]  # RGB, 0 to 255

_LISTS = ("classes.txt", "class_names.txt")
_LABELMAP = "labelmap.txt"
_BACKGROUND = ("background", "_background_")
_VOID = ("void", "ignore", "ignored", "__ignore__")
_VOC_VOID: Colour = (224, 224, 192)


@dataclass(frozen=True)
class Labels:
    """The classes of masks.

    Attributes:
        path: the file that names them.
        classes: names in class-id order, at most 254.
        colours: for coloured masks, colour -> class id, 0 or VOID; None if the pixels are class ids.
    """

    path: Path
    classes: tuple[str, ...]
    colours: Mapping[Colour, int] | None


def read_class_labels(folder: Path) -> Labels:
    """Read the file of a folder that names its classes.

    Raises:
        InputError: there is no such file or more than one, or it is damaged, names no class, too many classes, or one
            class twice.
    """
    there = [folder / name for name in (*_LISTS, _LABELMAP) if (folder / name).is_file()]
    if not there:
        raise InputError(f"{folder / _LISTS[0]}: not found; write the names of the classes there, one per line")
    if len(there) > 1:
        raise InputError(f"{there[1]}: names classes, but {there[0].name} does too; delete one of them")
    path = there[0]
    labels = _from_labelmap(path) if path.name == _LABELMAP else _from_list(path)
    if not 1 <= len(labels.classes) <= MAX_CLASSES:
        room = f"masks can hold 1 to {MAX_CLASSES}, COCO JSON more"
        raise InputError(f"{path}: names {len(labels.classes)} classes; {room}")
    for i, name in enumerate(labels.classes):
        if name in labels.classes[:i]:
            raise InputError(f"{path}: names {name!r} twice")
    return labels


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, stripped; empty ones are left out. It is UTF-8, or UTF-16 with a mark at its start.

    Raises:
        InputError: the file cannot be read, or is something else.
    """
    try:
        content = path.read_bytes()
        if (kind := kind_instead_of_text(content)) is not None:
            raise InputError(f"{path}: is not a list of names: {kind}")
        has_mark = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        lines = content.decode("utf-16" if has_mark else "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    if broken := [line for line in lines if "\0" in line]:
        raise InputError(f"{path}: holds a zero byte, in {broken[0]!r}, so it is not UTF-8 text; save it as UTF-8")
    return [line.strip() for line in lines if line.strip()]


def _from_list(path: Path) -> Labels:
    """One name per line, the first for label 1; labelme writes __ignore__ and _background_ before it."""
    names = read_lines(path)
    while names and names[0].lower() in _BACKGROUND + _VOID:
        names = names[1:]
    return Labels(path, tuple(names), None)


def _from_labelmap(path: Path) -> Labels:
    """`name:r,g,b:parts:actions` on each line; comments begin with #."""
    classes: list[str] = []
    colours: dict[Colour, int] = {}
    for line in read_lines(path):
        if line.startswith("#"):
            continue
        name, *rest = (part.strip() for part in line.split(":"))
        colour = _colour(rest[0]) if rest else None
        if not name or colour is None:
            raise InputError(f"{path}: {line!r} is not of the form name:red,green,blue:parts:actions")
        if colour in colours:
            raise InputError(f"{path}: {name!r} has the same colour as an earlier label")
        if name.lower() in _BACKGROUND:
            colours[colour] = 0
        elif name.lower() in _VOID:
            colours[colour] = VOID
        else:
            classes.append(name)
            colours[colour] = len(classes)
    if 0 not in colours.values():
        colours.setdefault((0, 0, 0), 0)
    if VOID not in colours.values():
        colours.setdefault(_VOC_VOID, VOID)
    return Labels(path, tuple(classes), colours)


def _colour(text: str) -> Colour | None:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) < 256 for part in parts):
        return None
    red, green, blue = map(int, parts)
    return red, green, blue
