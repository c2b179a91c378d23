"""The report on studies: its numbers, by plain loops over the rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.params import load_params
from prosam.report.inputs import read_settings
from prosam.report.paper.tables import paper_tables
from prosam.report.scores.scores import score_setting
from prosam.report.scores.tables import difference_table, score_tables
from prosam.report.studies.part import StudyPart
from tests.report.studies.made_up_studies import FOLDS, RUNS, STUDIES, add_studies
from tests.report.studies.studied import miou, parts_here, rows_of, table_of

MINUS = "\N{MINUS SIGN}"
DIFFERENCE = f"prosam {MINUS} vrp-sam"


def test_all_studies_are_shown_in_the_order_of_the_pipeline(parts: dict[str, StudyPart]):
    assert list(parts) == [*STUDIES, "failures", "verification"]


def test_noise_is_scored_over_all_draws(studied_tree: Path, parts: dict[str, StudyPart]):
    found = table_of(parts["prompt_noise"], "prompt_noise")
    for scale, size in (("relative", 0.0), ("relative", 0.5), ("relative", 1.0), ("absolute", 0.5)):
        scores = [
            miou(studied_tree, run, "prompt_noise", lambda r, s=scale, z=size: (r["scale"] == s) & (r["size"] == z))
            for run in RUNS
        ]
        label = f"{scale} {size:g}"
        assert [found[label, run].value for run in RUNS] == pytest.approx(scores)
        assert found[label, DIFFERENCE].value == pytest.approx(scores[0] - scores[1])


def test_the_cost_of_noise_is_compared_apart_from_the_scores(parts: dict[str, StudyPart]):
    found = table_of(parts["prompt_noise"], "prompt_noise")
    of_change = f"{DIFFERENCE}, of the change"
    clean, noisy = found["relative 0", DIFFERENCE], found["relative 1", DIFFERENCE]
    assert found["relative 1", of_change].value == pytest.approx(noisy.value - clean.value)
    assert found["relative 1", of_change].best  # 10 points against 50
    assert np.isnan(found["relative 0", of_change].value)
    assert "prosam loses less in" in parts["prompt_noise"].sentences[0]


def test_runs_that_answer_alike_are_not_told_apart(studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), ["prompt_noise"], [])
    for fold in FOLDS:
        shutil.copytree(
            layout.study("toy", "prosam", fold, "prompt_noise"),
            layout.study("toy", "vrp-sam", fold, "prompt_noise"),
            dirs_exist_ok=True,
        )
    part, _ = parts_here()
    assert part.sentences == (
        "prosam against vrp-sam: mIoU differs significantly under none of 3 conditions; "
        "the loss of mIoU differs significantly under none of 3 conditions. "
        "If nothing differed, about 0.15 would be significant by chance.",
    )
    assert all(row.cells[2].value == 0 and not row.cells[2].best for row in part.tables[0].rows)


def test_undisturbed_images_are_no_look(parts: dict[str, StudyPart]):
    """They stand in the table once for each side; four corruptions of each of two sides are looked at."""
    found = table_of(parts["corruption"], "corruption")
    assert {label for label, _ in found if "undisturbed" in label} == {"target: undisturbed", "reference: undisturbed"}
    (sentence,) = parts["corruption"].sentences
    assert sentence.count("of 8 conditions") == 2
    assert sentence.endswith("about 0.4 would be significant by chance.")


def test_of_few_targets_no_looks_are_counted(studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), ["prompt_noise"], [])
    content = YAML(typ="safe").load(Path("params.yaml"))
    content["pipeline"]["folds"] = [0]
    YAML(typ="safe").dump(content, Path("params.yaml"))
    count = pd.read_parquet(layout.results("toy", "prosam", 0) / "episodes.parquet")["target"].nunique()
    part, _ = parts_here()
    assert part.sentences == (f"prosam against vrp-sam: {count} target images are too few to tell.",)


def test_curves_have_a_panel_for_each_kind_of_condition(parts: dict[str, StudyPart]):
    titles = {key: [figure.caption for figure in parts[key].figures] for key in STUDIES[:3]}
    assert titles["prompt_noise"] == ["relative noise", "absolute noise"]
    assert titles["annotation_noise"] == ["shift", "erode"]
    assert titles["corruption"] == ["blur, target", "noise, target", "blur, reference", "noise, reference"]
    for part in parts.values():
        for figure in part.figures:
            assert "var(--run-0)" in figure.svg
            assert "http" not in figure.svg


def test_a_wrong_object_is_compared_on_the_episodes_that_have_one(studied_tree: Path, parts: dict[str, StudyPart]):
    found = table_of(parts["annotation_noise"], "wrong-object")
    for run in RUNS:
        wrong = miou(studied_tree, run, "annotation_noise", lambda r: r["change"] == "wrong")
        clean = miou(studied_tree, run, "annotation_noise", lambda r: (r["change"] == "none") & (r["episode"] % 3 > 0))
        assert found[run, "wrong object"].value == pytest.approx(wrong)
        assert found[run, "undisturbed"].value == pytest.approx(clean)
        assert found[run, f"wrong {MINUS} undisturbed"].value == pytest.approx(wrong - clean)
    (caption,) = [t.caption for t in parts["annotation_noise"].tables if t.key == "wrong-object"]
    assert "(32)" in caption  # two of three of 24, twice


def test_several_references_are_compared_with_one_on_the_same_episodes(studied_tree: Path, parts: dict[str, StudyPart]):
    found = table_of(parts["references"], "references")
    several = miou(studied_tree, "prosam", "references", lambda r: (r["merge"] == "averaged") & (r["k"] == 3))
    one = miou(
        studied_tree,
        "prosam",
        "references",
        lambda r: (r["merge"] == "single") & (r["choice"] == 0) & (r["episode"] % 2 == 1),
    )
    assert found["prosam, 3 averaged", "episodes"].value == 24
    assert found["prosam, 3 averaged", "mIoU"].value == pytest.approx(several)
    assert found["prosam, 3 averaged", "one reference"].value == pytest.approx(one)
    assert found["prosam, 3 averaged", f"several {MINUS} one"].value == pytest.approx(several - one)


def test_the_choice_of_a_reference_is_told_by_ranges(studied_tree: Path, parts: dict[str, StudyPart]):
    found = table_of(parts["references"], "choice")
    scores = [
        miou(
            studied_tree,
            "prosam",
            "references",
            lambda r, c=choice: (r["merge"] == "single") & (r["choice"] == c) & (r["episode"] % 2 == 1),
        )
        for choice in range(3)
    ]
    spreads = []
    for fold in FOLDS:
        rows = rows_of(studied_tree, "prosam", fold, "references")
        for episode in range(1, 24, 2):
            ious = rows[(rows["episode"] == episode) & (rows["merge"] == "single")]["iou"].tolist()
            spreads.append(100 * (max(ious) - min(ious)))
    assert found["prosam", "range of mIoU"].value == pytest.approx(max(scores) - min(scores))
    assert found["prosam", "range of a target's IoU"].value == pytest.approx(sum(spreads) / len(spreads))


def test_presence_is_scored_by_pairs_and_cuts_the_false_area(studied_tree: Path, parts: dict[str, StudyPart]):
    found = table_of(parts["absent"], "absent")
    for run in RUNS:
        rows = pd.concat([rows_of(studied_tree, run, fold, "absent") for fold in FOLDS])
        there, absent = (rows[rows["present"] == present] for present in (True, False))
        wins = [(a > b) + (a == b) / 2 for a in there["presence"] for b in absent["presence"]]
        assert found[run, "AUC"].value == pytest.approx(sum(wins) / len(wins))
        best = max(
            sorted(set(rows["presence"]), reverse=True),
            key=lambda t: (there["presence"] >= t).mean() - (absent["presence"] >= t).mean(),
        )
        assert found[run, "threshold"].value == pytest.approx(best)
        assert found[run, "false area, %"].value == pytest.approx(100 * absent["false_area"].mean())
        left = absent["false_area"] * (absent["presence"] >= best)
        assert found[run, "with threshold, %"].value == pytest.approx(100 * left.mean())


def test_runs_that_differ_in_more_than_the_method_are_not_compared(
    studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), ["prompt_noise"], [])
    text = Path("params.yaml").read_text()
    assert len(parts_here()[0].sentences) == 1
    content = YAML(typ="safe").load(text)
    content["runs"]["vrp-sam"]["init"] = "paper"
    YAML(typ="safe").dump(content, Path("params.yaml"))
    part, _ = parts_here()
    assert part.sentences == ()
    assert part.tables[0].columns == RUNS


def test_resamples_draw_targets_so_that_a_single_one_leaves_no_interval(
    studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All resamples of one target are the data themselves, however many episodes it has."""
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    for run in RUNS:
        for fold in FOLDS:
            path = layout.results("toy", run, fold) / "episodes.parquet"
            pd.read_parquet(path).assign(target="val_000").to_parquet(path)
    params = load_params()
    (setting,) = read_settings(params)
    scores = score_setting(setting, params.report)
    shown = [*score_tables(setting, scores), difference_table(setting, scores)]
    shown += [table for paper in paper_tables(params, setting, scores) for table in paper.tables]
    studies = ("prompt_noise", "annotation_noise", "corruption", "references", "failures")
    shown += [table for part in parts_here() if part.key in studies for table in part.tables]
    intervals = {
        table.key: [cell for row in table.rows for cell in row.cells if cell.low is not None]
        for table in shown
        if table
    }
    assert {"miou", "fb-iou", "differences", "paper-6", "paper-8"} < set(intervals)
    assert {"prompt_noise", "annotation_noise", "corruption", "references", "size", "objects"} < set(intervals)
    for key, of_table in intervals.items():
        for cell in of_table:
            assert (cell.low, cell.high) == pytest.approx((cell.value, cell.value), abs=1e-9, nan_ok=True), key
