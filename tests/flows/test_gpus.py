"""Several stages at once on several GPUs: each has one of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flows.gpus import Gpus, gpu_names, gpus, on_one
from flows.graph import metas
from flows.stage_processes import StageProcesses
from prosam.params import Params
from tests.conftest import REPOSITORY, bundled_params

TWO = Gpus(["0", "1"], frozenset({"train", "evaluate", "study"}))


def driver(folder: Path, says: str, status: int = 0) -> dict[str, str]:
    """An environment with a driver's command that says this."""
    command = folder / "nvidia-smi"
    command.write_text(f"#!{sys.executable}\nprint({says!r})\nraise SystemExit({status})\n")
    command.chmod(0o755)
    return {"PATH": str(folder)}


def params(**execution: object) -> Params:
    return Params.model_validate(bundled_params() | execution)


def test_each_stage_has_the_gpu_with_the_fewest_stages():
    with TWO.dealt("train") as first, TWO.dealt("evaluate") as second:
        assert [first, second] == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
        with TWO.dealt("study") as third:
            assert third == first
    with TWO.dealt("evaluate") as alone:
        assert alone == {"CUDA_VISIBLE_DEVICES": "0"}


def test_a_gpu_is_free_again_after_a_failure():
    def fail() -> None:
        with TWO.dealt("train"):
            raise ValueError("of the stage")

    with pytest.raises(ValueError, match="of the stage"):
        fail()
    with TWO.dealt("train") as dealt:
        assert dealt == {"CUDA_VISIBLE_DEVICES": "0"}


def test_other_stages_see_all_gpus_and_a_single_one_is_not_dealt():
    for dealer, stage in ((TWO, "embeddings"), (Gpus(["0"], frozenset({"train"})), "train")):
        with dealer.dealt(stage) as dealt:
            assert dealt == {}


def test_the_stages_that_compute_on_one_are_those_of_the_pool_but_the_embeddings():
    kinds = {stage.partition("@")[0] for stage in on_one(metas(REPOSITORY))}
    assert {"train", "evaluate"} <= kinds
    assert {"embeddings", "embeddings-tested", "report", "folds"}.isdisjoint(kinds)


def test_gpus_are_those_of_the_driver_or_those_that_the_user_leaves(tmp_path: Path):
    environment = driver(tmp_path, "0\n1\n2")
    assert gpu_names(environment) == ["0", "1", "2"]
    assert gpu_names(environment | {"CUDA_VISIBLE_DEVICES": "2, GPU-8a"}) == ["2", "GPU-8a"]
    assert gpu_names(environment | {"CUDA_VISIBLE_DEVICES": ""}) == []
    assert gpu_names(environment | {"CUDA_VISIBLE_DEVICES": "-1"}) == []


def test_without_a_driver_or_with_one_that_fails_there_are_none(tmp_path: Path):
    assert gpu_names({"PATH": str(tmp_path)}) == []
    assert gpu_names(driver(tmp_path, "NVIDIA-SMI has failed", status=9)) == []


@pytest.mark.parametrize(
    ("jobs", "execution", "dealt"),
    [
        (2, {}, True),
        (2, {"processes": "auto"}, True),
        (1, {"processes": "auto"}, False),  # the stage has them all
        (2, {"processes": 4}, False),
        (2, {"device": "cpu"}, False),
    ],
)
def test_gpus_are_dealt_to_several_stages_of_one_process(monkeypatch, jobs: int, execution: dict, dealt: bool):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    with gpus(REPOSITORY, params(**execution), jobs).dealt("train@shapes-5i-prosam-0") as environment:
        assert environment == ({"CUDA_VISIBLE_DEVICES": "4"} if dealt else {})


def test_a_stage_is_run_with_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What DVC gets, its stages get."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    show = "import os; print('sees', os.environ['CUDA_VISIBLE_DEVICES'])"
    monkeypatch.setattr("flows.stage_processes.DVC", [sys.executable, "-c", show])
    lines: list[str] = []
    dealer = Gpus(["5", "6"], frozenset({"train"}))
    StageProcesses(tmp_path, dealer).reproduce("train", lines.append)
    StageProcesses(tmp_path, dealer).reproduce("embeddings", lines.append)
    assert lines == ["sees 5", "sees"]
