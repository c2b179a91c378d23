"""Stage train: train the prompt encoder of one run on one fold."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam.cli import console
from prosam.distributed.launch import in_processes
from prosam.params import load_params
from tasks.arguments import dataset_params, known, known_fold


def train(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="Its classes are the novel ones.")],
) -> None:
    """Train a prompt encoder on a fold's base classes; write it to models/DATASET/RUN/FOLD.

    If killed and started again, it resumes from its last checkpoint and ends with the same bytes. With `processes` in
    params.yaml, or if started by torchrun, several processes train together.

    Example: `python -m tasks.train shapes-5i prosam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, dataset), fold)
    known("run", run, params.runs)
    if in_processes(params, "tasks.train", dataset, run, fold, batch=params.training(dataset, run).batch_size):
        return

    from tasks.training import train_run

    train_run(params, dataset, run, fold)


if __name__ == "__main__":
    console.run(train)
