"""`prosam compare`: several methods on one's own photos, side by side on one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from prosam.cli.ordered import options_in_order
from prosam.cli.references import (
    BackboneOption,
    BoxOption,
    DeviceOption,
    ImagesOption,
    LabelOption,
    MaskOption,
    MostOption,
    NameOption,
    PointOption,
    ReferenceOption,
    ReferencesOption,
    SamOption,
    ScribbleOption,
    SizeOption,
    all_references,
)
from prosam.errors import InputError, unknown_name
from prosam.remarks import say_remarks

if TYPE_CHECKING:
    from prosam.checkpoints.sizes import ModelSize
    from prosam.exchange.references import ReferenceList
    from prosam.output.comparison import ComparedPhoto, Contender, Task

COMPARE_EXAMPLES = """\b
Examples:
  prosam compare photos/ --reference cat.jpg --mask cat.png --out compare.html
  prosam compare photos/ --reference cat.jpg --box 10,20,80,90 --methods prosam,gf-sam --out compare.html
  prosam compare photos/ --model models/photos/vrp-sam/0 --reference cat.jpg --mask cat.png --out compare.html
  prosam compare --pairs pairs.csv --out compare.html

A pair a line, with paths relative to the file; `truth`, the true mask, adds the IoU:

\b
  reference,mask,box,photo,name,truth
  cat.jpg,cat.png,,photos/1.jpg,cat,truths/1.png
  dog.jpg,,"10,20,80,90",photos/2.jpg,dog,
"""
_BUNDLED = "prosam"  # the name of the bundled model for photographs, beside those of the methods
_SLOW = ("matcher",)
_SUFFIXES = (".html", ".htm")
_SHOWN_FAULTS = 10


def compare(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="HTML", help="The page to write.")],
    photos: Annotated[
        list[Path] | None, typer.Argument(metavar="PHOTOS...", help="Images and folders of images.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="CSV", help="Pairs of a reference and a photo, instead of both; see below."),
    ] = None,
    reference: ReferenceOption = None,
    mask: MaskOption = None,
    box: BoxOption = None,
    point: PointOption = None,
    scribble: ScribbleOption = None,
    name: NameOption = None,
    references: ReferencesOption = None,
    label: LabelOption = None,
    most: MostOption = 5,
    images: ImagesOption = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="NAMES",
            help="Comma-separated: prosam, the bundled model for photographs, and methods that train nothing. By "
            "default all but matcher, which is slow; seggpt and painter only if their checkpoints are in the cache.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="MODEL", help="A trained model of your own, as one more method. Repeatable."),
    ] = None,
    sam: SamOption = None,
    backbone: BackboneOption = None,
    size: SizeOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="0..1",
            min=0,
            max=1,
            help="An object with a lower presence counts as absent; with 0, none does. By default, each model's own.",
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Show the masks of several methods side by side, with score, presence and seconds, on one page for a browser.

    The page is one file that loads nothing. Images that cannot be read are reported at the end, with exit status 1.
    """
    if out.suffix.lower() not in _SUFFIXES or out.is_dir():
        raise InputError(f"--out {out}: must be a file that ends with .html")
    options = {
        "reference": reference,
        "mask": mask,
        "box": box,
        "point": point,
        "scribble": scribble,
        "name": name,
        "references": references,
    }
    order = options_in_order(context)
    given = all_references(order, options, labels=label or [], most=most, images=images)
    tasks = _pairs(pairs, bool(given or photos)) if pairs is not None else _tasks(given, photos or [], out)
    names = _names(methods)

    from prosam.output.comparison import run_comparison
    from prosam.output.comparison_page import write_comparison

    contenders = _contenders(names, model or [], device, sam=sam, backbone=backbone, size=size)
    comparison = run_comparison(tasks, contenders, threshold=threshold)
    write_comparison(out, comparison)
    say_remarks()
    for column in comparison.columns:
        iou = "" if column.mean_iou is None else f", mean IoU {100 * column.mean_iou:.1f}"
        print(f"{column.name}: found in {column.present} of {comparison.photos}, {column.seconds:.2f} s a photo{iou}")
    print(f"{out}: {comparison}; open it in a browser")
    _report(comparison.faults)


def _tasks(given: dict[str, ReferenceList], photos: Sequence[Path], out: Path) -> list[Task]:
    from prosam.output.comparison import ComparedPhoto, Task
    from prosam.predictor.image_folders import images_below

    if not given:
        raise InputError("nothing to look for: pass --reference with an annotation, --references or --pairs")
    if not photos:
        raise InputError("no photos: name images or folders of images, or pass --pairs")
    found: dict[Path, ComparedPhoto] = {}
    for path in photos:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        for image in images_below(path, without=[out]) if path.is_dir() else [path]:
            found.setdefault(image, ComparedPhoto(image))
    return [Task(name, references, list(found.values())) for name, references in given.items()]


def _pairs(path: Path, has_more: bool) -> list[Task]:
    from prosam.cli.pairs import read_pairs
    from prosam.output.comparison import ComparedPhoto, Task

    if has_more:
        raise InputError(f"--pairs {path}: names references and photos; omit PHOTOS and --reference")
    return [Task(pair.name, pair.references, [ComparedPhoto(pair.photo, pair.truth)]) for pair in read_pairs(path)]


def _names(given: str | None) -> list[str]:
    """The methods by name, in order, each once; by default all that are not slow and need no large download."""
    from prosam.checkpoints.generalists import has_published
    from prosam.params.rivals import GeneralistName, RivalName

    known = [_BUNDLED, *get_args(RivalName)]
    if given is None:
        missing = {name for name in get_args(GeneralistName) if not has_published(name)}
        names = [name for name in known if name not in missing and name not in _SLOW]
        print(
            f"note: {_SLOW[0]} takes a minute a photo and is left out; --methods {','.join([*names, *_SLOW])} adds it"
        )
        return names
    names = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise InputError(f"--methods {name}: {unknown_name('method', name, known)}")
    return names


def _contenders(
    names: Sequence[str],
    models: Sequence[str],
    device: str,
    *,
    sam: Path | None,
    backbone: Path | None,
    size: ModelSize | None,
) -> list[Contender]:
    """The methods by name and the trained models; `sam`, `backbone` and `size` are for methods that use them."""
    from prosam.checkpoints.training_free import training_free_settings
    from prosam.output.comparison import Contender
    from prosam.params.rivals import GeneralistName
    from prosam.predictor.predictor import Predictor

    contenders = []
    for name in names:
        if name == _BUNDLED:
            contenders.append(Contender(name, partial(Predictor.load, device=device)))
            continue
        given = {"sam": sam, "backbone": None if training_free_settings(name).backbone is None else backbone}
        load = partial(Predictor.load, method=name, device=device, **given)
        contenders.append(Contender(name, load if name in get_args(GeneralistName) else partial(load, size=size)))
    contenders += [Contender(model, partial(Predictor.load, model, device=device)) for model in dict.fromkeys(models)]
    if not contenders:
        raise InputError("no methods: name some with --methods or --model")
    return contenders


def _report(faults: Sequence[str]) -> None:
    if not faults:
        return
    print(f"error: {len(faults)} images could not be read:", file=sys.stderr)
    for fault in faults[:_SHOWN_FAULTS]:
        print(f"  {fault}", file=sys.stderr)
    if len(faults) > _SHOWN_FAULTS:
        print(f"  and {len(faults) - _SHOWN_FAULTS} more, named at the end of the page", file=sys.stderr)
    raise typer.Exit(1)
