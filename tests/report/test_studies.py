"""The report on studies: its numbers, by plain loops over the rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.params import load_params
from prosam.report.compose import Report
from prosam.report.inputs import read_settings
from prosam.report.paper import paper_tables
from prosam.report.scores import score_setting
from prosam.report.study_inputs import VerificationStart
from prosam.report.study_part import Part
from prosam.report.study_sections import study_parts
from prosam.report.study_verification import beaten
from prosam.report.tables import Cell, Table, difference_table, score_tables
from tests.report.made_up_studies import FOLDS, RUNS, STEP_CAP, STUDIES, add_studies
from tests.report.tree import toy_scenes

MINUS = "\N{MINUS SIGN}"
DIFFERENCE = f"prosam {MINUS} vrp-sam"


@pytest.fixture(scope="module")
def parts(studied: Report) -> dict[str, Part]:
    return {part.key: part for part in studied.sections[0].studies}


def rows_of(studied_tree: Path, run: str, fold: int, study: str) -> pd.DataFrame:
    return pd.read_parquet(studied_tree / layout.study("toy", run, fold, study) / "rows.parquet")


def cells(table: Table) -> dict[tuple[str, str], Cell]:
    return {(row.label, c): cell for row in table.rows for c, cell in zip(table.columns, row.cells, strict=True)}


def table_of(part: Part, key: str) -> dict[tuple[str, str], Cell]:
    return cells(next(table for table in part.tables if table.key == key))


def miou(studied_tree: Path, run: str, study: str, keep: Callable[[pd.DataFrame], pd.Series]) -> float:
    """In percent: pixels summed by class, the mean over classes, the mean over folds, one row after another."""
    by_fold = []
    for fold in FOLDS:
        rows = rows_of(studied_tree, run, fold, study)
        sums: dict[int, list[int]] = {}
        for row in rows[keep(rows)].to_dict("records"):
            both = sums.setdefault(row["class_id"], [0, 0])
            both[0] += row["intersection"]
            both[1] += row["union"]
        by_fold.append(sum(inside / whole for inside, whole in sums.values()) / len(sums))
    return 100 * sum(by_fold) / len(by_fold)


def test_all_studies_are_shown_in_the_order_of_the_pipeline(parts: dict[str, Part]):
    assert list(parts) == [*STUDIES, "failures", "verification"]


def test_noise_is_scored_over_all_draws(studied_tree: Path, parts: dict[str, Part]):
    found = table_of(parts["prompt_noise"], "prompt_noise")
    for scale, size in (("relative", 0.0), ("relative", 0.5), ("relative", 1.0), ("absolute", 0.5)):
        scores = [
            miou(studied_tree, run, "prompt_noise", lambda r, s=scale, z=size: (r["scale"] == s) & (r["size"] == z))
            for run in RUNS
        ]
        label = f"{scale} {size:g}"
        assert [found[label, run].value for run in RUNS] == pytest.approx(scores)
        assert found[label, DIFFERENCE].value == pytest.approx(scores[0] - scores[1])


def test_the_cost_of_noise_is_compared_apart_from_the_scores(parts: dict[str, Part]):
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
    params = load_params()
    part, _ = study_parts(params, read_settings(params)[0])
    assert part.sentences == (
        "prosam against vrp-sam: a difference of mIoU is shown under none of 3 conditions; "
        "a difference in what is lost, under none of 3 conditions. "
        "Where nothing differs, chance alone shows one under 0.15.",
    )
    assert all(row.cells[2].value == 0 and not row.cells[2].best for row in part.tables[0].rows)


def test_undisturbed_images_are_no_look(parts: dict[str, Part]):
    """They stand in the table once for each side; four corruptions of each of two sides are looked at."""
    found = table_of(parts["corruption"], "corruption")
    assert {label for label, _ in found if "undisturbed" in label} == {"target: undisturbed", "reference: undisturbed"}
    (sentence,) = parts["corruption"].sentences
    assert sentence.count("of 8 conditions") == 2
    assert sentence.endswith("chance alone shows one under 0.4.")


def test_of_few_targets_no_looks_are_counted(studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), ["prompt_noise"], [])
    content = YAML(typ="safe").load(Path("params.yaml"))
    content["pipeline"]["folds"] = [0]
    YAML(typ="safe").dump(content, Path("params.yaml"))
    count = pd.read_parquet(layout.results("toy", "prosam", 0) / "episodes.parquet")["target"].nunique()
    params = load_params()
    part, _ = study_parts(params, read_settings(params)[0])
    assert part.sentences == (f"prosam against vrp-sam: {count} target images are too few to tell.",)


def test_curves_have_a_panel_for_each_kind_of_condition(parts: dict[str, Part]):
    titles = {key: [figure.caption for figure in parts[key].figures] for key in STUDIES[:3]}
    assert titles["prompt_noise"] == ["relative noise", "absolute noise"]
    assert titles["annotation_noise"] == ["shift", "erode"]
    assert titles["corruption"] == ["blur, target", "noise, target", "blur, reference", "noise, reference"]
    for part in parts.values():
        for figure in part.figures:
            assert "var(--run-0)" in figure.svg
            assert "http" not in figure.svg


def test_a_wrong_object_is_compared_on_the_episodes_that_have_one(studied_tree: Path, parts: dict[str, Part]):
    found = table_of(parts["annotation_noise"], "wrong-object")
    for run in RUNS:
        wrong = miou(studied_tree, run, "annotation_noise", lambda r: r["change"] == "wrong")
        clean = miou(studied_tree, run, "annotation_noise", lambda r: (r["change"] == "none") & (r["episode"] % 3 > 0))
        assert found[run, "wrong object"].value == pytest.approx(wrong)
        assert found[run, "undisturbed"].value == pytest.approx(clean)
        assert found[run, f"wrong {MINUS} undisturbed"].value == pytest.approx(wrong - clean)
    (caption,) = [t.caption for t in parts["annotation_noise"].tables if t.key == "wrong-object"]
    assert "(32)" in caption  # two of three of 24, twice


def test_several_references_are_compared_with_one_on_the_same_episodes(studied_tree: Path, parts: dict[str, Part]):
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


def test_the_choice_of_a_reference_is_told_by_ranges(studied_tree: Path, parts: dict[str, Part]):
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


def test_presence_is_scored_by_pairs_and_cuts_the_false_area(studied_tree: Path, parts: dict[str, Part]):
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


def test_curvature_has_means_with_standard_errors(studied_tree: Path, parts: dict[str, Part]):
    found = table_of(parts["curvature"], "curvature")
    by_target: dict[str, list[float]] = {}
    for fold in FOLDS:
        rows = rows_of(studied_tree, "prosam", fold, "curvature")
        targets = pd.read_parquet(studied_tree / layout.results("toy", "prosam", fold) / "episodes.parquet")["target"]
        for row in rows[(rows["noise"] == "absolute") & (rows["size"] == 0.5)].to_dict("records"):
            by_target.setdefault(targets[row["episode"]], []).append(row["gap"])
    mean, count = sum(map(sum, by_target.values())) / 16, len(by_target)
    assert count < 16  # some episodes share their target, so their errors add up before they are squared
    squares = sum(sum(gap - mean for gap in gaps) ** 2 for gaps in by_target.values())
    error = (count / (count - 1) * squares) ** 0.5 / 16
    cell = found["prosam, absolute 0.5", "gap"]
    assert found["prosam, absolute 0.5", "noise (std, prompt unit)"].value == 0.5
    assert (cell.value, cell.error) == pytest.approx((mean, error))
    assert cell.interval == f"± {error:.4f}"
    assert found["prosam, absolute 0.5", "excess"].best  # 0.3, thirty standard errors from zero
    assert ("prosam, its own", "gap") in found
    assert ("vrp-sam, its own", "gap") not in found
    shown = [
        sum(cell.best for (row, column), cell in found.items() if row.startswith(f"{run},") and column == "excess")
        for run in RUNS
    ]
    assert parts["curvature"].sentences == (
        "Noises whose cost is shown to differ from what the curvature predicts: "
        f"prosam: {shown[0]} of 3; vrp-sam: {shown[1]} of 2.",
    )


@pytest.mark.parametrize(("errors", "shown"), [(11.9, False), (13.5, True)])
def test_an_excess_over_two_targets_needs_the_quantile_of_one_degree_of_freedom(
    studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: float, shown: bool
):
    """That is 12.7. Two targets at the mean plus and minus one have a standard error of one."""
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), ["curvature"], [])
    content = YAML(typ="safe").load(Path("params.yaml"))
    content["pipeline"]["folds"] = [0]
    YAML(typ="safe").dump(content, Path("params.yaml"))
    targets = pd.read_parquet(layout.results("toy", "prosam", 0) / "episodes.parquet")["target"]
    other = next(episode for episode in range(1, 8) if targets[episode] != targets[0])
    for run in RUNS:
        path = layout.study("toy", run, 0, "curvature") / "rows.parquet"
        rows = pd.read_parquet(path)
        rows = rows[rows["episode"].isin([0, other])]
        rows.assign(excess=errors + np.where(rows["episode"] == 0, 1.0, -1.0)).to_parquet(path)
    params = load_params()
    part, _ = study_parts(params, read_settings(params)[0])
    cell = table_of(part, "curvature")["prosam, absolute 0.5", "excess"]
    assert (cell.value, cell.error) == pytest.approx((errors, 1.0))
    assert cell.best == shown


def test_disagreement_is_ranked_against_iou(studied_tree: Path, parts: dict[str, Part]):
    found = table_of(parts["strategies"], "disagreement")
    rows = pd.concat([rows_of(studied_tree, "prosam", fold, "strategies") for fold in FOLDS])
    clean = rows[rows["strategy"] == "mean-prompt"]
    ranks = [
        [sum(b < a for b in v) + sum(b == a for b in v) / 2 for a in v] for v in (clean["disagreement"], clean["iou"])
    ]
    assert found["prosam", "all folds"].value == pytest.approx(np.asarray(np.corrcoef(ranks))[0, 1])
    assert found["vrp-sam", "all folds"].text == "n/a"


def test_samples_are_counted_against_each_direct_prompt(studied_tree: Path, parts: dict[str, Part]):
    shares, claimed = [], []
    for start in (0, 1):
        prompts = pd.read_parquet(studied_tree / layout.verification("toy", start) / "prompts.parquet")
        direct = prompts[prompts["origin"] == "direct"]["iou"].tolist()
        of_samples = [
            sum((sample > one) + (sample == one) / 2 for one in direct) / 12
            for sample in prompts[prompts["origin"] == "sample"]["iou"]
        ]
        shares.append(100 * sum(of_samples) / 12)
        claimed.append(100 * sum(share >= 0.75 for share in of_samples) / 12)
    found = table_of(parts["verification"], "beaten")
    for name, by_start in (("beaten by a sample, mean", shares), ("samples that beat 75%", claimed)):
        for score in ("by IoU", "by BCE"):  # BCE is 1 - IoU here: the same order
            cell = found[score, name]
            assert (cell.value, cell.low, cell.high) == pytest.approx((sum(by_start) / 2, min(by_start), max(by_start)))
    noise = table_of(parts["verification"], "verification-noise")
    assert noise["absolute 1", "samples"].value == pytest.approx(noise["no noise", "samples"].value - 20)
    assert noise["relative 0.1", "samples"].value == pytest.approx(noise["no noise", "samples"].value)
    assert len(parts["verification"].figures) == 3


def test_a_sample_that_is_as_good_as_a_direct_prompt_beats_half_of_it():
    rng = np.random.default_rng(0)
    direct, samples = rng.integers(0, 8, 20) / 8, rng.integers(0, 8, 30) / 8
    origins = ["direct"] * 20 + ["sample"] * 30
    scores = np.concatenate([direct, samples])
    start = VerificationStart(0, pd.DataFrame({"origin": origins, "iou": scores, "bce": -scores}), {})
    expected = [sum((d < s) + (d == s) / 2 for d in direct) / 20 for s in samples]
    assert beaten(start, "iou").tolist() == pytest.approx(expected)
    assert beaten(start, "bce").tolist() == pytest.approx(expected)  # a low one is the better one
    alike = VerificationStart(0, pd.DataFrame({"origin": ["direct", "sample"] * 5, "iou": 0.9}), {})
    assert beaten(alike, "iou").tolist() == [0.5] * 5  # no difference


def test_closeness_to_the_centre_is_told_over_starts(parts: dict[str, Part]):
    """3 against 12 in the first start, 4 against 3.5 in the second."""
    found = table_of(parts["verification"], "from-centre")
    expected = {
        "mean of the distribution": (3.5, 3, 4),
        "median direct prompt": (7.75, 3.5, 12),
        "ratio": ((3 / 12 + 4 / 3.5) / 2, 3 / 12, 4 / 3.5),
    }
    for column, values in expected.items():
        cell = found["distance from the middle", column]
        assert (cell.value, cell.low, cell.high) == pytest.approx(values)
    assert "than the median direct prompt in 1 of 2 starts" in parts["verification"].sentences[1]


def test_what_the_step_cap_ended_is_said(parts: dict[str, Part]):
    (*_, caveat) = parts["verification"].sentences
    assert caveat.startswith(
        f"The cap of {STEP_CAP} steps, not a loss at rest, ended 25% of the direct prompts and 1 of 2"
    )


def test_without_the_step_cap_there_is_no_caveat(studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), [], [0])
    text = Path("params.yaml").read_text().replace(f"max_steps: {STEP_CAP}", f"max_steps: {STEP_CAP + 1}")
    Path("params.yaml").write_text(text)
    params = load_params()
    (part,) = study_parts(params, read_settings(params)[0])
    assert not any("The cap of" in sentence for sentence in part.sentences)


def test_runs_that_differ_in_more_than_the_method_are_not_compared(
    studied_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(studied_tree, tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    add_studies(Path("params.yaml"), ["prompt_noise"], [])
    text = Path("params.yaml").read_text()
    params = load_params()
    assert len(study_parts(params, read_settings(params)[0])[0].sentences) == 1
    content = YAML(typ="safe").load(text)
    content["runs"]["vrp-sam"]["init"] = "paper"
    YAML(typ="safe").dump(content, Path("params.yaml"))
    params = load_params()
    part, _ = study_parts(params, read_settings(params)[0])
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
    shown += [t for part in study_parts(params, setting) if part.key in studies for t in part.tables]
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


def test_failures_are_counted_by_size_and_number_of_objects(
    studied_tree: Path, studied: Report, parts: dict[str, Part]
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
    first = next(table for table in parts["failures"].tables if table.key == "size").rows[0]
    assert first.cells[0].value == sum(share <= small for share in ordered)
    assert first.cells[1].value == pytest.approx(100 * np.mean(by_fold))
    objects = next(table for table in parts["failures"].tables if table.key == "objects")
    assert [(row.label, row.cells[0].value) for row in objects.rows] == [("one", 48)]  # one object of each class
