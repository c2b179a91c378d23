"""dvc.yaml: the one place where the DAG is written, and what the rest of the code must keep to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.deps import deps, with_code
from flows.graph import dependencies
from prosam import layout
from prosam.errors import InputError
from tests.pipeline.clone import DATASET, REPOSITORY, SMALL, Clone
from tests.pipeline.conftest import Finished

STAGES = list(YAML(typ="safe").load(REPOSITORY / "dvc.yaml")["stages"])

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which nothing has run, with several values on each axis."""
    axes = {"pipeline.runs": ["prosam", "vrp-sam", "prosam-point"], "pipeline.folds": [0, 3]}
    return Clone.of_working_tree(tmp_path_factory.mktemp("fresh") / "clone", SMALL | axes)


def module(stage: str) -> str:
    """The module in tasks/ of a stage of dvc.yaml."""
    return stage.removesuffix("-tested").removesuffix("-compared").removesuffix("-rival")


def written_stages() -> dict[str, dict[str, Any]]:
    return YAML(typ="safe").load(REPOSITORY / "dvc.yaml")["stages"]


def test_the_flows_see_the_dag_that_dvc_draws(fresh: Clone):
    needs = dependencies(fresh.root)
    drawn = fresh.dvc("dag", "--dot").output
    assert {(needed, stage) for stage in needs for needed in needs[stage]} == set(
        re.findall(r'"(.+)" -> "(.+)"', drawn)
    )
    assert len(needs) == 1 + 1 + 3 + 1 + 3 + 1 + 6 + 6 + 1
    assert needs["evaluate@shapes-5i-prosam-point-3"] >= {
        "train@shapes-5i-prosam-point-3",
        "annotations@shapes-5i-prosam-point",
    }
    assert not needs["evaluate@shapes-5i-prosam-point-3"] & {
        "train@shapes-5i-prosam-point-0",
        "train@shapes-5i-prosam-3",
        "annotations@shapes-5i-prosam",
    }


def test_a_method_that_trains_nothing_has_no_training(tmp_path: Path):
    axes = {"pipeline.runs": ["prosam"], "pipeline.folds": [0], "pipeline.rivals": ["gf-sam", "persam"]}
    needs = dependencies(Clone.of_working_tree(tmp_path / "clone", SMALL | axes).root)
    of_rivals = {stage for stage in needs if "gf-sam" in stage or "persam" in stage}
    assert of_rivals == {f"{s}-0" for s in ("rival@shapes-5i-gf-sam", "rival@shapes-5i-persam")} | {
        "backbone-rival@gf-sam",
        "backbone-rival@persam",
        "annotations-rival@shapes-5i-gf-sam",
        "annotations-rival@shapes-5i-persam",
    }
    assert needs["rival@shapes-5i-gf-sam-0"] == {
        "sam", "backbone-rival@gf-sam", "download@shapes-5i", "folds@shapes-5i", "embeddings@shapes-5i",
        "annotations-rival@shapes-5i-gf-sam",
    }  # fmt: skip
    assert needs["report"] >= {"rival@shapes-5i-gf-sam-0"}


@pytest.mark.slow
def test_outputs_lie_where_the_layout_says(finished: Finished):
    expected: dict[str, set[Path]] = {
        f"download@{DATASET}": {layout.raw(DATASET)},
        f"folds@{DATASET}": {layout.folds(DATASET)},
        "sam": {layout.sam_weights()},
        f"embeddings@{DATASET}": {layout.embeddings(DATASET)},
        "report": {layout.REPORT},
    }
    for run in ("prosam", "vrp-sam"):
        model, results = layout.model(DATASET, run, 0), layout.results(DATASET, run, 0)
        expected[f"annotations@{DATASET}-{run}"] = {layout.annotations(DATASET, run)}
        expected[f"backbone@{run}"] = {layout.backbone_weights(run)}
        files = ("prompt_encoder.safetensors", "model.json", "training.csv", "monitor.csv", "prosam.sha256")
        expected[f"train@{DATASET}-{run}-0"] = {model / file for file in files}
        files = ("metrics.json", "episodes.parquet", "prosam.sha256")
        expected[f"evaluate@{DATASET}-{run}-0"] = {results / file for file in files}
    assert {stage: {Path(path) for path in outs} for stage, outs in finished.clone.lock().items()} == expected


def test_each_stage_has_a_module_of_its_name_and_the_other_way_round():
    commands = {path.stem for path in (REPOSITORY / "tasks").glob("*.py") if "__main__" in path.read_text()}
    assert commands - {"promote"} == {
        module(stage) for stage in STAGES
    }  # which changes what is in use, and so is no function of its inputs
    for name, stage in written_stages().items():
        assert stage["cmd"].startswith(f"python -m tasks.{module(name)}")


def test_data_sets_that_are_only_tested_on_are_prepared_by_the_same_stages():
    stages = written_stages()
    for name in ("download", "folds", "annotations", "embeddings"):
        assert stages[name]["matrix"]["dataset"] == "${pipeline.datasets}"
        matrix = stages[name]["matrix"] | {"dataset": "${pipeline.tested}"}
        if "run" in matrix:
            matrix["run"] = "${pipeline.shifted}"
        assert stages[f"{name}-tested"] == stages[name] | {"matrix": matrix}


def test_methods_that_train_nothing_have_the_same_stages_on_data_sets_that_are_only_tested_on():
    stages = written_stages()
    compared = {"dataset": "${pipeline.compared}"}
    matrix = {**compared, "run": "${pipeline.rivals}"}
    assert stages["annotations-compared"] == stages["annotations-rival"] | {"matrix": matrix}
    matrix = {**compared, "rival": "${pipeline.rivals}", "fold": [0]}
    assert stages["rival-compared"] == stages["rival"] | {"matrix": matrix}


def test_a_shift_needs_its_data_sets_and_nothing_is_trained_on_the_one_it_tests(tmp_path: Path):
    other = "shapes-print-5i"
    axes = {"pipeline.shifts": [{"train": DATASET, "test": other}], "pipeline.tested": [other]}
    axes["pipeline.shifted"] = ["prosam"]
    needs = dependencies(Clone.of_working_tree(tmp_path / "clone", SMALL | axes).root)
    prepared = {"download", "folds", "embeddings", "annotations"}
    stages = {f"{stage}-tested@{other}" for stage in prepared - {"annotations"}}
    stages.add(f"annotations-tested@{other}-prosam")
    assert {stage for stage in needs if other in stage} == stages
    assert [stage for stage in needs if stage.startswith("shift@")] == ["shift@shift0-prosam-0"]
    assert needs["shift@shift0-prosam-0"] == {
        *stages,
        *("sam", "backbone@prosam", f"folds@{DATASET}", f"train@{DATASET}-prosam-0"),
    }


def test_dvc_yaml_names_the_code_behind_each_stage():
    text = (REPOSITORY / "dvc.yaml").read_text()
    assert with_code(text) == text
    without = re.sub(r"      - (tasks|prosam)/(?!weights/).*\n", "", text)
    assert without != text
    assert with_code(without) == text


def test_a_stage_whose_code_changed_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (REPOSITORY / "dvc.yaml").read_text()
    (tmp_path / "dvc.yaml").write_text(text.replace("      - prosam/evaluation/overlap.py\n", "", 1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"dvc\.yaml: .* run `make deps`"):
        deps(check=True)
    deps()
    assert (tmp_path / "dvc.yaml").read_text() == text


@pytest.mark.parametrize("stage", sorted({module(stage) for stage in STAGES}))
def test_help_comes_without_loading_torch(fresh: Clone, stage: str):
    asked = fresh.run("python", "-X", "importtime", "-m", f"tasks.{stage}", "--help")
    assert f"python -m tasks.{stage}" in asked.output
    imported = {line.rsplit("|", 1)[1].strip() for line in asked.output.splitlines() if line.startswith("import time:")}
    assert "prosam.params" in imported
    assert not {"torch", "matplotlib", "pandas", "dvc", "prefect"} & imported
