"""The files of an evaluation: metrics.json, and a row for each episode in episodes.parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prosam.data.episodes import Episode
from prosam.data.formats.masks import encode
from prosam.evaluation.columns import (
    EPISODES,
    METRIC_KEYS,
    METRICS,
    REFERENCES,
    SCORED_COUNTS,
    SHOTS,
    episode_columns,
    of_baseline,
    shots_of,
)
from prosam.evaluation.evaluate import Outcome
from prosam.evaluation.metrics import fb_iou, miou, per_class_iou
from prosam.files import write_text
from prosam.seals import sealed_folder

EpisodeRow = dict[str, Any]
"""A line of episodes.parquet: column to value."""


def episode_rows(
    outcomes: Iterable[tuple[Episode, dict[str, Outcome]]], classes: Sequence[str], *, run: str
) -> Iterator[EpisodeRow]:
    """What is kept of each episode.

    Args:
        outcomes: each episode with the outcome of each method.
        classes: names in class-id order.
        run: the method whose outcome the row is about. The others are baselines beside it, or the run at several shots;
            their columns are prefixed.
    """
    return (_row(episode, by_name, classes, run) for episode, by_name in outcomes)


def write_results(folder: Path, rows: Iterable[EpisodeRow], beside: Mapping[str, Any] | None = None) -> None:
    """Write an evaluation, all or nothing.

    Args:
        folder: of the results.
        rows: of all episodes, in their order.
        beside: contents of further JSON files, by name.

    Raises:
        ValueError: the rows have other columns than `episode_columns` declares.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"episode": number, **row} for number, row in enumerate(rows)]
    suffix = of_baseline("", SCORED_COUNTS[0])
    others = [column.removesuffix(suffix) for column in rows[0] if column.endswith(suffix)]
    shots = [name for name in others if shots_of(name)]
    baselines = [name for name in others if name not in shots]
    columns = episode_columns(baselines, shots)
    if tuple(rows[0]) != columns:
        raise ValueError(f"an episode's columns are {', '.join(rows[0])}, but declared are {', '.join(columns)}")
    table = {column: [row[column] for row in rows] for column in columns}
    ious = per_class_iou(table["intersection"], table["union"], table["class_id"])
    names = dict(zip(table["class_id"], table["class_name"], strict=True))
    own = _scores(table, SCORED_COUNTS)
    by_name = {name: _scores(table, [of_baseline(name, count) for count in SCORED_COUNTS]) for name in others}
    by_baseline, by_shots = ({name: by_name[name] for name in names} for names in (baselines, shots))
    by_class = {names[i]: _percent(value) for i, value in ious.items()}
    values = (own["miou"], own["fb_iou"], by_class, len(rows), by_baseline)
    metrics = dict(zip(METRIC_KEYS, values, strict=True)) | ({SHOTS: by_shots} if shots else {})
    with sealed_folder(folder) as new:
        pq.write_table(pa.table(table), new / EPISODES, compression="zstd")
        for name, content in {METRICS: metrics, **(beside or {})}.items():
            write_text(new / name, json.dumps(content, indent=2) + "\n")


def _row(episode: Episode, by_name: dict[str, Outcome], classes: Sequence[str], run: str) -> EpisodeRow:
    outcome = by_name[run]
    height, width = outcome.prediction.shape
    row = {
        "class_id": episode.class_id,
        "class_name": classes[episode.class_id - 1],
        "reference": episode.reference,
        "target": episode.target,
        "height": height,
        "width": width,
        **asdict(outcome.overlap),
        "iou": outcome.overlap.iou,
        "prediction": encode(outcome.prediction),
    }
    if any(shots_of(name) for name in by_name):
        row[REFERENCES] = len(episode.references)
    for name, other in by_name.items():
        if name != run:
            row |= {of_baseline(name, count): value for count, value in asdict(other.overlap).items()}
    return row


def _scores(table: dict[str, list[Any]], counts: Sequence[str]) -> dict[str, float]:
    """In percent, from the columns of `SCORED_COUNTS`, perhaps a baseline's."""
    intersection, union, background_intersection, background_union = (table[count] for count in counts)
    return {
        "miou": _percent(miou(intersection, union, table["class_id"])),
        "fb_iou": _percent(fb_iou(intersection, union, background_intersection, background_union)),
    }


def _percent(fraction: float) -> float:
    return round(100 * fraction, 4)
