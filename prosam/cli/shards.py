"""`prosam shards`, also `python -m prosam.cli.shards`: find objects in more images than one machine can go through."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from prosam.cli import console
from prosam.cli.references import (
    BackboneOption,
    DeviceOption,
    FusionOption,
    MethodOption,
    ModelOption,
    SamOption,
    SizeOption,
)
from prosam.errors import InputError, unknown_name
from prosam.remarks import say_remarks

shards = console.command_group(
    "shards",
    "Find objects in very many images, on one machine or several: cut a list, segment its shards, join results.",
)

FolderArgument = Annotated[str, typer.Argument(metavar="FOLDER", help="What `cut` made, a folder or URL.")]


@shards.command("cut")
def cut_shards(
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGES", help="A folder, its URL (s3, gs, ssh), or a .txt list of paths or URLs."),
    ],
    concept: Annotated[
        list[Path], typer.Option("--concept", metavar="FILE", help="A concept written by `prosam learn`. Repeatable.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="FOLDER", help="Folder or URL for the shards.")],
    each: Annotated[int, typer.Option("--each", metavar="NUMBER", min=1, help="Images a shard.")] = 4000,
    model: ModelOption = None,
    method: MethodOption = None,
    sam: SamOption = None,
    backbone: BackboneOption = None,
    size: SizeOption = None,
    fusion: FusionOption = "average",
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="0..1", min=0, max=1, help="As for `prosam segment`."),
    ] = None,
    refine: Annotated[bool | None, typer.Option("--refine/--no-refine", help="As for `prosam segment`.")] = None,
    instances: Annotated[bool, typer.Option("--instances", help="As for `prosam segment`.")] = False,
) -> None:
    """Cut a list of images into shards. The same command again adds the images that have come since then.

    Example: prosam shards cut photos/ --concept cat.safetensors --out found/
    """
    from prosam.data.places import Place, local_or_url
    from prosam.output.shards import ImageList, ShardFolder
    from prosam.predictor.concept import Concept
    from prosam.predictor.predictor import Asked, Predictor

    place = Place(local_or_url(out))
    asked: Asked = {}
    if threshold is not None:
        asked["threshold"] = threshold
    if refine is not None:
        asked["refine"] = refine
    if instances:
        asked["instances"] = True
    given = {"source": model, "method": method, "size": size, "fusion": fusion}
    given |= {"sam": None if sam is None else str(sam), "backbone": None if backbone is None else str(backbone)}
    loading = {name: value for name, value in given.items() if value is not None}
    predictor = Predictor.load(**loading, device="cpu")  # what is wrong with it should not be said by each shard
    predictor.checked([Concept.load(path) for path in concept], **asked)
    listed = ImageList.of(local_or_url(images), without=place)
    say_remarks()
    folder = ShardFolder.cut(place, listed, concept, loading=loading, asked=asked, each=each)
    images_of_all = sum(shard.images for shard in folder.shards)
    print(f"{out}: {images_of_all} images in {len(folder.shards)} shards, of which {len(folder.left())} are to be done")


@shards.command("segment")
def segment_shards(
    folder: FolderArgument,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="SHARD...", help="Names of shards; by default, all that are not done.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", metavar="NUMBER", min=1, help="Images processed at once; by default 1, on a GPU 8."),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Compute shards. A shard that is done is left alone; one that was interrupted is computed from its beginning.

    Examples: prosam shards segment found/; prosam shards segment found/ 000003-5ba1c2d3e4f50617
    """
    from prosam.data.places import Place, local_or_url
    from prosam.distributed.device import share_cores
    from prosam.output.shard_work import segment_shard
    from prosam.output.shards import ShardFolder
    from prosam.predictor.predictor import Predictor
    from prosam.progress import Progress

    opened = ShardFolder.opened(Place(local_or_url(folder)))
    wanted = opened.named(names or [])
    left = opened.left(wanted)
    if len(left) < len(wanted):
        print(f"{folder}: {len(wanted) - len(left)} of {len(wanted)} shards are done")
    if not left:
        return
    predictor = Predictor.load(**opened.loading, device=device)
    concepts = predictor.checked(list(opened.load_concepts()), **opened.asked)
    workers = share_cores(predictor.finder.models.device, small=predictor.model.small)
    print(predictor.model)
    unreadable = 0
    with Progress("segment", sum(shard.images for shard in left), "image") as progress:
        for shard in left:
            counts = segment_shard(
                opened, shard, predictor, concepts, batch=batch, workers=workers, on_image=progress.advance
            )
            unreadable += counts.unreadable
            found = ", ".join(f"{concept} in {number}" for concept, number in counts.present.items())
            print(f"{shard.name}: {found} of {counts.images - counts.unreadable} images")
    if unreadable:
        print(f"note: {unreadable} images could not be read; the column `error` says why", file=sys.stderr)


@shards.command("join")
def join_results(
    folder: FolderArgument,
    write: Annotated[
        list[str], typer.Option("--write", metavar="FORM", help="coco (one JSON file) or labels (PNGs). Repeatable.")
    ],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Folder for them; by default that of the shards.")
    ] = None,
) -> None:
    """Make one COCO JSON file, or label maps, of the results of all shards, in little memory.

    Example: prosam shards join found/ --write coco
    """
    from prosam.data.places import Place, local_or_url
    from prosam.output.shard_joins import JOINS, join_shards
    from prosam.output.shards import ShardFolder

    for form in write:
        if form not in JOINS:
            raise InputError(f"--write {form}: {unknown_name('form', form, JOINS)}")
    opened = ShardFolder.opened(Place(local_or_url(folder)))
    here = to or opened.place.folder
    if here is None:
        raise InputError(f"{opened.place.shown('')}: is a URL; name a folder of this machine with --to")
    for path in join_shards(opened, here, write):
        print(path)


if __name__ == "__main__":
    console.run(shards, less_memory="lower --batch, or compute with --device cpu")
