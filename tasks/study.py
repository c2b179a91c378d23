"""Stage study: measure a trained run on the frozen episodes beyond its mIoU (prosam/studies)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import STUDY_NAMES, load_params
from tasks.arguments import dataset_params, known, known_fold

if TYPE_CHECKING:
    from prosam.studies.study import StudyRow


def study(
    study: Annotated[str, typer.Argument(help="A study in prosam/studies, such as prompt_noise.")],
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="Its classes are the novel ones.")],
) -> None:
    """Make a study of a trained run; write results/DATASET/RUN/FOLD/STUDY/rows.parquet.

    Example: `python -m tasks.study prompt_noise shapes-5i prosam 0`
    """
    params = load_params()
    known("study", study, STUDY_NAMES)
    known_fold(dataset_params(params, dataset), fold)
    known("run", run, params.runs)

    from prosam.checkpoints.trained import load_model
    from prosam.data.episodes import read_episodes
    from prosam.studies.declaration import declared
    from prosam.studies.study import Subject
    from prosam.studies.write import write_study
    from tasks.inputs import RunInputs

    declaration, made = declared(study), import_module(f"prosam.studies.{study}.rows")
    inputs = RunInputs(params, dataset, run, image_encoder=declaration.image_encoder)
    masks = inputs.masks("val")
    subject = Subject(
        load_model(layout.model(dataset, run, fold), inputs.models),
        inputs.tensors(masks),
        masks,
        read_episodes(layout.folds(dataset) / f"episodes-{fold}.csv"),
        batch=params.evaluate.batch_size,
        seed=params.studies.seed,
    )
    rows = made.rows(subject, getattr(params.studies, study))
    shown = _by_episode(rows, f"{study} {dataset} {run} fold {fold}", len(subject.episodes))
    write_study(layout.study(dataset, run, fold, study), shown, declaration)


def _by_episode(rows: Iterable[StudyRow], name: str, episodes: int) -> Iterator[StudyRow]:
    """The rows, with a progress bar of the episodes that they are about."""
    from prosam.progress import Progress

    with Progress(name, episodes, "episode") as progress:
        done = 0
        for row in rows:
            for _ in range(int(row["episode"]) - done):
                progress.advance()
                done += 1
            yield row


if __name__ == "__main__":
    console.run(study)
