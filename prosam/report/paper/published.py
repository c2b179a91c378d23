"""Published numbers, as printed: published.csv has the paper's tables with their slips, and other papers' numbers.

Rows of the paper's tables have the number of their table. The other rows are about methods that a report can have
beside the paper's; their numbers are those of the sources that the rows name.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FOLDS = 4


@dataclass(frozen=True)
class PublishedRow:
    """A row of one of the paper's tables, or a method's numbers from elsewhere.

    Attributes:
        table: its number in the paper; None if the numbers are from elsewhere.
        data: `pascal-5i` or `coco-20i`.
        method: as printed.
        kind: of the reference's annotation.
        backbone: as printed; empty where the table does not say. From elsewhere: all frozen models.
        parameters: trainable ones, as printed; empty where the table does not say.
        run: the key of `runs` in params.yaml that repeats it, or the method of its `rivals`; empty for methods that are
            not here.
        strategy: of inference, in table 8.
        quantity: `miou`, or `tpr`, `tnr`, `fpr`, `fnr` in table 6; percent.
        folds: the value of each fold; None where the table has none.
        mean: as printed; None where the table has none.
        note: what is wrong with the numbers; empty when nothing is.
        shots: number of references.
        source: where the numbers are printed.
        remark: what else is to be known for a comparison; empty when nothing is.
    """

    table: int | None
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
    shots: int
    source: str
    remark: str

    @property
    def by_the_authors(self) -> bool:
        """Whether the paper's authors ran it; the numbers of the others are those of other papers."""
        return self.table is not None and self.method.startswith(("ProSAM", "VRP-SAM"))


def published_rows() -> tuple[PublishedRow, ...]:
    """The paper's, in the order of its tables.

    Table 3 is described in the paper, but its numbers are not in the text.
    """
    return tuple(row for row in _all_rows() if row.table is not None)


def published_elsewhere() -> tuple[PublishedRow, ...]:
    """Numbers of methods that are not, or differ, in the paper's tables, with one shot and with five."""
    return tuple(row for row in _all_rows() if row.table is None)


@cache
def _all_rows() -> tuple[PublishedRow, ...]:
    text = (files("prosam.report.paper") / "published.csv").read_text(encoding="utf-8")
    return tuple(_row(entry) for entry in csv.DictReader(text.splitlines()))


def _row(entry: dict[str, str]) -> PublishedRow:
    return PublishedRow(
        table=int(entry["table"]) if entry["table"] else None,
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
        shots=int(entry["shots"]),
        source=entry["source"],
        remark=entry["remark"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
