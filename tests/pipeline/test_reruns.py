"""What a change re-runs: by DVC's own account of the stages whose command it executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.pipeline.clone import DATASET, SMALL, Clone, Done
from tests.pipeline.conftest import Finished

pytestmark = pytest.mark.slow

ONE_RUN = {"pipeline.runs": ["vrp-sam"]}


@dataclass(frozen=True)
class Case:
    """A change, and the stages that it must run again.

    Attributes:
        runs: names of stages; `report` runs in every case.
        params: what is changed in params.yaml.
        before: leaves out stages first, where fewer show the same.
        also: changes something else.
        two_methods: start from the state with two methods and one annotation kind, not one method and two kinds.
    """

    runs: set[str]
    params: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    also: Callable[[Clone], None] = lambda clone: None
    two_methods: bool = False


def perturb_sam(clone: Clone) -> None:
    """Another SAM of the same architecture in the place of the bundled one."""
    path = clone.root / "prosam/weights/sam-tiny.safetensors"
    weights = load_file(path)
    path.unlink()
    save_file({name: 1.01 * tensor for name, tensor in weights.items()}, path)


CASES = {
    "one run": Case(
        {"train@shapes-5i-vrp-sam-0", "evaluate@shapes-5i-vrp-sam-0"},
        {"runs.vrp-sam.num_prompts": 7, "runs.vrp-sam.train": {"steps": 2}},
        two_methods=True,
    ),
    "one annotation kind": Case(  # the other run's annotations are linked again, and come out the same
        {f"annotations@shapes-5i-{run}" for run in ("vrp-sam", "vrp-sam-point")}
        | {"train@shapes-5i-vrp-sam-point-0", "evaluate@shapes-5i-vrp-sam-point-0"},
        {"annotations.point.max_points": 3},
    ),
    "the kind of a run": Case(
        {"annotations@shapes-5i-vrp-sam", "train@shapes-5i-vrp-sam-0", "evaluate@shapes-5i-vrp-sam-0"},
        {"runs.vrp-sam.kind": "box"},
    ),
    "the SAM": Case(
        {"sam", "embeddings@shapes-5i", "train@shapes-5i-vrp-sam-0", "evaluate@shapes-5i-vrp-sam-0"},
        before=ONE_RUN,
        also=perturb_sam,
    ),
    "train.lr": Case({"train@shapes-5i-vrp-sam-0", "evaluate@shapes-5i-vrp-sam-0"}, {"train.lr": 0.001}, ONE_RUN),
    "the number of evaluation episodes": Case(
        {"folds@shapes-5i", "train@shapes-5i-vrp-sam-0", "evaluate@shapes-5i-vrp-sam-0"},
        {"folds.episodes": 11},
        ONE_RUN,
    ),
    "the number of shots": Case(  # no training, and none of the lists that trainings read
        {"folds@shapes-5i", "evaluate@shapes-5i-vrp-sam-0"}, {"folds.shots": [1, 5]}, ONE_RUN
    ),
    "a report setting": Case(set(), {"report.pictures": 2}),
}


@pytest.fixture(scope="module")
def alone_and_reruns(
    finished: Finished, quick: Clone, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Clone, dict[str, Done]]:
    """`dvc repro` of a new clone, each stage in a Python of its own, and all cases, each in a copy of its own.

    Two at a time: `dvc repro` itself uses one core.
    """

    def run_from_nothing() -> Clone:
        clone = Clone.of_working_tree(tmp_path_factory.mktemp("alone") / "clone", SMALL, forked=False)
        clone.dvc("repro")
        return clone

    def run(case: Case) -> Done:
        clone = (finished.clone if case.two_methods else quick).copy(tmp_path_factory.mktemp("case") / "clone")
        clone.change(case.before)
        clone.change(case.params)
        case.also(clone)
        return clone.dvc("repro")

    with ThreadPoolExecutor(2) as pool:
        alone = pool.submit(run_from_nothing)
        reruns = {name: pool.submit(run, case) for name, case in CASES.items()}
        return alone.result(), {name: done.result() for name, done in reruns.items()}


@pytest.mark.parametrize("name", CASES)
def test_only_what_is_affected_runs_again(alone_and_reruns: tuple[Clone, dict[str, Done]], name: str):
    assert alone_and_reruns[1][name].executed == CASES[name].runs | {"report"}


def test_dvc_repro_alone_gives_the_bytes_of_the_flow(
    finished: Finished, alone_and_reruns: tuple[Clone, dict[str, Done]]
):
    alone = alone_and_reruns[0]
    assert alone.lock() == finished.clone.lock()
    assert alone.outputs() == finished.clone.outputs()


def test_other_code_of_the_encoder_makes_other_embeddings(finished: Finished, clone: Clone):
    sam, stage = clone.root / "prosam/models/sam.py", f"embeddings@{DATASET}"
    inverted = "\n\n_upright = preprocess\n\n\ndef preprocess(sam, images):\n    return _upright(sam, 255 - images)\n"
    sam.write_text(sam.read_text() + inverted)
    assert clone.dvc("repro", "--single-item", stage).executed == {stage}
    assert clone.lock()[stage] != finished.clone.lock()[stage]
