"""Stage annotations: draw annotations of a run's kind from the masks."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import load_params
from tasks.arguments import dataset_params, known


def draw_annotations(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs` or `rivals` in params.yaml.")],
) -> None:
    """Write data/annotations/DATASET/RUN: train.parquet and test.parquet.

    Runs with the same kind of annotation share the drawings.

    Example: `python -m tasks.annotations shapes-5i prosam`
    """
    params = load_params()
    dataset_params(params, dataset)
    kind = params.kind(known("run", run, [*params.runs, *params.rivals]))

    from prosam.closure import digest_of_code
    from prosam.data.drawn_once import draw_once
    from prosam.data.fold_files import read_index
    from prosam.data.open import open_dataset
    from prosam.files import digest_of_files

    data = open_dataset(layout.raw(dataset))
    index = layout.folds(dataset) / "index.csv"
    draw_once(
        layout.annotations(dataset, run),
        data,
        read_index(index),
        kind,
        params.annotations,
        made_by={
            "code": digest_of_code("tasks.annotations"),
            "content": digest_of_files([*data.label_files(), index]),
        },
        scratch=layout.scratch(),
        name=f"{dataset} {kind}",
    )


if __name__ == "__main__":
    console.run(draw_annotations)
