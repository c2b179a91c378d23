"""Stage folds: divide classes and images into folds, and freeze the episodes."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.errors import InputError
from prosam.params import load_params
from tasks.arguments import dataset_params


def folds(dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")]) -> None:
    """Write data/folds/DATASET: index.csv, and for each fold N fold-N.json, its frozen episodes and their references.

    The episodes are in episodes-N.csv (novel classes) and monitor-N.csv (base classes). With several shots,
    references-N.csv has the further references of the former.

    Example: `python -m tasks.folds shapes-5i`
    """
    params = load_params()
    protocol, settings = dataset_params(params, dataset).protocol, params.folds

    from prosam.data.dataset import SPLITS, Split
    from prosam.data.episodes import classes_of_images, freeze_episodes, write_episodes
    from prosam.data.fold_files import write_fold, write_index
    from prosam.data.folds import counted, image_classes, make_fold
    from prosam.data.freezing import frozen_test, validation_targets
    from prosam.data.open import open_dataset
    from prosam.data.published_lists import read_published_lists
    from prosam.data.shots import too_few_references, write_further_references
    from prosam.progress import track
    from prosam.remarks import remark
    from prosam.seals import sealed_folder

    data, lists = open_dataset(layout.raw(dataset)), read_published_lists(layout.raw(dataset))
    images: list[tuple[Split, str]] = [(split, image) for split in SPLITS for image in data.image_ids(split)]
    shown = track(images, f"{dataset} index", len(images), "image")
    index = [row for split, image in shown for row in image_classes(data, split, image)]
    val_images = data.image_ids("val")

    with sealed_folder(layout.folds(dataset)) as folder:
        write_index(folder / "index.csv", counted(index, protocol.min_area))
        for number in range(protocol.num_folds):
            try:
                fold = make_fold(data.classes, index, protocol, number, lists.folds)
                test = frozen_test(
                    fold.test,
                    val_images,
                    protocol,
                    settings,
                    published=lists.episodes,
                    classes=fold.novel,
                    fold=number,
                    purpose="test",
                )
            except InputError as error:
                raise InputError(f"{dataset}: {error}") from error
            write_fold(folder / f"fold-{number}.json", fold)
            monitor = freeze_episodes(
                fold.monitor,
                val_images,
                settings.monitor_episodes,
                targets=validation_targets(protocol),
                seed=settings.seed,
                fold=number,
                purpose="monitor",
            )
            if few := too_few_references(test, settings.shots[-1]):
                remark(few, f"{dataset}, fold {number}")
            write_episodes(folder / f"episodes-{number}.csv", test)
            write_further_references(folder / f"references-{number}.csv", test)
            write_episodes(folder / f"monitor-{number}.csv", monitor)
            train_images, test_images = (len(classes_of_images(dealt)) for dealt in (fold.train, fold.test))
            print(
                f"fold {number}: "
                + (f"{train_images} images of {len(fold.train)} base classes to train on, " if fold.base else "")
                + f"{test_images} images of {len(fold.test)} novel classes to test on"
            )


if __name__ == "__main__":
    console.run(folds)
