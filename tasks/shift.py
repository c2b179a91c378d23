"""Stage shift: test a run on another data set, on classes that it was not trained on (paper, table 3)."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.distributed.launch import in_processes
from prosam.errors import InputError
from prosam.params import load_params
from tasks.arguments import dataset_params, known, known_fold


def shift(
    train: Annotated[str, typer.Argument(help="The data set that the run was trained on.")],
    test: Annotated[str, typer.Argument(help="The data set to test on.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="A fold of the data set that the run was trained on.")],
) -> None:
    """Evaluate a trained run under a domain shift; write results/TRAIN-to-TEST/RUN/FOLD.

    It is tested on the classes of TEST whose names are not among the fold's base classes in TRAIN. If nothing is ever
    trained on TEST, the episodes are those of its own fold 0.

    Example: `python -m tasks.shift coco-20i pascal-5i prosam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, train), fold)
    protocol = dataset_params(params, test).protocol
    known("run", run, params.runs)
    if in_processes(params, "tasks.shift", train, test, run, fold):
        return

    from prosam.data.class_names import unseen_classes
    from prosam.data.fold_files import read_fold, read_index
    from prosam.data.folds import images_with_pairs
    from prosam.data.freezing import frozen_test
    from prosam.data.published_lists import read_published_lists
    from tasks.inputs import RunInputs
    from tasks.scoring import score

    trained = read_fold(layout.folds(train) / f"fold-{fold}.json")
    inputs = RunInputs(params, test, run)
    classes = unseen_classes(inputs.dataset.classes, [trained.classes[i - 1] for i in trained.base])
    index = [row for row in read_index(layout.folds(test) / "index.csv") if row.split == "val"]
    images = images_with_pairs(index, classes)
    if not images:
        raise InputError(f"{test}: all classes with two val images are base classes of fold {fold} of {train}")
    alone = protocol.classes == "tested"  # then runs trained on any fold, and rivals, have the same episodes
    episodes = frozen_test(
        images,
        inputs.dataset.image_ids("val"),
        protocol,
        params.folds,
        published=read_published_lists(layout.raw(test)).episodes,
        classes=classes,
        fold=0 if alone else fold,
        purpose="test" if alone else "shift",
    )
    name = layout.shift(train, test)
    score(
        params,
        run,
        inputs,
        episodes,
        model=layout.model(train, run, fold),
        results=layout.results(name, run, fold),
        name=f"shift {name} {run} fold {fold}",
    )


if __name__ == "__main__":
    console.run(shift)
