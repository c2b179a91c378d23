"""The report on sampled prompts: ranks counted one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam.report.studies.part import StudyPart
from tests.report.studies.made_up_studies import FOLDS
from tests.report.studies.studied import rows_of, table_of


def test_disagreement_is_ranked_against_iou(studied_tree: Path, parts: dict[str, StudyPart]):
    found = table_of(parts["strategies"], "disagreement")
    rows = pd.concat([rows_of(studied_tree, "prosam", fold, "strategies") for fold in FOLDS])
    clean = rows[rows["strategy"] == "mean-prompt"]
    ranks = [
        [sum(b < a for b in v) + sum(b == a for b in v) / 2 for a in v] for v in (clean["disagreement"], clean["iou"])
    ]
    assert found["prosam", "all folds"].value == pytest.approx(np.asarray(np.corrcoef(ranks))[0, 1])
    assert found["vrp-sam", "all folds"].text == "n/a"
