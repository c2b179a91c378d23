"""Measure models for photographs: `python -m prosam.pretraining.photos.table FOLDER`.

Prints SAM's mean IoU by kind of prompt, and the mIoU of a prompt encoder: of all categories, and of novel ones, for
which ProSAM and VRP-SAM are trained anew on each fold of COCO's kinds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prosam.checkpoints.bundled import PHOTO_PROMPT_ENCODER, PHOTO_SAM_WEIGHTS
from prosam.pretraining.entry import run_module

if TYPE_CHECKING:
    from prosam.evaluation.bootstrap import Interval
    from prosam.methods.prompting import PromptMethod
    from prosam.models.frozen import FrozenModels
    from prosam.pretraining.photos.episodes import Categories
    from prosam.pretraining.photos.views import View


def table(
    folder: Annotated[Path, typer.Argument(help="Photographs with train.json and val.json in COCO's form.")],
    weights: Annotated[Path, typer.Option(help="Of SAM lite.")] = PHOTO_SAM_WEIGHTS,
    encoder: Annotated[Path, typer.Option(help="The prompt encoder.")] = PHOTO_PROMPT_ENCODER,
    against: Annotated[Path | None, typer.Option(help="Another prompt encoder to compare it with.")] = None,
    cache: Annotated[Path, typer.Option(help="Folder for features and unfinished states.")] = Path(".scratch/photos"),
    views: Annotated[int, typer.Option(min=1, help="Views to train on, for novel categories.")] = 6,
    episodes: Annotated[int, typer.Option(min=1, help="Of all categories.")] = 2000,
    novel: Annotated[bool, typer.Option(help="Train and test on each fold of COCO's kinds.")] = True,
    novel_steps: Annotated[int, typer.Option(min=1, help="Of such a training.")] = 300,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each method on each fold.")] = 3,
) -> None:
    """Print the figures of SAM lite and of the prompt encoder for photographs on the val split of a folder."""
    import numpy as np

    from prosam.evaluation.bootstrap import paired_difference
    from prosam.pretraining.photos.episodes import ANNOTATION_KINDS, Categories
    from prosam.pretraining.photos.folder import read_photos
    from prosam.pretraining.photos.measuring import bootstrapped, measure_episodes, measure_photo_sam, measure_presence
    from prosam.pretraining.photos.models import lite_models, lite_trunk
    from prosam.pretraining.photos.sam import SIZE
    from prosam.pretraining.photos.unfinished import work_folder
    from prosam.pretraining.photos.views import open_view

    photos, trunk, models = read_photos(folder), lite_trunk(), lite_models(weights)
    work = work_folder(cache, photos.digest)
    val = open_view(work, photos.splits["val"], "val", 0, trunk, SIZE)
    train = [open_view(work, photos.splits["train"], "train", v, trunk, SIZE) for v in range(views if novel else 1)]
    for name, figure in measure_photo_sam(models.sam, val).items():
        print(f"SAM lite, {name}: {figure:.3f}" if name != "objects" else f"SAM lite, objects: {figure:.0f}")

    references, targets = Categories(train[0]), Categories(val)
    method = _with_encoder(models, encoder)
    for kind in ANNOTATION_KINDS:
        count = episodes if kind == "mask" else episodes // 4
        figures = measure_episodes(method, references, targets, episodes=count, kind=kind)
        card, found = figures.card(), bootstrapped([figures]).interval(0)
        print(
            f"all {card['classes']} categories, one {kind} as the reference, {count} episodes: mIoU {_told(found)}, "
            f"mean IoU {card['mean_iou']:.3f}, pseudo mask alone {card['pseudo_mask']:.1f}"
        )
        if kind == "mask" and against is not None:
            other = measure_episodes(_with_encoder(models, against), references, targets, episodes=count)
            both = bootstrapped([figures, other])
            difference = _told(paired_difference(both, 0, 1))
            print(f"{against.name}: mIoU {_told(both.interval(1))}; the first minus it {difference}")
    for count in (2, 3):
        card = measure_episodes(method, references, targets, episodes=episodes // 4, count=count).card()
        print(f"{count} references with masks, {episodes // 4} episodes: mIoU {card['miou']:.1f}")
    present, absent = measure_presence(method, references, targets, episodes=min(500, episodes))
    wins = np.greater.outer(present, absent).mean()
    threshold = float(np.quantile(present, 0.06))
    passing = np.mean(np.array(absent) >= threshold)
    print(f"presence: AUC {wins:.3f}; at {threshold:.3f}, 94 % of what is there passes, {passing:.0%} of what is not")
    if novel:
        _novel(models, weights, train, references, targets, photos.classes, work, novel_steps, seeds)


def _novel(
    models: FrozenModels,
    sam_file: Path,
    train: list[View],
    references: Categories,
    targets: Categories,
    classes: tuple[str, ...],
    work: Path,
    steps: int,
    seeds: int,
) -> None:
    """Train ProSAM and VRP-SAM on each fold of COCO's kinds, and measure them on the kinds left out."""
    from prosam.evaluation.bootstrap import mean_over_folds
    from prosam.pretraining.photos.encoder import PhotoEncoderPretraining, pretrain_photo_encoder
    from prosam.pretraining.photos.measuring import bootstrapped, coco_folds, measure_episodes
    from prosam.pretraining.photos.unfinished import unfinished_state

    folds = []
    for fold, class_ids in enumerate(coco_folds(classes)):
        found = []
        for distribution in ("t3", "dirac"):
            for seed in range(seeds):
                settings = replace(PhotoEncoderPretraining(), distribution=distribution, seed=seed, steps=steps)
                name = f"fold-{fold}-{distribution}-seed{seed}"
                unfinished = unfinished_state(work, name, settings, sam=sam_file, without=class_ids)
                trained = pretrain_photo_encoder(models, train, classes, settings, unfinished, without=class_ids)
                found.append(measure_episodes(trained, references, targets, episodes=500, among=class_ids))
                card = found[-1].card()
                print(
                    f"novel kinds, fold {fold}, {distribution}, seed {seed}: mIoU {card['miou']:.1f} of "
                    f"{card['classes']} kinds, pseudo mask alone {card['pseudo_mask']:.1f}",
                    flush=True,
                )
        folds.append(bootstrapped(found))
    everything, share = mean_over_folds(folds), [1 / seeds] * seeds
    none = [0.0] * seeds
    for name, weights in (
        ("ProSAM (t3)", share + none),
        ("VRP-SAM (dirac)", none + share),
        ("ProSAM minus VRP-SAM", share + [-1 / seeds] * seeds),
    ):
        interval = everything.contrast(weights).interval(0)
        print(f"novel kinds, {name}: mIoU {_told(interval)} over {len(folds)} folds with {seeds} trainings each")


def _with_encoder(models: FrozenModels, weights: Path) -> PromptMethod:
    from prosam.checkpoints.weights import load_state
    from prosam.methods.prompting import build_prompt_method
    from prosam.pretraining.photos.encoder import photo_run_params

    state = load_state(weights)
    distribution = "dirac" if not any(name.startswith("log_sigma") for name in state) else "t3"
    method = build_prompt_method(photo_run_params(distribution), models, seed=0)
    method.encoder.load_state_dict(state)
    return method


def _told(interval: Interval) -> str:
    return f"{100 * interval.estimate:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


if __name__ == "__main__":
    run_module(table)
