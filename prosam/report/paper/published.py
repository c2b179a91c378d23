"""The paper's tables, as printed: published.csv, with the slips that its numbers show."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FOLDS = 4


@dataclass(frozen=True)
class PublishedRow:
    """A row of one of the paper's tables.

    Attributes:
        table: its number in the paper.
        data: `pascal-5i` or `coco-20i`.
        method: as printed.
        kind: of the reference's annotation.
        backbone: as printed; empty where the table does not say.
        parameters: trainable ones, as printed; empty where the table does not say.
        run: the key of `runs` in params.yaml that repeats it; empty for methods that are not here.
        strategy: of inference, in table 8.
        quantity: `miou`, or `tpr`, `tnr`, `fpr`, `fnr` in table 6; percent.
        folds: the value of each fold; None where the table has none.
        mean: as printed; None where the table has none.
        note: what is wrong with the numbers; empty when nothing is.
    """

    table: int
    data: str
    method: str
    kind: str
    backbone: str
    parameters: str
    run: str
    strategy: str
    quantity: str
    folds: tuple[float | None, ...]
    mean: float | None
    note: str

    @property
    def by_the_authors(self) -> bool:
        """Whether the paper's authors ran it; the numbers of the others are those of other papers."""
        return self.method.startswith(("ProSAM", "VRP-SAM"))


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All rows, in the order of the tables. Table 3 is described in the paper, but its numbers are not in the text."""
    text = (files("prosam.report.paper") / "published.csv").read_text(encoding="utf-8")
    return tuple(_row(entry) for entry in csv.DictReader(text.splitlines()))


def _row(entry: dict[str, str]) -> PublishedRow:
    return PublishedRow(
        table=int(entry["table"]),
        data=entry["data"],
        method=entry["method"],
        kind=entry["kind"],
        backbone=entry["backbone"],
        parameters=entry["parameters"],
        run=entry["run"],
        strategy=entry["strategy"],
        quantity=entry["quantity"],
        folds=tuple(_number(entry[f"fold_{fold}"]) for fold in range(FOLDS)),
        mean=_number(entry["mean"]),
        note=entry["note"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
