"""Stage evaluate: a trained run on the frozen episodes of its fold's novel classes."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import console, layout
from prosam.params import load_params
from tasks.arguments import annotation_kind, dataset_params, known, known_fold


def evaluate(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    kind: Annotated[str, typer.Argument(help="The references' annotation kind.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="Its classes are the novel ones.")],
) -> None:
    """Evaluate a trained run, and trivial baselines beside it, in results/DATASET/KIND/RUN/FOLD.

    Example: `python -m tasks.evaluate shapes-5i mask prosam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, dataset), fold)
    known("run", run, params.runs)
    annotated = annotation_kind(kind)

    from prosam.data.episodes import read_episodes
    from tasks.inputs import RunInputs
    from tasks.scoring import score

    score(
        params,
        run,
        RunInputs(params, dataset, annotated, run),
        read_episodes(layout.folds(dataset) / f"episodes-{fold}.csv"),
        model=layout.model(dataset, kind, run, fold),
        results=layout.results(dataset, kind, run, fold),
        name=f"evaluate {dataset} {kind} {run} fold {fold}",
    )


if __name__ == "__main__":
    console.run(evaluate)
