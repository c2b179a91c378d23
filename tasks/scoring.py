"""The common part of evaluate and shift: test a trained run and trivial baselines on a list of episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from prosam.checkpoints.trained import load_model, read_description
from prosam.data.episodes import Episode
from prosam.distributed.ranks import joined
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.evaluation.results import episode_rows, write_results
from prosam.evaluation.shots import logits_at_shots
from prosam.features.pairs import Targets
from prosam.methods.prompting import build_prompt_method
from prosam.methods.trivial import AllForeground, CopiedAnnotation, ThresholdedPseudoMask
from prosam.params import Params
from prosam.progress import track
from tasks.inputs import RunInputs


def score(
    params: Params,
    run: str,
    inputs: RunInputs,
    episodes: Sequence[Episode],
    *,
    model: Path,
    results: Path,
    name: str,
) -> None:
    """Write metrics.json and episodes.parquet. If there are several processes, each takes its share of the episodes.

    With several shots in `folds.shots`, the run is tested with as many references as well, by each way of fusion.

    Args:
        params: all parameters.
        run: a key of `runs`.
        inputs: the data set for the test, and the run's frozen models.
        episodes: episodes of that data set.
        model: folder of the trained run.
        results: folder to write.
        name: name of the work, for its progress bar.
    """
    initial_seed = read_description(model)["train"]["seed"]
    trained = load_model(model, inputs.models)
    methods = {
        "run": trained,
        "all-foreground": AllForeground(),
        "copied-mask": CopiedAnnotation(params.models.size),
        "pseudo-mask": ThresholdedPseudoMask(params.evaluate.pseudo_mask_threshold),
        "untrained": build_prompt_method(params.runs[run], inputs.models, seed=initial_seed),
    }
    tensors = inputs.tensors(inputs.masks("val"))
    batch = params.evaluate.batch_size
    several = params.folds.several
    with joined(inputs.models.device) as ranks:

        def at_shots(part: Sequence[Episode], targets: Targets) -> Mapping[str, Tensor]:
            return logits_at_shots(trained, tensors, part, targets, several)

        def rows_of(part: Sequence[Episode]) -> Iterator[dict[str, Any]]:
            outcomes = evaluate_episodes(methods, tensors, part, batch, at_shots if several else None)
            shown = track(outcomes, name, len(part), "episode", shown=ranks.first)
            return episode_rows(shown, inputs.dataset.classes, run="run")

        rows = ranks.in_batches(episodes, batch, rows_of)
    if ranks.first:
        write_results(results, rows)
