"""Suites of runs, chosen by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prosam.cli.main import app
from prosam.errors import InputError
from prosam.params import load_params
from prosam.params.editing import edited
from prosam.params.suites import ALL, choose_suites, compared_sams, left_out
from prosam.report.paper.published import published_rows
from tests.conftest import REPOSITORY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(REPOSITORY / "params.yaml", tmp_path))


def test_a_suite_becomes_the_pipeline_and_nothing_else_changes(path: Path):
    before = load_params(path)
    after = choose_suites(path, ["table-8", "section-7"], [])
    assert after.pipeline.runs == ["prosam", "vrp-sam"]
    assert after.pipeline.studies == ["strategies", "curvature"]
    assert after.pipeline.studied == ["prosam", "vrp-sam"]
    assert (after.pipeline.folds, after.pipeline.datasets) == (before.pipeline.folds, before.pipeline.datasets)
    assert before.model_copy(update={"pipeline": after.pipeline}) == after


def test_only_the_lines_of_the_axes_differ_in_the_file(path: Path):
    before = path.read_text().splitlines()
    choose_suites(path, ["table-4"], [])
    after = path.read_text().splitlines()
    assert len(before) == len(after)
    changed = {new.split(":")[0].strip() for old, new in zip(before, after, strict=True) if old != new}
    assert changed == {"runs"}
    assert [line.partition("#")[2] for line in before] == [line.partition("#")[2] for line in after]


def test_choosing_the_default_again_gives_the_bundled_file(path: Path):
    choose_suites(path, [ALL], [])
    choose_suites(path, ["default"], [])
    assert load_params(path) == load_params(REPOSITORY / "params.yaml")


def test_suites_run_on_other_data(path: Path):
    assert choose_suites(path, ["table-1"], ["pascal-5i", "coco-20i"]).pipeline.datasets == ["pascal-5i", "coco-20i"]


def test_runs_that_want_published_weights_are_left_out_with_the_embedded_sam(path: Path):
    embedded = choose_suites(path, ["table-5"], [])
    assert embedded.pipeline.runs == ["prosam", "vrp-sam"]
    assert left_out(embedded, ["table-5"]) == ["prosam-dinov2", "vrp-sam-dinov2"]
    path.write_text(path.read_text().replace("sam: {name: tiny}", "sam: {name: vit_h}"))
    assert "prosam-dinov2" in choose_suites(path, ["table-5"], []).pipeline.runs


def test_the_domain_shift_is_to_the_data_set_that_each_names(path: Path):
    miniature = choose_suites(path, ["table-3"], []).pipeline
    assert [shift.model_dump() for shift in miniature.shifts] == [{"train": "shapes-5i", "test": "shapes-print-5i"}]
    assert (miniature.datasets, miniature.tested) == (["shapes-5i"], ["shapes-print-5i"])
    assert choose_suites(path, ["all"], []).pipeline.shifted == ["prosam", "vrp-sam"]
    published = choose_suites(path, ["table-3"], ["coco-20i", "pascal-5i"]).pipeline
    assert [shift.model_dump() for shift in published.shifts] == [{"train": "coco-20i", "test": "pascal-5i"}]
    assert published.tested == []
    with pytest.raises(InputError, match="pascal-5i: no `shift_to`"):
        choose_suites(path, ["table-3"], ["pascal-5i"])


def test_a_wrong_name_leaves_the_file_as_it_was(path: Path):
    before = path.read_bytes()
    with pytest.raises(InputError, match="did you mean 'table-1'"):
        choose_suites(path, ["tabel-1"], [])
    with pytest.raises(InputError, match="shapes"):
        choose_suites(path, ["table-1"], ["shapes"])
    assert path.read_bytes() == before


def test_every_run_of_the_papers_tables_is_in_the_suite_of_its_table():
    params = load_params(REPOSITORY / "params.yaml")
    for row in published_rows():
        if row.run:
            assert row.run in params.suites[f"table-{row.table}"].runs
            assert params.runs[row.run].kind == row.kind


def test_initialisations_are_compared_over_the_same_three_seeds():
    params = load_params(REPOSITORY / "params.yaml")
    seeds: dict[tuple[str, str], list[int]] = {}
    for run in params.suites["initialisation"].runs:
        key = params.runs[run].method, params.runs[run].init
        seeds.setdefault(key, []).append(params.training("shapes-5i", run).seed)
    assert seeds == {(method, init): [0, 1, 2] for method in ("prosam", "vrp-sam") for init in ("anchored", "paper")}


def test_a_suite_whose_run_was_deleted_says_so_and_the_others_go_on(path: Path):
    text = path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("  prosam-gaussian:"))
    path.write_text(text.replace(line + "\n", ""))
    assert choose_suites(path, ["table-7"], []).pipeline.runs == ["prosam", "vrp-sam", "vrp-sam-2linear"]
    with pytest.raises(InputError, match="unknown run 'prosam-gaussian'"):
        choose_suites(path, ["table-4"], [])


def test_the_command_lists_suites_and_says_what_was_chosen(path: Path):
    listed = CliRunner().invoke(app, ["suite", "--params", str(path)])
    assert "table-4          distributions of prompts" in listed.output
    chosen = CliRunner().invoke(app, ["suite", "figure-4", "table-8", "--params", str(path)])
    assert "4 trainings and evaluations, 14 studies, on shapes-5i" in chosen.output


def test_a_process_that_dies_while_it_validates_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch):
    before = path.read_bytes()

    def die(*_: object) -> None:
        assert path.read_bytes() == before
        raise KeyboardInterrupt

    monkeypatch.setattr("prosam.params.editing.parse_params", die)
    with pytest.raises(KeyboardInterrupt):
        choose_suites(path, ["table-4"], [])
    assert path.read_bytes() == before


def test_an_edit_keeps_comments_and_merges_nested_mappings(path: Path):
    before = path.read_text().splitlines()
    after = edited(path, {"report": {"bootstrap": 150}}).splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0][1].startswith("  bootstrap: 150")
    assert path.read_text().splitlines() == before


def test_a_suite_with_several_shots_sets_them_and_the_next_one_takes_them_back(path: Path):
    before = path.read_text()
    chosen = choose_suites(path, ["shots", "table-2"], [])
    assert chosen.folds.shots == (1, 5)
    assert chosen.pipeline.rivals == ["persam", "persam-f", "matcher", "gf-sam", "insid3"]
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    assert "shots: [1, 5]" in lines
    assert [line.partition("#")[2] for line in path.read_text().splitlines()] == [
        line.partition("#")[2] for line in before.splitlines()
    ]
    assert choose_suites(path, ["rivals"], []).folds.shots == (1,)
    choose_suites(path, ["default"], [])
    assert load_params(path) == load_params(REPOSITORY / "params.yaml")


def test_the_grid_of_foundations_is_run_with_one_sam_at_a_time(path: Path):
    with_sam2 = choose_suites(path, ["foundations"], ["pascal-5i"], "sam2.1_t")
    assert with_sam2.models.sam.name == "sam2.1_t"
    assert len(with_sam2.pipeline.runs) == 10
    architectures = {
        with_sam2.models.backbones[with_sam2.backbone(run)].architecture for run in with_sam2.pipeline.runs
    }
    assert architectures == {"resnet50", "dinov2-vits14", "dinov2-vitb14", "dinov3-vits16", "dinov3-vitb16"}
    assert {with_sam2.backbone_of_rival(rival) for rival in with_sam2.pipeline.rivals} == {
        with_sam2.backbone(run) for run in with_sam2.pipeline.runs
    }
    assert compared_sams(with_sam2, ["foundations"]) == ["vit_t", "vit_b", "vit_h", "sam2.1_t", "sam2.1_l"]
    again = CliRunner().invoke(app, ["suite", "foundations", "--sam", "vit_h", "--params", str(path)])
    assert "models.sam is vit_h; run vit_t, vit_b, sam2.1_t, sam2.1_l in clones or as experiments" in again.output


def test_with_the_bundled_sam_no_method_wants_published_weights(path: Path):
    bundled = choose_suites(path, ["foundations"], []).pipeline
    assert (bundled.runs, bundled.rivals) == (["prosam", "vrp-sam"], ["gf-sam"])


def test_another_sams_checkpoint_is_not_kept(path: Path):
    path.write_text(path.read_text().replace("sam: {name: tiny}", "sam: {name: vit_h, checkpoint: mine.pth}"))
    with pytest.raises(InputError, match=r"models\.sam\.checkpoint: is of vit_h, not of vit_t; remove it first"):
        choose_suites(path, ["foundations"], [], "vit_t")
    assert choose_suites(path, ["foundations"], [], "vit_h").models.sam.checkpoint == "mine.pth"
