"""The verification study (section 5.3, figure 4): is the middle of a learnt distribution a better place for prompts?

It needs no trained run, so it is a stage of its own. A start writes `SUMMARY` and the table `PROMPTS`, with the columns
`PROMPT_COLUMNS` and, for each noise, `noise_column`:

| column                 | meaning                                                                                 |
|------------------------|-----------------------------------------------------------------------------------------|
| `start`                | its number                                                                              |
| `origin`, `number`     | one of `ORIGINS`, and which of its prompts                                              |
| `steps`                | that a direct prompt took; empty for the others                                         |
| `x`, `y`               | where t-SNE puts the prompt                                                             |
| `iou`, `bce`           | of its mask                                                                             |
| `rms`                  | root mean square of its entries                                                         |
| `iou.<kind>_<size>`    | mean IoU with Gaussian noise on the prompt                                              |
"""

from __future__ import annotations

PROMPTS, SUMMARY = "prompts.parquet", "summary.json"

ORIGINS = ("direct", "sample", "mean")
"""Prompts learnt each for itself, samples of the learnt distribution, and its mean."""

PROMPT_COLUMNS = ("start", "origin", "number", "steps", "x", "y", "iou", "bce", "rms")

_NOISE = "iou."


def noise_column(kind: str, size: float) -> str:
    """The column of the IoU under a noise, such as `iou.absolute_0.25`; `kind` is `absolute` or `relative`."""
    return f"{_NOISE}{kind}_{size:g}"


def noise_of(column: str) -> tuple[str, str] | None:
    """Kind and size, as written, of a column that `noise_column` names; None of any other column."""
    if not column.startswith(_NOISE):
        return None
    kind, _, size = column.removeprefix(_NOISE).partition("_")
    return kind, size
