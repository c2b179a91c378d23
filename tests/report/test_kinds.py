"""The report of runs with several kinds of annotation: all are shown, those of one kind are compared."""

from __future__ import annotations

import contextlib
import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam.params import load_params
from prosam.report.compose import Report, compose, record
from prosam.report.inputs import read_settings
from prosam.report.render import html, markdown
from prosam.report.scores.table import Table
from tests.report.test_report import Page
from tests.report.tree import CLASSES, PARAMS, toy_scenes, write_tree

KINDS = {"prosam": "mask", "vrp-sam": "mask", "prosam-point": "point", "vrp-sam-point": "point", "prosam-box": "box"}
QUALITY = {"prosam": 0.75, "vrp-sam": 0.75, "prosam-point": 0.8, "vrp-sam-point": 0.2, "prosam-box": 0.6}
LABELS = [f"{run} ({kind})" for run, kind in KINDS.items()]


def reported(root: Path, runs: dict[str, str]) -> Report:
    """The report of a small tree with these runs, of these kinds."""
    params = YAML(typ="safe").load(PARAMS)
    params["pipeline"]["runs"] = list(runs)
    params["runs"] = {
        run: {"method": "prosam" if run.startswith("prosam") else "vrp-sam", "kind": kind, "backbone": "auto"}
        for run, kind in runs.items()
    }
    YAML(typ="safe").dump(params, root / "params.yaml")
    with contextlib.chdir(root):
        loaded = load_params()
        write_tree(toy_scenes(12), CLASSES, QUALITY)
        for fold in (0, 1):  # vrp-sam answers as prosam does, so that these two cannot be told apart
            if {"prosam", "vrp-sam"} <= set(runs):
                for file in ("episodes.parquet", "metrics.json"):
                    content = Path(f"results/toy/prosam/{fold}/{file}").read_bytes()
                    Path(f"results/toy/vrp-sam/{fold}/{file}").write_bytes(content)
        return compose(loaded, read_settings(loaded))


@pytest.fixture(scope="module")
def mixed_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixed")


@pytest.fixture(scope="module")
def mixed(mixed_root: Path) -> Report:
    """Two runs on masks that are alike, two on points that are not, and one on boxes."""
    return reported(mixed_root, KINDS)


def tables(report: Report) -> dict[str, Table]:
    return {table.key: table for table in report.sections[0].tables}


def test_a_data_set_is_one_section_whose_title_names_the_kinds(mixed: Report):
    assert [section.setting.title for section in mixed.sections] == ["toy: mask, point and box annotations"]
    assert mixed.summary is None


def test_each_row_says_its_runs_kind(mixed: Report):
    for key in ("miou", "fb-iou"):
        assert [row.label for row in tables(mixed)[key].rows if row.group == "run"] == LABELS
    assert list(tables(mixed)["classes"].columns) == LABELS
    rows = Page(html(mixed)).rows
    assert all(any(row[0] == label for row in rows) for label in LABELS)
    assert all(f"| {label} |" in markdown(mixed) for label in LABELS)


def test_runs_that_are_all_of_masks_do_not_say_so(report: Report):
    assert [row.label for row in tables(report)["miou"].rows if row.group == "run"] == ["prosam", "vrp-sam"]
    assert report.sections[0].setting.title == "toy, mask annotations"


def test_differences_are_those_within_a_kind(mixed: Report):
    expected = [f"{a.split()[0]} − {b}" for a, b in combinations(LABELS, 2) if a.split()[1] == b.split()[1]]
    assert [row.label for row in tables(mixed)["differences"].rows] == expected
    assert len(expected) == 2


def test_the_best_of_each_kind_with_two_runs_is_bold(mixed: Report):
    for key in ("miou", "classes"):
        table = tables(mixed)[key]
        rows = [row.cells for row in table.rows if row.group != "baseline"]
        if key == "miou":
            rows = list(zip(*rows, strict=True))  # by column: a cell for each run
        for cells in rows:
            shown = [cell.text for cell in cells]
            best = [cell.best for cell in cells]
            assert best[:2] == [True, True]  # alike
            assert best[2:4] == [float(shown[2]) >= float(shown[3]), float(shown[3]) >= float(shown[2])]
            assert best[4] is False
        assert "The best run of each kind of annotation" in table.caption


def test_a_baseline_stands_once_where_it_is_the_same_for_all_or_for_a_kind(mixed: Report):
    labels = [row.label for row in tables(mixed)["miou"].rows if row.group == "baseline"]
    assert "everything is foreground" in labels
    assert labels.count("untrained encoder (mask)") == 1  # one file for both runs
    assert {"untrained encoder (prosam-point)", "untrained encoder (vrp-sam-point)"} < set(labels)


def test_the_first_sentence_answers_for_each_kind_that_has_two_runs(mixed: Report):
    verdict = mixed.sections[0].verdict
    assert verdict.headline == (
        "ProSAM is ahead of VRP-SAM with point annotations, but fewer than 3 seeds cannot tell this from luck; "
        "with mask annotations ProSAM and VRP-SAM cannot be told apart."
    )
    masks, points, boxes = verdict.details
    assert masks.startswith("Mask annotations: ProSAM does not beat VRP-SAM; the two cannot be told apart: ")
    assert points.startswith("Point annotations: ProSAM is ahead of VRP-SAM, but fewer than 3 seeds ")
    assert "luck: prosam-point has " in points
    assert " mIoU over 2 folds, vrp-sam-point " in points
    assert boxes.startswith("Box annotations: prosam-box reaches ")
    assert "ProSAM" not in boxes


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        (["prosam", "prosam-point"], "No two runs use the same kind of annotation, so no runs are compared."),
        (["prosam", "vrp-sam", "prosam-box"], "With mask annotations ProSAM and VRP-SAM cannot be told apart."),
        (
            ["vrp-sam-point", "prosam-point", "prosam-box"],
            "ProSAM is ahead of VRP-SAM with point annotations, but fewer than 3 seeds cannot tell this from luck.",
        ),
    ],
)
def test_other_mixtures_have_a_first_sentence_too(runs: list[str], says: str, tmp_path: Path):
    found = reported(tmp_path, {run: KINDS[run] for run in runs})
    assert found.sections[0].verdict.headline == says
    assert ("differences" in tables(found)) == ("no runs are compared" not in says)


def test_runs_that_are_all_of_points_are_compared_as_ever(tmp_path: Path):
    found = reported(tmp_path, dict.fromkeys(("prosam-point", "vrp-sam-point"), "point"))
    assert found.sections[0].verdict.headline.startswith("ProSAM is ahead of VRP-SAM, but fewer than 3 seeds cannot ")
    assert found.sections[0].setting.title == "toy, point annotations"
    assert tables(found)["miou"].rows[0].label == "prosam-point (point)"
    labels = [row.label for row in tables(found)["miou"].rows]
    assert "reference point, copied" in labels


def test_a_run_that_learnt_nothing_is_named_whatever_its_kind(mixed_root: Path, mixed: Report):
    """By the rule: at most 10 points above its own untrained encoder."""
    warned = set(re.findall(r"(\S+) on folds? ", " ".join(mixed.sections[0].verdict.warnings)))
    expected = set()
    for run in KINDS:
        for fold in (0, 1):
            metrics = json.loads((mixed_root / f"results/toy/{run}/{fold}/metrics.json").read_text())
            if metrics["miou"] <= metrics["baselines"]["untrained"]["miou"] + 10:
                expected.add(run)
    assert warned == expected
    assert "vrp-sam-point" in warned


def test_an_episode_shows_its_reference_with_each_kind_and_every_run(mixed: Report):
    for episodes in mixed.sections[0].episodes.values():
        for episode in episodes:
            captions = [picture.caption for picture in episode.pictures]
            references = [f"reference with {kind}" for kind in ("mask", "point", "box")]
            runs = [f"{label}: {iou:.1f}" for label, iou in zip(LABELS, episode.iou.values(), strict=True)]
            assert captions == [*references, "target", "truth", *runs]


def test_the_json_tells_each_runs_kind(mixed: Report):
    (setting,) = record(mixed)["settings"]
    assert (setting["runs"], setting["kinds"]) == (list(KINDS), KINDS)
    assert {run: values["kind"] for run, values in record(mixed)["provenance"]["runs"].items()} == KINDS


def test_no_score_depends_on_runs_of_other_kinds(mixed: Report, mixed_root: Path):
    tested = pd.read_parquet(mixed_root / "results/toy/prosam-point/0/episodes.parquet")
    by_class = tested.groupby("class_id")[["intersection", "union"]].sum()
    row = next(row for row in tables(mixed)["miou"].rows if row.label == "prosam-point (point)")
    assert row.cells[0].value == pytest.approx(100 * np.mean(by_class["intersection"] / by_class["union"]))


def test_runs_of_one_kind_stand_together(tmp_path: Path):
    found = reported(tmp_path, {run: KINDS[run] for run in ("prosam", "prosam-point", "vrp-sam", "vrp-sam-point")})
    rows = tables(found)["miou"].rows[:4]
    assert [row.label for row in rows] == [LABELS[0], LABELS[1], LABELS[2], LABELS[3]]
    scores = [json.loads((tmp_path / f"results/toy/{r.label.split()[0]}/0/metrics.json").read_text()) for r in rows]
    assert [row.cells[0].value for row in rows] == pytest.approx([score["miou"] for score in scores])
