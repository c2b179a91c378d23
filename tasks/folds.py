"""Stage folds: deal classes and images to folds, and freeze the episodes."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import console, layout
from prosam.params import load_params
from tasks.arguments import dataset_params


def folds(dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")]) -> None:
    """Write data/folds/DATASET: index.csv, and a fold-, episodes- and monitor- file for each fold.

    Example: python -m tasks.folds shapes-5i
    """
    params = load_params()
    protocol, settings = dataset_params(params, dataset).protocol, params.folds

    from prosam.data.dataset import SPLITS, Split, open_dataset
    from prosam.data.episodes import freeze_episodes, write_episodes
    from prosam.data.fold_files import write_fold, write_index
    from prosam.data.folds import counted, image_classes, make_fold
    from prosam.files import atomic_folder
    from prosam.progress import track

    data = open_dataset(layout.raw(dataset))
    images: list[tuple[Split, str]] = [(split, image) for split in SPLITS for image in data.image_ids(split)]
    shown = track(images, f"{dataset} index", len(images), "image")
    index = [row for split, image in shown for row in image_classes(data, split, image)]
    val_images = data.image_ids("val")
    with atomic_folder(layout.folds(dataset)) as folder:
        write_index(folder / "index.csv", counted(index, protocol.min_area))
        for number in range(protocol.folds):
            fold = make_fold(data.classes, index, protocol, number)
            write_fold(folder / f"fold-{number}.json", fold)
            episodes = freeze_episodes(
                fold.test, val_images, settings.episodes, seed=settings.seed, fold=number, purpose="test"
            )
            write_episodes(folder / f"episodes-{number}.csv", episodes)
            monitor = freeze_episodes(
                fold.monitor,
                val_images,
                settings.monitor_episodes,
                seed=settings.seed,
                fold=number,
                purpose="monitor",
            )
            write_episodes(folder / f"monitor-{number}.csv", monitor)


if __name__ == "__main__":
    console.run(folds)
