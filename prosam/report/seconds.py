"""The page of seconds: how long methods that train nothing took on this machine.

Seconds are other ones each time that a stage runs, so they are in no output of a stage, and the report, which is a
function of such outputs, does not contain them. This page lies beside the report and is written anew with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from prosam import layout
from prosam.params import Params
from prosam.report.inputs import read_file
from prosam.report.render import environment
from prosam.report.scores.table import Cell, Table, TableRow

_PAGE = "index.html"


def seconds_page(params: Params) -> str | None:
    """The page about all methods that params.yaml's pipeline names; None if no seconds are known.

    Raises:
        InputError: a file is damaged.
    """
    datasets = [*params.pipeline.datasets, *params.pipeline.compared]
    tables = [table for dataset in datasets if (table := _table(params, dataset))]
    if not tables:
        return None
    return environment(autoescape=True).get_template("seconds.html.j2").render(tables=tables)


def write_seconds_page(params: Params, folder: Path = layout.SECONDS) -> Path | None:
    """Write the page into the folder of seconds, unless there is nothing to say."""
    page = seconds_page(params)
    if page is None:
        return None
    (folder / _PAGE).write_text(page, encoding="utf-8", newline="\n")
    return folder / _PAGE


def _table(params: Params, dataset: str) -> Table | None:
    """A row for each method; each fold counts alike."""
    measured = {rival: list(_measured(params, dataset, rival)) for rival in params.pipeline.rivals}
    measured = {rival: folds for rival, folds in measured.items() if folds}
    if not measured:
        return None
    shots = [count for count in params.folds.shots if all(f"find-{count}" in f["seconds"] for f in _all(measured))]
    columns = ["an image"]
    for count in shots:
        of = f"{count} shot{'s' if count > 1 else ''}"
        columns += [f"learn, {of}", f"find, {of}", f"a target, {of}"]
    rows = tuple(TableRow(rival, "rival", tuple(_cells(folds, shots))) for rival, folds in measured.items())
    machines = dict.fromkeys(
        f"{f['device']}, {f['threads']} thread{'s' if f['threads'] > 1 else ''}" for f in _all(measured)
    )
    encoders = {rival: folds[0]["embeddings"] for rival, folds in measured.items()}
    stored = [rival for rival, embeddings in encoders.items() if embeddings == "stored"]
    without = (
        f" SAM's encoder is not in the seconds of {', '.join(stored)}: its embeddings were stored." if stored else ""
    )
    caption = (
        f"Seconds on {' and '.join(machines)}. An image: what the frozen models compute of it. Learn: once for the "
        f"references. A target: its image, and finding the object in it.{without}"
    )
    return Table(dataset, f"Seconds on {dataset}", caption, "method", tuple(columns), rows, unit="seconds")


def _all(measured: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    return (fold for folds in measured.values() for fold in folds)


def _measured(params: Params, dataset: str, rival: str) -> Iterator[dict[str, Any]]:
    for fold in params.pipeline.folds:
        path = layout.seconds(dataset, rival, fold)
        if path.is_file():
            stage = f"--force rival@{dataset}-{rival}-{fold}"
            yield read_file(path, lambda path=path: json.loads(path.read_text(encoding="utf-8")), stage)


def _cells(folds: list[dict[str, Any]], shots: list[int]) -> Iterator[Cell]:
    def mean(part: str) -> float:
        return float(np.mean([fold["seconds"][part] for fold in folds]))

    yield Cell(mean("image"), decimals=3)
    for count in shots:
        learnt, found = mean(f"learn-{count}"), mean(f"find-{count}")
        yield from (Cell(value, decimals=3) for value in (learnt, found, mean("image") + found))
