"""Stage evaluate: test a trained run on the frozen episodes of its fold's novel classes."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.distributed.launch import in_processes
from prosam.params import load_params
from tasks.arguments import dataset_params, known, known_fold


def evaluate(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="Its classes are the novel ones.")],
) -> None:
    """Evaluate a trained run together with trivial baselines; write results/DATASET/RUN/FOLD.

    Example: `python -m tasks.evaluate shapes-5i prosam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, dataset), fold)
    known("run", run, params.runs)
    if in_processes(params, "tasks.evaluate", dataset, run, fold):
        return

    from tasks.frozen import frozen_episodes
    from tasks.inputs import RunInputs
    from tasks.scoring import score

    score(
        params,
        run,
        RunInputs(params, dataset, run),
        frozen_episodes(params, dataset, fold),
        model=layout.model(dataset, run, fold),
        results=layout.results(dataset, run, fold),
        name=f"evaluate {dataset} {run} fold {fold}",
    )


if __name__ == "__main__":
    console.run(evaluate)
