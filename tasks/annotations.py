"""Stage annotations: draw the annotations of one kind from the masks."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import console, layout
from prosam.params import load_params
from tasks.arguments import annotation_kind, dataset_params


def draw_annotations(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    kind: Annotated[str, typer.Argument(help="point, scribble, box or mask.")],
) -> None:
    """Write data/annotations/DATASET/KIND: train.parquet and test.parquet.

    Example: python -m tasks.annotations shapes-5i point
    """
    params = load_params()
    dataset_params(params, dataset)
    checked_kind = annotation_kind(kind)

    from prosam.data.annotating import annotate
    from prosam.data.annotations import write_annotations
    from prosam.data.dataset import open_dataset
    from prosam.data.fold_files import read_index
    from prosam.files import atomic_folder
    from prosam.progress import track

    data = open_dataset(layout.raw(dataset))
    index = read_index(layout.folds(dataset) / "index.csv")
    with atomic_folder(layout.annotations(dataset, checked_kind)) as folder:
        for split, file in (("train", "train.parquet"), ("val", "test.parquet")):
            rows = [row for row in index if row.split == split]
            drawn = annotate(data, rows, checked_kind, params.annotations)
            shown = track(drawn, f"{dataset} {kind} {split}", len(rows), "mask")
            write_annotations(folder / file, (annotation for of_row in shown for annotation in of_row))


if __name__ == "__main__":
    console.run(draw_annotations)
