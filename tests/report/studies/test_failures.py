"""The report on where runs fail, by plain sums over the episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prosam.report.compose import Report
from prosam.report.studies.part import StudyPart
from tests.report.studies.made_up_studies import FOLDS
from tests.report.tree import toy_scenes


def test_failures_are_counted_by_size_and_number_of_objects(
    studied_tree: Path, studied: Report, parts: dict[str, StudyPart]
):
    labels = {name: mask for name, _, mask in toy_scenes(12)}
    setting = studied.sections[0].setting
    places = []
    for fold in FOLDS:
        episodes = setting.results["prosam", fold].episodes
        for row in episodes.to_dict("records"):
            places.append((fold, row, (labels[row["target"]] == row["class_id"]).mean()))
    ordered = sorted(share for _, _, share in places)
    small = np.quantile(ordered, 1 / 3)
    by_fold = []
    for fold in FOLDS:
        sums: dict[int, list[int]] = {}
        for of_fold, row, share in places:
            if of_fold == fold and share <= small:
                both = sums.setdefault(row["class_id"], [0, 0])
                both[0] += row["intersection"]
                both[1] += row["union"]
        by_fold.append(np.mean([inside / whole for inside, whole in sums.values()]))
    sizes = next(table for table in parts["failures"].tables if table.key == "size")
    few = sum(share <= small for share in ordered)
    assert sizes.columns[0] == f"small: up to {100 * small:.1f}%, {few} episodes"
    assert sizes.rows[0].cells[0].value == pytest.approx(100 * np.mean(by_fold))
    objects = next(table for table in parts["failures"].tables if table.key == "objects")
    assert objects.columns == ("one, 48 episodes",)  # one object of each class
