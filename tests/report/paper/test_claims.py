"""What the paper claims beside what we measure."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest

from prosam.params import Params, load_params
from prosam.report.compose import compose
from prosam.report.inputs import Setting, read_settings
from prosam.report.paper.beside import beside
from prosam.report.paper.claims import published_mean
from prosam.report.render import html, markdown
from prosam.report.runs.matched import matches
from prosam.report.scores.scores import score_setting
from prosam.report.scores.table import Table
from tests.report.paper.beside_paper import stated
from tests.report.test_report import Page
from tests.report.tree import CLASSES, PARAMS, toy_scenes, write_tree


def test_a_claim_is_our_paired_difference_beside_the_printed_one(found, four_folds: Path):
    params, setting, _ = found
    with contextlib.chdir(four_folds):
        claims = beside(params, setting, score_setting(setting, params.report)).claims
    assert claims is not None
    (row,) = claims.rows
    ours, pascal, coco = (cell.value for cell in row.cells)
    assert ours == pytest.approx(stated(four_folds, "prosam")[-1] - stated(four_folds, "vrp-sam")[-1])
    assert (pascal, coco) == pytest.approx((72.04 - 71.14, 54.63 - 53.28))


def test_what_the_paper_lacks_is_measured_beside_its_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    matched = (
        "  prosam-matched-gaussian: {method: prosam, kind: mask, backbone: tiny-resnet, distribution: matched_gaussian}"
    )
    text = PARAMS.replace("runs: [prosam, vrp-sam]", "runs: [prosam, prosam-matched-gaussian]")
    Path("params.yaml").write_text(text.replace("\ntrain:", f"\n{matched}\ntrain:"))
    write_tree(toy_scenes(12), CLASSES, {"prosam": 0.75, "prosam-matched-gaussian": 0.7})
    params = load_params()
    (setting,) = read_settings(params)
    claims = beside(params, setting, score_setting(setting, params.report)).claims
    assert claims is not None
    (row,) = claims.rows
    assert row.label.endswith("Gaussian prompts of equal size (not in the paper)")
    means = [
        np.mean([json.loads(Path(f"results/toy/{run}/{f}/metrics.json").read_text())["miou"] for f in (0, 1)])
        for run in setting.runs
    ]
    assert row.cells[0].value == pytest.approx(means[0] - means[1])
    assert [cell.text for cell in row.cells[1:]] == ["n/a", "n/a"]


def claims_of(root: Path, text: str, quality: dict[str, float]) -> tuple[Table, Params, Setting]:
    """The claims on a small tree with these parameters."""
    (root / "params.yaml").write_text(text)
    write_tree(toy_scenes(12), CLASSES, quality)
    params = load_params()
    (setting,) = read_settings(params)
    claims = beside(params, setting, score_setting(setting, params.report)).claims
    assert claims is not None
    return claims, params, setting


def test_a_claim_is_of_the_same_trainings_as_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    entry = "mask, backbone: tiny-resnet, train: {lr: 0.001, seed: 1}}"
    more = f"  prosam-1: {{method: prosam, kind: {entry}\n  vrp-sam-1: {{method: vrp-sam, kind: {entry}"
    text = PARAMS.replace("runs: [prosam, vrp-sam]", "runs: [prosam, vrp-sam, prosam-1, vrp-sam-1]")
    quality = {"prosam": 0.75, "vrp-sam": 0.7, "prosam-1": 0.6, "vrp-sam-1": 0.8}
    claims, params, setting = claims_of(tmp_path, text.replace("\ntrain:", f"\n{more}\ntrain:"), quality)
    (row,) = claims.rows
    means = {
        run: np.mean([json.loads(Path(f"results/toy/{run}/{f}/metrics.json").read_text())["miou"] for f in (0, 1)])
        for run in setting.runs
    }
    gain = (means["prosam"] + means["prosam-1"] - means["vrp-sam"] - means["vrp-sam-1"]) / 2
    assert row.cells[0].value == pytest.approx(gain)
    assert row.label.endswith("(table 1; means of 2 seeds)")
    (match,) = matches(params, "toy", setting.runs)
    answered = match.gain(setting, score_setting(setting, params.report))
    assert (row.cells[0].low, row.cells[0].high) == (100 * answered.low, 100 * answered.high)


def test_a_claim_is_of_our_folds_in_the_paper_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = PARAMS.replace("folds: [0, 1]", "folds: [1]")
    claims, _, _ = claims_of(tmp_path, text, {"prosam": 0.75, "vrp-sam": 0.7})
    _, pascal, coco = (cell.value for cell in claims.rows[0].cells)
    assert (pascal, coco) == pytest.approx((77.57 - 76.77, 55.55 - 54.24))
    assert "mean over fold 1, for the paper as well" in claims.caption


def test_claims_are_shown_where_none_of_the_papers_tables_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On PASCAL-5i the paper has no DINOv2."""
    monkeypatch.chdir(tmp_path)
    backbones = "tiny-resnet: {architecture: tiny-resnet, checkpoint: backbone.safetensors}"
    text = PARAMS.replace("runs: [prosam, vrp-sam]", "runs: [prosam-dinov2, vrp-sam-dinov2]")
    text = text.replace(backbones, f"{backbones}, dinov2: {{architecture: dinov2-vitb14}}")
    text = text.replace("\n  prosam: {", "\n  prosam-dinov2: {").replace("\n  vrp-sam: {", "\n  vrp-sam-dinov2: {")
    text = text.replace("mask, backbone: tiny-resnet", "mask, backbone: dinov2")
    text = text.replace("{source: shapes, train_images: 1, val_images: 12, size: 64}", "{source: pascal}")
    Path("params.yaml").write_text(text)
    write_tree(toy_scenes(12), CLASSES, {"prosam-dinov2": 0.75, "vrp-sam-dinov2": 0.7})
    params = load_params()
    report = compose(params, read_settings(params))
    found = report.sections[0].beside
    assert found.paper == ()
    assert found.claims is not None
    page = Page(html(report))
    assert "on-toy-paper" in page.ids
    assert "#on-toy-paper" in page.links
    assert any(row[:1] == [found.claims.rows[0].label] for row in page.rows)
    assert any(line.startswith(f"| {found.claims.rows[0].label} |") for line in markdown(report).splitlines())


def test_a_published_mean_is_the_printed_one_else_that_of_the_folds():
    assert published_mean("pascal-5i", "prosam") == 72.04  # not of table 7, whose fold 2 is a slip
    assert published_mean("pascal-5i", "vrp-sam-2linear") == pytest.approx((74.04 + 76.55 + 69.71 + 63.98) / 4)
    assert np.isnan(published_mean("pascal-5i", "prosam-dinov2"))


def test_a_published_mean_of_some_folds_is_theirs_and_there_is_none_of_folds_that_the_paper_lacks():
    assert published_mean("pascal-5i", "prosam", [0, 2]) == pytest.approx((75.26 + 70.09) / 2)
    assert np.isnan(published_mean("pascal-5i", "prosam", [0, 4]))
