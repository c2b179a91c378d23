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
    from prosam.evaluation import evaluate_episodes
    from prosam.methods.prompting import build_prompt_method
    from prosam.methods.trivial import AllForeground, CopiedAnnotation, ThresholdedPseudoMask
    from prosam.model_files import load_model
    from prosam.progress import track
    from prosam.results import write_results
    from tasks.inputs import RunInputs

    inputs = RunInputs(params, dataset, annotated, run)
    episodes = read_episodes(layout.folds(dataset) / f"episodes-{fold}.csv")
    methods = {
        "run": load_model(layout.model(dataset, kind, run, fold), inputs.models),
        "all-foreground": AllForeground(),
        "copied-mask": CopiedAnnotation(params.models.image_size),
        "pseudo-mask": ThresholdedPseudoMask(params.evaluate.pseudo_mask_threshold),
        "untrained": build_prompt_method(params.runs[run], inputs.models, seed=params.training(run).seed),
    }
    tensors = inputs.tensors(inputs.annotations("val"))
    outcomes = evaluate_episodes(methods, tensors, inputs.dataset, episodes, params.evaluate.batch_size)
    name = f"evaluate {dataset} {kind} {run} fold {fold}"
    write_results(
        layout.results(dataset, kind, run, fold),
        track(outcomes, name, len(episodes), "episode"),
        inputs.dataset.classes,
        run="run",
    )


if __name__ == "__main__":
    console.run(evaluate)
