"""What people ask DVC, on top of the DAG: metrics, parameters, plots and experiments."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from prosam import layout
from tests.pipeline.clone import DATASET, Clone, Done

pytestmark = pytest.mark.slow
POINT = f"{DATASET}-vrp-sam-0"
METRICS = str(layout.results(DATASET, "vrp-sam", 0) / "metrics.json")


@dataclass(frozen=True)
class Experiment:
    """A clone in which `dvc exp run` has changed the learning rate.

    Attributes:
        clone: where; the state before is committed.
        before: mIoU of that state.
        done: the command.
    """

    clone: Clone
    before: float
    done: Done

    @property
    def after(self) -> float:
        return read_miou(self.clone)


@pytest.fixture(scope="module")
def experiment(quick: Clone, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    clone = quick.copy(tmp_path_factory.mktemp("experiment") / "clone")
    clone.change({"pipeline.runs": ["vrp-sam"]})
    clone.dvc("repro")
    clone.commit()
    before = read_miou(clone)
    return Experiment(clone, before, clone.dvc("exp", "run", "--name", "faster", "--set-param", "train.lr=0.05"))


def read_miou(clone: Clone) -> float:
    return json.loads((clone.root / METRICS).read_text())["miou"]


def test_an_experiment_with_another_learning_rate_trains_evaluates_and_reports_only(experiment: Experiment):
    assert experiment.done.executed == {f"train@{POINT}", f"evaluate@{POINT}", "report"}


def test_the_experiment_is_on_record(experiment: Experiment):
    assert "faster" in experiment.clone.dvc("exp", "list", "--name-only").output.split()
    shown = json.loads(experiment.clone.dvc("exp", "show", "--json").output)
    rows = [row for baseline in shown for rows in (baseline["experiments"] or []) for row in rows["revs"]]
    (recorded,) = [row["data"] for row in rows if row["name"] == "faster"]
    assert recorded["params"]["params.yaml"]["data"]["train"]["lr"] == 0.05
    assert recorded["metrics"][METRICS]["data"]["miou"] == experiment.after


def test_metrics_show_names_the_score_of_each_run(experiment: Experiment):
    shown = json.loads(experiment.clone.dvc("metrics", "show", "--json").output)
    assert shown[""]["data"][METRICS]["data"]["miou"] == experiment.after


def test_metrics_diff_tells_old_and_new_score(experiment: Experiment):
    changed = json.loads(experiment.clone.dvc("metrics", "diff", "--json").output)[METRICS]["miou"]
    assert (changed["old"], changed["new"]) == (experiment.before, experiment.after)
    assert experiment.before != experiment.after


def test_params_diff_names_the_learning_rate_alone(experiment: Experiment):
    changed = json.loads(experiment.clone.dvc("params", "diff", "--json").output)
    assert changed.keys() == {"params.yaml"}
    assert changed["params.yaml"].keys() == {"train.lr"}
    assert (changed["params.yaml"]["train.lr"]["old"], changed["params.yaml"]["train.lr"]["new"]) == (0.002, 0.05)


def test_plots_show_draws_the_curves_of_a_training(experiment: Experiment):
    experiment.clone.dvc("plots", "show", "--out", "plots")
    page = (experiment.clone.root / "plots/index.html").read_text(encoding="utf-8")
    folder = layout.model(DATASET, "vrp-sam", 0)
    assert f"{folder}/training.csv" in page
    assert f"{folder}/monitor.csv" in page
    assert "base_miou" in page
