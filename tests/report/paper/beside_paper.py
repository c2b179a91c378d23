"""A tree with the paper's four folds, and what tests read of its tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from prosam.data.formats.masks import decode
from prosam.data.formats.voc import VOID
from prosam.evaluation.columns import COUNTS
from prosam.report.scores.table import Table
from tests.report.tree import PARAMS, toy_scenes

STRATEGIES = ("mean-prompt", "max-logits", "mean-logits", "max-binary", "mean-binary", "majority-vote")
FOUR = (
    PARAMS.replace("runs: [prosam, vrp-sam], folds: [0, 1]", "runs: [prosam, vrp-sam], folds: [0, 1, 2, 3]")
    .replace("studies: [], studied: []", "studies: [strategies], studied: [prosam]")
    .replace("folds: 2,", "folds: 4,")
)


def write_strategies(folder: Path) -> None:
    """Each strategy loses a further tenth of every intersection, but for the last, which is as good as the first."""
    episodes = pd.read_parquet(folder / "episodes.parquet")
    rows = [
        {
            "episode": row["episode"],
            "class_id": row["class_id"],
            "strategy": strategy,
            "intersection": int(row["intersection"] * (1 - 0.1 * (i % 5))),
            **{column: row[column] for column in COUNTS[1:]},
            "iou": row["iou"],
            "disagreement": 1 - row["iou"],
        }
        for _, row in episodes.iterrows()
        for i, strategy in enumerate(STRATEGIES)
    ]
    (folder / "strategies").mkdir()
    pd.DataFrame(rows).to_parquet(folder / "strategies" / "rows.parquet")


def rows_of(table: Table, group: str) -> dict[str, list[float]]:
    return {row.label: [cell.value for cell in row.cells] for row in table.rows if row.group == group}


def stated(root: Path, run: str) -> list[float]:
    mious = [json.loads((root / f"results/toy/{run}/{fold}/metrics.json").read_text())["miou"] for fold in range(4)]
    return [*mious, float(np.mean(mious))]


def brute_force_confusion(four_folds: Path, run: str, fold: int) -> dict[str, int]:
    """Pixel by pixel from the predicted and the true masks."""
    labels = {name: mask for name, _, mask in toy_scenes(12)}
    counts: dict[str, int] = dict.fromkeys(("tp", "fp", "fn", "tn"), 0)
    for _, row in pd.read_parquet(four_folds / f"results/toy/{run}/{fold}/episodes.parquet").iterrows():
        mask = labels[row["target"]]
        predicted = decode(row["prediction"], row["height"], row["width"])
        for p, label in zip(predicted.ravel().tolist(), mask.ravel().tolist(), strict=True):
            if label != VOID:
                counts[("t" if p == (label == row["class_id"]) else "f") + ("p" if p else "n")] += 1
    return counts
