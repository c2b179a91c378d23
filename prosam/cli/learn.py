"""`prosam learn`: learn concepts from references and save them for later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prosam.cli.ordered import options_in_order
from prosam.cli.references import (
    BackboneOption,
    BoxOption,
    DeviceOption,
    ImagesOption,
    LabelOption,
    MaskOption,
    MethodOption,
    ModelOption,
    MostOption,
    NameOption,
    PointOption,
    ReferenceOption,
    ReferencesOption,
    SamOption,
    ScribbleOption,
    SizeOption,
    ThreadsOption,
    all_references,
    cores_of,
)
from prosam.errors import InputError
from prosam.remarks import say_remarks

LEARN_EXAMPLES = """\b
Examples:
  prosam learn cat.safetensors --name cat --reference a.jpg --mask a.png --reference b.jpg --point 40,60
  prosam learn concepts/ --references annotations.json
  prosam segment photos/ --concept cat.safetensors --out found/
  prosam learn cat.safetensors --method gf-sam --reference cat.jpg --mask cat.png
"""

_SUFFIX = ".safetensors"


def learn(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="A .safetensors file, or a folder for one file per concept.")],
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
    model: ModelOption = None,
    method: MethodOption = None,
    sam: SamOption = None,
    backbone: BackboneOption = None,
    size: SizeOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = "auto",
) -> None:
    """Learn concepts from annotated references and save them as files for one model.

    No image is saved, except by seggpt and painter, which need the references themselves, squashed to 448 x 448 px.
    """
    from prosam.distributed.device import share_cores
    from prosam.predictor.predictor import Predictor

    if out.suffix != _SUFFIX and out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file but not a concept; name a folder, or a {_SUFFIX} file")
    cores = cores_of(threads)
    options = {
        "reference": reference,
        "mask": mask,
        "box": box,
        "point": point,
        "scribble": scribble,
        "name": name,
        "references": references,
    }
    given = all_references(options_in_order(context), options, labels=label or [], most=most, images=images)
    if not given:
        raise InputError("nothing to learn: pass --reference with an annotation, or --references")
    if out.suffix == _SUFFIX and len(given) > 1:
        raise InputError(f"{out}: is one file, but there are {len(given)} concepts, {', '.join(given)}; name a folder")
    predictor = Predictor.load(model, method=method, device=device, sam=sam, backbone=backbone, size=size)
    share_cores(predictor.finder.models.device, small=predictor.model.small, cores=cores)
    concepts = [predictor.learn(pairs, concept) for concept, pairs in given.items()]
    say_remarks()
    print(predictor.model)
    for concept in concepts:
        path = out if out.suffix == _SUFFIX else out / f"{concept.name}{_SUFFIX}"
        concept.save(path)
        print(f"{path}: {concept.name}, from {len(concept)} references ({', '.join(concept.kinds)})")
