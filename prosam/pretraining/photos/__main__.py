"""Make the models for photographs: `python -m prosam.pretraining.photos FOLDER`, or `make pretrain PHOTOS=FOLDER`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from prosam.checkpoints.bundled import PHOTO_PROMPT_ENCODER, PHOTO_SAM_WEIGHTS, WEIGHTS_FOLDER
from prosam.pretraining.entry import run_module

PHOTO_MODELS = ("sam", "prompt-encoder")  # the second needs the first, of the same folder or else the bundled one


def pretrain_photos(
    folder: Annotated[Path, typer.Argument(help="Photographs with train.json and val.json in COCO's form.")],
    only: Annotated[str | None, typer.Option(help=f"One of the models: {' or '.join(PHOTO_MODELS)}.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for weights and figures.")] = WEIGHTS_FOLDER,
    cache: Annotated[Path, typer.Option(help="Folder for features and unfinished states.")] = Path(".scratch/photos"),
    views: Annotated[int, typer.Option(min=1, help="Augmented views of a photo, 420 kB of features each.")] = 6,
    distribution: Annotated[
        str | None, typer.Option(help="Of the prompts: t3 makes the prompt encoder ProSAM's, dirac VRP-SAM's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Fewer steps, for a try.")] = None,
) -> None:
    """Train SAM lite and the prompt encoder for photographs, seeded. A killed training goes on when started again.

    Example: `python -m prosam.pretraining.photos ~/coco2017 --out /tmp/lite`
    """
    from prosam.checkpoints.exported import write_exported
    from prosam.checkpoints.sam import without_trunk
    from prosam.checkpoints.weights import write_state
    from prosam.files import write_text
    from prosam.params.schema import DistributionName
    from prosam.pretraining.photos import encoder, measuring, sam
    from prosam.pretraining.photos.episodes import Categories
    from prosam.pretraining.photos.folder import read_photos
    from prosam.pretraining.photos.models import describe_photo_encoder, lite_models, lite_trunk
    from prosam.pretraining.photos.unfinished import unfinished_state, work_folder
    from prosam.pretraining.photos.views import open_view

    if only is not None and only not in PHOTO_MODELS:
        raise typer.BadParameter(f"no model {only!r}; choose from {', '.join(PHOTO_MODELS)}", param_hint="--only")
    if distribution not in (None, *get_args(DistributionName)):
        names = ", ".join(get_args(DistributionName))
        raise typer.BadParameter(f"no distribution {distribution!r}; choose from {names}", param_hint="--distribution")
    photos, trunk, size = read_photos(folder), lite_trunk(), sam.SIZE
    work = work_folder(cache, photos.digest)
    train = [open_view(work, photos.splits["train"], "train", v, trunk, size) for v in range(views)]
    val = open_view(work, photos.splits["val"], "val", 0, trunk, size)
    sam_file, encoder_file = out / PHOTO_SAM_WEIGHTS.name, out / PHOTO_PROMPT_ENCODER.name
    if only != "prompt-encoder":
        settings = sam.PhotoSamPretraining(steps=steps or sam.PhotoSamPretraining.steps)
        unfinished = unfinished_state(work, "sam-lite", settings)
        trained = sam.pretrain_photo_sam(train, photos.classes, settings, unfinished)
        write_state(without_trunk(trained), sam_file)
        parameters = sum(p.numel() for name, p in trained.named_parameters() if name.startswith(sam.TRAINED))
        figures = measuring.measure_photo_sam(trained, val)
        card = {"parameters": parameters, "settings": asdict(settings), "held-out": figures}
        write_text(sam_file.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
        unfinished.unlink(missing_ok=True)
        print(sam_file, json.dumps(figures))
    if only != "sam":
        used = sam_file if sam_file.is_file() else PHOTO_SAM_WEIGHTS
        usual = encoder.PhotoEncoderPretraining()
        name = cast(DistributionName, distribution or usual.distribution)
        chosen = replace(usual, steps=steps or usual.steps, distribution=name)
        models = lite_models(used)
        unfinished = unfinished_state(work, f"prompt-encoder-lite-{chosen.distribution}", chosen, sam=used)
        method = encoder.pretrain_photo_encoder(models, train, photos.classes, chosen, unfinished)
        write_exported(encoder_file, method.encoder.state_dict(), describe_photo_encoder(chosen, photos.classes, used))
        parameters = sum(p.numel() for p in method.encoder.parameters())
        figures = measuring.measure_episodes(method, Categories(train[0]), Categories(val), episodes=500).card()
        card = {"parameters": parameters, "settings": asdict(chosen), "held-out": figures}
        write_text(encoder_file.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
        unfinished.unlink(missing_ok=True)
        print(encoder_file, json.dumps(figures))


if __name__ == "__main__":
    run_module(pretrain_photos)
