"""Measure models for photographs: `python -m prosam.pretraining.photos.table FOLDER`.

Prints SAM's mean IoU by kind of prompt, and the mIoU of a prompt encoder: of all categories, and of novel ones, for
which ProSAM and VRP-SAM are trained anew on each fold of COCO's kinds.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from prosam.checkpoints.bundled import PHOTO_PROMPT_ENCODER, PHOTO_SAM_WEIGHTS
from prosam.errors import InputError


def table(
    folder: Annotated[Path, typer.Argument(help="Photographs with train.json and val.json in COCO's form.")],
    weights: Annotated[Path, typer.Option(help="Of SAM lite.")] = PHOTO_SAM_WEIGHTS,
    encoder: Annotated[Path, typer.Option(help="The prompt encoder.")] = PHOTO_PROMPT_ENCODER,
    cache: Annotated[Path, typer.Option(help="Folder for features and unfinished states.")] = Path(".scratch/photos"),
    views: Annotated[int, typer.Option(min=1, help="Views to train on, for novel categories.")] = 4,
    episodes: Annotated[int, typer.Option(min=1, help="Of all categories.")] = 2000,
    novel: Annotated[bool, typer.Option(help="Train and test on each fold of COCO's kinds.")] = True,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each method on each fold.")] = 3,
) -> None:
    """Print the figures of SAM lite and of the prompt encoder for photographs on the val split of a folder."""
    import numpy as np

    from prosam.checkpoints.weights import load_state
    from prosam.methods.prompting import build_prompt_method
    from prosam.pretraining.photos.encoder import PhotoEncoderPretraining, photo_run_params, pretrain_photo_encoder
    from prosam.pretraining.photos.episodes import ANNOTATION_KINDS, Categories
    from prosam.pretraining.photos.folder import read_photos
    from prosam.pretraining.photos.measuring import coco_folds, measure_episodes, measure_photo_sam, measure_presence
    from prosam.pretraining.photos.models import lite_models, lite_trunk
    from prosam.pretraining.photos.sam import SIZE
    from prosam.pretraining.photos.views import open_view

    photos, trunk, models = read_photos(folder), lite_trunk(), lite_models(weights)
    val = open_view(cache, photos.splits["val"], "val", 0, trunk, SIZE)
    train = [open_view(cache, photos.splits["train"], "train", v, trunk, SIZE) for v in range(views if novel else 1)]
    for name, figure in measure_photo_sam(models.sam, val).items():
        print(f"SAM lite, {name}: {figure:.3f}" if name != "objects" else f"SAM lite, objects: {figure:.0f}")

    state = load_state(encoder)
    distribution = "dirac" if "mean_head.weight" not in state else "t3"
    method = build_prompt_method(photo_run_params(distribution), models, seed=0)
    method.encoder.load_state_dict(state)
    references, targets = Categories(train[0]), Categories(val)
    for kind in ANNOTATION_KINDS:
        count = episodes if kind == "mask" else episodes // 4
        figures = measure_episodes(method, references, targets, episodes=count, kind=kind)
        print(
            f"all {figures.classes} categories, one {kind} as the reference, {count} episodes: "
            f"mIoU {figures.miou:.1f}, mean IoU {figures.mean_iou:.3f}, pseudo mask alone {figures.pseudo_mask:.1f}"
        )
    for count in (2, 3):
        figures = measure_episodes(method, references, targets, episodes=episodes // 4, count=count)
        print(f"{count} references with masks, {episodes // 4} episodes: mIoU {figures.miou:.1f}")
    present, absent = measure_presence(method, references, targets, episodes=min(500, episodes))
    wins = np.greater.outer(present, absent).mean()
    threshold = float(np.quantile(present, 0.06))
    passing = np.mean(np.array(absent) >= threshold)
    print(f"presence: AUC {wins:.3f}; at {threshold:.3f}, 94 % of what is there passes, {passing:.0%} of what is not")
    for name in ("t3", "dirac") if novel else ():
        found = []
        for seed in range(seeds):
            for fold, class_ids in enumerate(coco_folds(photos.classes)):
                settings = replace(PhotoEncoderPretraining(), distribution=name, seed=seed)
                unfinished = cache / f"fold-{fold}-{name}-{seed}-{settings.steps}.pt"
                trained = pretrain_photo_encoder(models, train, photos.classes, settings, unfinished, without=class_ids)
                figures = measure_episodes(trained, references, targets, episodes=500, among=class_ids)
                found.append(figures.miou)
                print(
                    f"novel kinds, fold {fold}, {name}, seed {seed}: mIoU {figures.miou:.1f} of {figures.classes} "
                    f"kinds, pseudo mask alone {figures.pseudo_mask:.1f}"
                )
        print(f"novel kinds, {name}: mIoU {np.mean(found):.1f} over {len(found)} trainings")


if __name__ == "__main__":
    try:
        typer.run(table)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
