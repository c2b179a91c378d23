"""Put a trained run into use unless it is worse than the model in use. It is no stage, since it depends on the past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.errors import InputError
from prosam.params import Params, load_params
from tasks.arguments import dataset_params, known, known_fold

if TYPE_CHECKING:
    from prosam.data.episodes import Episode
    from prosam.registry.promotion import EpisodeScores, PromotionDecision
    from tasks.inputs import RunInputs


def promote(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="Its classes are the novel ones.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the model in use without comparison.")] = False,
    keep: Annotated[int | None, typer.Option(min=1, help="How many older models to keep; by default all.")] = None,
) -> None:
    """Compare a trained and evaluated run with the model in use, and put it into use unless it is worse.

    The model in use is in_use/DATASET/RUN/FOLD/current. Older models lie beside it under their numbers, and
    history.jsonl records the decisions. The new model is refused only if it is significantly worse: the 95% interval of
    its mIoU minus the old model's, paired on the current frozen episodes, lies wholly below zero.

    Example: `python -m tasks.promote shapes-5i prosam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, dataset), fold)
    known("run", run, params.runs)
    candidate = _Candidate(params, dataset, run, fold)

    from prosam.registry.in_use import ModelsInUse, identity
    from prosam.registry.promotion import PromotionDecision

    new = identity(candidate.model, candidate.remedy)
    models = ModelsInUse(layout.in_use(dataset, run, fold))
    with models.alone(candidate.name):
        current = models.current if models.number() is not None else None
        old = identity(current, "replace it with `--force`") if current else None
        if old is not None and old["sha256"] == new["sha256"]:
            verdict = PromotionDecision("unchanged", "this model is in use")
        else:
            verdict = candidate.judge(current, force=force)
        record = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **verdict.record(), "new": new, "old": old}
        if verdict.choice in ("first", "replaced"):
            models.replace(candidate.model, record, keep=keep)
        else:
            models.tell(record)
    print(f"{candidate.name}: {verdict.text}")


class _Candidate:
    """A trained and evaluated run."""

    def __init__(self, params: Params, dataset: str, run: str, fold: int):
        self._params, self._dataset, self._run = params, dataset, run
        self._inputs_by_grid: dict[str, RunInputs] = {}
        self._episodes = layout.folds(dataset) / f"episodes-{fold}.csv"
        self._results = layout.results(dataset, run, fold)
        self._seed = (params.report.seed, fold)  # the report's resamples
        self.model = layout.model(dataset, run, fold)
        self.name = f"promote {dataset} {run} fold {fold}"
        self.remedy = f"run `dvc repro evaluate@{dataset}-{run}-{fold}`"

    def judge(self, in_use: Path | None, *, force: bool) -> PromotionDecision:
        """Decide by the run's results and those of the model in use on the same episodes. The model in use is run now.

        Raises:
            InputError: the results are missing, or belong to another model or other episodes; or the model in use
                cannot be scored with the current parameters.
        """
        import numpy as np

        from prosam.data.episodes import read_episodes
        from prosam.evaluation.columns import EPISODES
        from prosam.registry.promotion import PromotionDecision, decide, read_scores

        path = self._results / EPISODES
        new, episodes = read_scores(path, self.remedy), read_episodes(self._episodes)
        if new.episodes != tuple(episodes):
            raise InputError(f"{path}: holds other episodes than {self._episodes}; {self.remedy}")
        if why := self._incomparable(self.model, episodes):
            raise InputError(f"{self.model}: is out of date, since {why}; {self.remedy}")
        some = episodes[: self._params.evaluate.batch_size]
        if not new.agrees_with(self._score(self.model, some)):
            raise InputError(f"{path}: does not belong to the model in {self.model}; {self.remedy}")
        if in_use is None:
            return PromotionDecision("first", "there was none", len(episodes), new.miou)
        if force:
            return PromotionDecision("replaced", "without comparison", len(episodes), new.miou)
        if why := self._incomparable(in_use, episodes):
            raise InputError(f"{in_use}: cannot be compared, since {why}; replace it without comparison: `--force`")
        old = self._score(in_use, episodes, progress=True)
        return decide(new, old, replicates=self._params.report.bootstrap, rng=np.random.default_rng(self._seed))

    def _score(self, model: Path, episodes: Sequence[Episode], *, progress: bool = False) -> EpisodeScores:
        from prosam.checkpoints.trained import load_model
        from prosam.evaluation.evaluate import evaluate_episodes
        from prosam.progress import track
        from prosam.registry.promotion import EpisodeScores

        inputs = self._inputs(model)
        outcomes = evaluate_episodes(
            {"run": load_model(model, inputs.models)},
            inputs.tensors(inputs.masks("val")),
            episodes,
            self._params.evaluate.batch_size,
        )
        shown = track(outcomes, self.name, len(episodes), "episode") if progress else outcomes
        return EpisodeScores.of((episode, by_name["run"].overlap) for episode, by_name in shown)

    def _incomparable(self, model: Path, episodes: Sequence[Episode]) -> str:
        from prosam.checkpoints.trained import read_description
        from prosam.registry.promotion import incomparable

        inputs, models = self._inputs(model), self._params.models
        return incomparable(
            read_description(model),
            kind=self._params.runs[self._run].kind,
            sam=inputs.sam,
            backbone=inputs.backbone,
            image_size=models.size,
            upsampling=models.upsampling,
            tested=[inputs.dataset.classes[episode.class_id - 1] for episode in episodes],
        )

    def _inputs(self, model: Path) -> RunInputs:
        """The inputs of evaluate, with references brought to the feature grid as when the model was trained."""
        from prosam.checkpoints.trained import read_description
        from tasks.inputs import RunInputs

        run = self._params.runs[self._run]
        grid = read_description(model).get("run", {}).get("annotation_grid", run.annotation_grid)
        if grid not in self._inputs_by_grid:
            runs = {**self._params.runs, self._run: run.model_copy(update={"annotation_grid": grid})}
            as_trained = self._params.model_copy(update={"runs": runs})
            self._inputs_by_grid[grid] = RunInputs(as_trained, self._dataset, self._run)
        return self._inputs_by_grid[grid]


if __name__ == "__main__":
    console.run(promote)
