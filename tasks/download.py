"""Stage download: put a data set on disk, in the same form for every source."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import load_params
from tasks.arguments import dataset_params


def download(dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")]) -> None:
    """Generate, download or import a data set; write it to data/raw/DATASET.

    Images of public data sets stay in data/sources/DATASET, or in `data_root`. Files that are already there are kept,
    and interrupted downloads are resumed.

    Example: `python -m tasks.download shapes-5i`
    """
    settings = dataset_params(load_params(), dataset).download

    from prosam.data.catalog.source import source_of
    from prosam.seals import sealed_folder

    with sealed_folder(layout.raw(dataset)) as folder:
        source_of(settings.source).write(folder, dataset, settings)


if __name__ == "__main__":
    console.run(download)
