"""What each study writes: declared here for the study itself and for the report, which reads it without PyTorch.

A study goes by one name everywhere, here `blur`:

| where                             | what                                                                          |
|-----------------------------------|-------------------------------------------------------------------------------|
| `prosam/params/studies.py`        | the field `blur` of `StudiesParams`: the types of its settings                |
| `params.yaml`                     | `studies.blur`: their values; `pipeline.studies` says whether the study is made |
| `prosam/studies/blur/__init__.py` | `STUDY`: its columns                                                          |
| `prosam/studies/blur/rows.py`     | `rows(subject, settings)`: what it measures                                   |
| `prosam/report/studies/blur.py`   | `blur_part(studied)`: its part of the report                                  |
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from prosam.evaluation.columns import COUNTS

ROWS = "rows.parquet"

PIXELS = (*COUNTS, "iou")
"""The columns that `pixel_rows` adds to those of a condition."""


@dataclass(frozen=True)
class Study:
    """The table of a study: a row for each episode and condition.

    Attributes:
        measured: its columns besides `episode`, the number in the frozen list, and `class_id`.
        once: a column and its values; every episode of the fold has exactly one row with each value.
        image_encoder: whether the study embeds images, which takes SAM's image encoder.
    """

    measured: tuple[str, ...]
    once: tuple[str, tuple[str, ...]] | None = None
    image_encoder: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in order."""
        return ("episode", "class_id", *self.measured)


def declared(name: str) -> Study:
    """The declaration of a study, one of `prosam.params.STUDY_NAMES`."""
    return import_module(f"prosam.studies.{name}").STUDY
