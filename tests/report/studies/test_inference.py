"""Inference by sampled prompts beside table 8, by sums over the rows."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pandas as pd
import pytest

from prosam.errors import InputError
from prosam.params import Params
from prosam.report.compose import compose
from prosam.report.paper.tables import paper_tables
from prosam.report.scores.scores import score_setting
from tests.report.paper.beside_paper import brute_force_confusion, rows_of


def test_strategies_are_scored_and_paired_with_the_mean_prompt(found, four_folds: Path):
    (table,) = found[2][8].tables
    rows = pd.read_parquet(four_folds / "results/toy/prosam/0/strategies/rows.parquet")
    part = rows[rows["strategy"] == "mean-logits"].groupby("class_id")[["intersection", "union"]].sum()
    by_hand = 100 * (part["intersection"] / part["union"]).mean()
    shown = rows_of(table, "mean-logits")
    usual = rows_of(table, "mean-prompt")["ours"][0]
    assert shown["ours"][0] == pytest.approx(by_hand)
    assert shown["paper, PASCAL-5i"][0] == 75.16
    assert shown["ours \N{MINUS SIGN} PASCAL-5i, other data"][0] == pytest.approx(by_hand - 75.16)
    assert shown["ours, minus mean-prompt"][0] == pytest.approx(by_hand - usual)
    assert shown["paper, minus mean-prompt"][0] == pytest.approx(75.16 - 75.26)
    cells = {(row.group, row.label): row.cells for row in table.rows}
    gains = cells["mean-logits", "ours, minus mean-prompt"]
    assert all(cell.high < 0 for cell in gains)
    assert [cell.best for cell in gains] == [False] * 4 + [True]  # a fold alone has too few targets
    same = cells["majority-vote", "ours, minus mean-prompt"]
    assert [(cell.value, cell.low, cell.high, cell.best) for cell in same] == [(0, 0, 0, False)] * 5


def test_strategies_of_other_episodes_are_refused(found, four_folds: Path, tmp_path: Path, monkeypatch):
    params, setting, _ = found
    folder = tmp_path / "results/toy/prosam/0/strategies"
    folder.mkdir(parents=True)
    rows = pd.read_parquet(four_folds / "results/toy/prosam/0/strategies/rows.parquet")
    rows.iloc[1:].to_parquet(folder / "rows.parquet")
    scores = score_setting(setting, params.report)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"mean-prompt; run `dvc repro --force study@strategies-toy-prosam-0`"):
        paper_tables(params, setting, scores)


def test_without_published_numbers_ours_are_there(found, four_folds: Path):
    """On COCO-20i the paper has neither rates nor strategies."""
    params, setting, _ = found
    content = params.model_dump(mode="json")
    content["datasets"]["toy"] |= {"download": {"source": "coco"}, "protocol": {"folds": 4, "order": "interleaved"}}
    params = Params.model_validate(content)
    with contextlib.chdir(four_folds):
        (section,) = compose(params, [setting]).sections
    assert {6, 8}.isdisjoint(paper.number for paper in section.beside.paper)
    rates = rows_of(next(t for t in section.tables if t.key == "rates"), "TPR: foreground found, of all foreground")
    c = brute_force_confusion(four_folds, "vrp-sam", 2)
    assert rates["vrp-sam"][2] == pytest.approx(100 * c["tp"] / (c["tp"] + c["fn"]))
    (table,) = [t for part in section.studies for t in part.tables if t.key == "strategies"]
    shown = rows_of(table, "prosam")
    rows = pd.read_parquet(four_folds / "results/toy/prosam/3/strategies/rows.parquet")
    part = rows[rows["strategy"] == "max-binary"].groupby("class_id")[["intersection", "union"]].sum()
    assert shown["max-binary"][3] == pytest.approx(100 * (part["intersection"] / part["union"]).mean())
    gap = shown["max-binary"][3] - shown["mean-prompt"][3]
    assert shown["max-binary \N{MINUS SIGN} mean-prompt"][3] == pytest.approx(gap)
