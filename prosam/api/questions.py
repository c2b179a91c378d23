"""What a form asks for. The order of its fields counts: as on the command line, annotations follow their reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from prosam.api.forms import FormPart
from prosam.data.formats.drawn_masks import object_pixels
from prosam.data.formats.image_files import opened_image, remark_pages, turned_upright
from prosam.data.formats.png_chunks import check_chunks
from prosam.errors import InputError, unknown_name
from prosam.predictor.annotation_texts import box_of_text, points_of_texts, scribble_of_texts
from prosam.predictor.annotations import Annotation, Mask, Scribble
from prosam.predictor.predictor import Asked
from prosam.web.sent_images import IMAGE_FORMATS, MOST_PIXELS, decoded

ANNOTATIONS = ("mask", "box", "point", "scribble")
LEARN_FIELDS = ("name", "replace", "reference", *ANNOTATIONS)
SEGMENT_FIELDS = ("image", "concept", "threshold", "refine", "instances", "output", "reference", *ANNOTATIONS)
MOST_FORM_BYTES = 64 * 2**20  # an image and its references
INLINE = "object"  # the name of the concept of a reference that is sent with the image

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class SentReference:
    """A reference in a form.

    Attributes:
        place: which of the form's references it is, in words, for messages.
        image: content of the image's file.
        annotations: its annotations, all of one kind.
    """

    place: str
    image: bytes
    annotations: tuple[FormPart, ...]

    def drawn(self) -> tuple[NDArray[np.uint8], Annotation]:
        """The pixels, (H, W, 3) uint8 RGB, and the annotation.

        Raises:
            InputError: a file is not an image, is damaged or too large, or the annotation is wrong.
        """
        pixels, _ = decoded(self.image, self.place)
        kind, first = self.annotations[0].name, self.annotations[0]
        where = f"{kind} of {self.place}:"
        if kind == "mask" or first.is_file:
            size = pixels.shape[:2]
            marked = _marked(first.content, f"the {kind} of {self.place}", (size[0], size[1]))
            return pixels, Mask(marked) if kind == "mask" else Scribble(pixels=marked)
        texts = [part.text for part in self.annotations]
        if kind == "box":
            return pixels, box_of_text(texts[0], where)
        return pixels, points_of_texts(texts, where) if kind == "point" else scribble_of_texts(texts, where)


@dataclass(frozen=True)
class Learning:
    """A form that asks to learn a concept.

    Attributes:
        name: name of the concept.
        references: its references.
        replace: whether a concept of this name may be replaced.
    """

    name: str
    references: tuple[SentReference, ...]
    replace: bool


@dataclass(frozen=True)
class Segmentation:
    """A form that asks to segment an image.

    Attributes:
        image: content of the image's file.
        concepts: names of the concepts to find.
        references: references of a concept that is used for this image only.
        asked: options of the predictor.
        output: `json`, or `png` for a mask or label map.
    """

    image: bytes
    concepts: tuple[str, ...]
    references: tuple[SentReference, ...]
    asked: Asked
    output: Literal["json", "png"]


def learning_of(parts: Sequence[FormPart]) -> Learning:
    """What a form of `POST /v1/concepts` asks for.

    Raises:
        InputError: a field is unknown, missing or wrong, or appears twice.
    """
    _check_fields(parts, LEARN_FIELDS)
    references = _references(parts)
    if not references:
        raise InputError("reference: is missing; send an image and its annotation")
    return Learning(_required(parts, "name").text, references, _flag(parts, "replace") or False)


def segmentation_of(parts: Sequence[FormPart]) -> Segmentation:
    """What a form of `POST /v1/segment` asks for.

    Raises:
        InputError: a field is unknown, missing or wrong, or appears twice.
    """
    _check_fields(parts, SEGMENT_FIELDS)
    image, references = _required(parts, "image").content, _references(parts)
    concepts = tuple(part.text for part in parts if part.name == "concept")
    if bool(concepts) == bool(references):
        raise InputError("concept: send the name of a concept, or a reference with its annotation, but not both")
    asked = Asked()
    if (threshold := _value(parts, "threshold", _share)) is not None:
        asked["threshold"] = threshold
    if (refine := _flag(parts, "refine")) is not None:
        asked["refine"] = refine
    if _flag(parts, "instances"):
        asked["instances"] = True
    return Segmentation(image, concepts, references, asked, _value(parts, "output", _output) or "json")


def _references(parts: Iterable[FormPart]) -> tuple[SentReference, ...]:
    found: list[tuple[FormPart, list[FormPart]]] = []
    for part in parts:
        if part.name == "reference":
            found.append((part, []))
        elif part.name in ANNOTATIONS:
            if not found:
                raise InputError(f"{part.name}: has no reference before it; send it after the image that it belongs to")
            found[-1][1].append(part)
    return tuple(_reference(number, image, drawn) for number, (image, drawn) in enumerate(found, 1))


def _reference(number: int, image: FormPart, drawn: list[FormPart]) -> SentReference:
    place = f"reference {number}"
    kinds = list(dict.fromkeys(part.name for part in drawn))
    if not kinds:
        raise InputError(f"{place}: has no annotation after it; send one of {', '.join(ANNOTATIONS)}")
    if len(kinds) > 1:
        raise InputError(f"{place}: has a {kinds[0]} and a {kinds[1]}; send one kind")
    if len(drawn) > 1 and (kinds[0] in ("mask", "box") or any(part.is_file for part in drawn)):
        raise InputError(f"{place}: has {len(drawn)} times a {kinds[0]}; send one")
    if kinds[0] == "mask" and not drawn[0].is_file:
        raise InputError(f"{place}: its mask is not a file; send the PNG itself, as `curl -F mask=@mask.png` does")
    return SentReference(place, image.content, tuple(drawn))


def _marked(content: bytes, name: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (H, W) of an object in the image of a mask or of strokes."""
    with opened_image(Path(name), BytesIO(content), formats=IMAGE_FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:  # before it is decoded; `draw` compares the size
            raise InputError(f"{name} is {image.width}x{image.height} px, but the image is {size[1]}x{size[0]} px")
        check_chunks(image, name)
        remark_pages(image, name)
        turned = turned_upright(image)
        turned.format = image.format  # by which lossy ones are known
        return object_pixels(turned, name)


def _check_fields(parts: Iterable[FormPart], known: Sequence[str]) -> None:
    for part in parts:
        if part.name not in known:
            raise InputError(unknown_name("field", part.name[:80], known))


def _single(parts: Iterable[FormPart], name: str) -> FormPart | None:
    found = [part for part in parts if part.name == name]
    if len(found) > 1:
        raise InputError(f"{name}: is sent {len(found)} times; send it once")
    return found[0] if found else None


def _required(parts: Iterable[FormPart], name: str) -> FormPart:
    if (part := _single(parts, name)) is None:
        raise InputError(f"{name}: is missing")
    return part


def _value(parts: Iterable[FormPart], name: str, read: Callable[[str], _Value | None]) -> _Value | None:
    """A field's value, or None if it is not there."""
    if (part := _single(parts, name)) is None:
        return None
    if (value := read(part.text)) is None:
        allowed = {"threshold": "a number from 0 to 1", "output": "json or png"}.get(name, "true or false")
        raise InputError(f"{name}: {part.text[:80]!r} is not {allowed}")
    return value


def _flag(parts: Iterable[FormPart], name: str) -> bool | None:
    return _value(parts, name, _boolean)


def _boolean(text: str) -> bool | None:
    return True if text.lower() in _TRUE else False if text.lower() in _FALSE else None


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _output(text: str) -> Literal["json", "png"] | None:
    return "json" if text == "json" else "png" if text == "png" else None
