"""References on the command line: images, each followed by its annotations."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from prosam.errors import InputError
from prosam.files import is_refused_by_windows

if TYPE_CHECKING:
    from prosam.exchange.references import ReferenceList
    from prosam.predictor.annotations import Annotation

ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reference", metavar="IMAGE", help="An image that shows the object; its annotation follows. Repeatable."
    ),
]
MaskOption = Annotated[
    list[str] | None,
    typer.Option("--mask", metavar="PNG", help="PNG of the image's size, black except where the object is."),
]
BoxOption = Annotated[
    list[str] | None, typer.Option("--box", metavar="X0,Y0,X1,Y1", help="A box around the object, px.")
]
PointOption = Annotated[
    list[str] | None, typer.Option("--point", metavar="X,Y", help="A point on the object, px. Repeatable.")
]
ScribbleOption = Annotated[
    list[str] | None,
    typer.Option("--scribble", metavar="PNG|'X,Y X,Y ...'", help="A PNG of strokes, or a polyline, px. Repeatable."),
]
NameOption = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="NAME", help="Begins a concept; the references after it belong to it."),
]
ReferencesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--references",
        metavar="FILE|FOLDER",
        help="References from COCO JSON, labelme JSON (or a folder of such files), or CVAT's VOC folder.",
    ),
]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", metavar="LABEL", help="Use only this label of --references. Repeatable.")
]
MostOption = Annotated[
    int,
    typer.Option("--most", metavar="NUMBER", min=1, help="Maximum number of references of a label in --references."),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option("--images", metavar="FOLDER", help="Folder of the images that a COCO file in --references names."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A run's folder, an exported file, a URL, a hub id, bundled:photos (the default) or bundled:shapes.",
    ),
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="A method that trains nothing, instead of a model: persam, persam-f, matcher, gf-sam, insid3, "
        "seggpt or painter.",
    ),
]
SamOption = Annotated[
    Path | None,
    typer.Option(
        "--sam", metavar="PATH", help="The model's SAM, if it is not found automatically; with --method, any SAM."
    ),
]
BackboneOption = Annotated[
    Path | None,
    typer.Option(
        "--backbone",
        metavar="PATH",
        help="The model's backbone, if it is not found automatically; with --method, any backbone, "
        "or the checkpoint of seggpt or painter.",
    ),
]
SizeOption = Annotated[
    Literal["small", "large", "auto"] | None,
    typer.Option(
        "--size",
        help="With --method, published models instead of --sam and --backbone: small is MobileSAM with DINOv2-S, large "
        "is SAM ViT-H with DINOv2-L; auto is large on a GPU with 12 GB, otherwise small. Fetched once.",
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu or cuda.")]
ThreadsOption = Annotated[
    str,
    typer.Option(
        "--threads",
        metavar="auto|NUMBER",
        help="CPU cores to compute on; auto is all that the process may use. Small models, such as the bundled ones, "
        "work on an image per core, larger ones on one image with all cores.",
    ),
]
FusionOption = Annotated[
    Literal["concatenate", "average"],
    typer.Option("--fusion", help="How to combine the prompts of several references."),
]

_KINDS = ("mask", "box", "point", "scribble")
ON_WINDOWS = os.name == "nt"


@dataclass
class _Given:
    """A reference as given: its image, and the texts of its annotations by option."""

    image: str
    texts: dict[str, list[str]] = field(default_factory=dict)


def given_references(order: Sequence[str], options: Mapping[str, Sequence[str] | None]) -> dict[str, ReferenceList]:
    """The references of each concept, in the form that `Predictor.learn` takes.

    Args:
        order: names of all options in the order given.
        options: the values of reference, mask, box, point, scribble and name.

    Raises:
        InputError: an annotation has no reference before it, a reference has no annotation or two kinds of them after
            it, or a concept has no references or is given twice.
    """
    values = {name: deque(options.get(name) or ()) for name in ("name", "reference", *_KINDS)}
    concepts: dict[str, list[_Given]] = {}
    current: list[_Given] | None = None
    for option in order:
        if option not in values:
            continue
        text = values[option].popleft()
        if not text.strip():  # for example an unset shell variable
            raise InputError(f"--{option}: is empty; give a value, or omit it")
        if option == "name":
            current = _begin(concepts, text)
        elif option == "reference":
            if current is None:
                current = _begin(concepts, Path(text).stem)
            current.append(_Given(text))
        elif not current:
            raise InputError(
                f"--{option} {text}: has no --reference before it; put it after the image that it belongs to"
            )
        else:
            current[-1].texts.setdefault(option, []).append(text)
    for name, given in concepts.items():
        if not given:
            raise InputError(f"--name {name}: has no --reference after it")
    return {name: [(Path(g.image), _annotation(g)) for g in given] for name, given in concepts.items()}


def all_references(
    order: Sequence[str],
    options: Mapping[str, Sequence[str] | None],
    *,
    labels: Sequence[str],
    most: int,
    images: Path | None,
) -> dict[str, ReferenceList]:
    """The references of each concept, from options or files, in the form that `Predictor.learn` takes.

    Args:
        order: see `given_references`.
        options: see `given_references`; also the values of `references`.
        labels: to use from files; all if empty.
        most: maximum number of references of each label in files.
        images: folder of a COCO file's images.

    Raises:
        InputError: a reference is wrong, or a concept is given twice or has a name that a folder cannot have.
    """
    from prosam.exchange.references import read_references

    for option in ("label", "most", "images"):
        if option in order and not options.get("references"):
            raise InputError(f"--{option}: needs --references; use --name to name a concept")
    concepts: dict[str, ReferenceList] = {**given_references(order, options)}
    for file in options.get("references") or ():
        for label, references in read_references(file, labels=labels, most=most, images=images).items():
            if label in concepts:
                raise InputError(f"{file}: has the label {label!r}, which is already given; name it differently")
            check_name(label)
            concepts[label] = references
    return concepts


def _begin(concepts: dict[str, list[_Given]], name: str) -> list[_Given]:
    if name in concepts:
        raise InputError(f"--name {name}: is given twice; put all of its references after the first")
    check_name(name)
    return concepts.setdefault(name, [])


def cores_of(threads: str) -> int | None:
    """The number of `--threads`; None for `auto`. InputError if the text is neither."""
    if threads == "auto":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,3}", threads):
        raise InputError(f"--threads {threads}: must be auto, or a number of cores, such as 4")
    return int(threads)


def check_name(name: str) -> None:
    """Raise InputError if a concept's name cannot name the folder of its masks, on Windows too if this is Windows."""
    wrong = not name.strip() or name.startswith(".") or re.search(r"[/\\\x00-\x1f\x7f]", name)
    if wrong or (ON_WINDOWS and is_refused_by_windows(name)):
        raise InputError(
            f"{name!r} cannot be a concept's name, because it cannot name a folder; choose another with --name, or in "
            "the file with the label"
        )


def _annotation(given: _Given) -> Annotation:
    from prosam.predictor.annotation_texts import box_of_text, is_polyline, points_of_texts, scribble_of_texts
    from prosam.predictor.annotations import Mask, Scribble

    kinds = list(given.texts)
    if not kinds:
        ways = ", ".join(f"--{kind}" for kind in _KINDS)
        raise InputError(f"--reference {given.image}: has no annotation after it; add one of {ways}")
    if len(kinds) > 1:
        raise InputError(f"--reference {given.image}: has a --{kinds[0]} and a --{kinds[1]}; use one kind")
    kind, texts = kinds[0], given.texts[kinds[0]]
    if kind in ("mask", "box") and len(texts) > 1:
        raise InputError(f"--reference {given.image}: has --{kind} {len(texts)} times; give it once")
    if kind == "mask":
        return Mask(Path(texts[0]))
    if kind == "box":
        return box_of_text(texts[0], "--box")
    if kind == "point":
        return points_of_texts(texts, "--point")
    drawn = [text for text in texts if not is_polyline(text)]
    if drawn and len(texts) > 1:
        raise InputError(f"--reference {given.image}: has a PNG and another scribble; use one PNG, or polylines")
    if drawn:
        return Scribble(pixels=Path(drawn[0]))
    return scribble_of_texts(texts, "--scribble")
