"""What goes wrong on real machines: nothing hangs, nothing is lost, and a second run ends in the same bytes."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from prosam import layout
from prosam.seals import SUMS
from tests.pipeline.clone import DATASET, Clone
from tests.served.conftest import Prefect, wait_until

pytestmark = pytest.mark.served
TRAINING = f"train@{DATASET}-vrp-sam-0"


def test_folds_in_parallel_end_in_the_bytes_of_dvc_repro(prefect: Prefect, ready: Clone):
    prefect.clone.forget_runs(keep=".prefect")
    run = prefect.start_by_command("prosam/pipeline")
    assert prefect.end(run, 300) == "Completed"
    stages = prefect.stages(run)
    assert set(stages.values()) == {"Completed"}
    assert list(stages)[-1] == "report"
    assert prefect.clone.outputs() == ready.outputs()

    again = prefect.start("prosam/pipeline")
    assert prefect.end(again) == "Completed"
    assert set(prefect.stages(again).values()) == {"Skipped"}


def test_a_failed_stage_says_why_and_a_rerun_goes_on(prefect: Prefect):
    right = (prefect.clone.root / "params.yaml").read_bytes()
    prefect.clone.change({f"datasets.{DATASET}.protocol.min_area": 16000})
    run = prefect.start("prosam/train-fold", fold=0)
    assert prefect.end(run) == "Failed"
    assert prefect.message(run).startswith(f"folds@{DATASET}: error: {DATASET}: fold 0")
    wait_until(lambda: "protocol.min_area" in prefect.log(run), "the stage's reason in the log")
    states = prefect.stages(run)
    assert (states[f"folds@{DATASET}"], states[f"embeddings@{DATASET}"]) == ("Failed", "Skipped")
    assert {states[TRAINING], states[f"annotations@{DATASET}-vrp-sam"]} == {"NotReady"}

    (prefect.clone.root / "params.yaml").write_bytes(right)
    run = prefect.start("prosam/train-fold", fold=0)
    assert prefect.end(run) == "Completed"
    states = prefect.stages(run)
    assert (states[f"folds@{DATASET}"], states[TRAINING]) == ("Restored", "Skipped")


def test_a_flow_that_is_killed_has_crashed_and_a_rerun_goes_on_to_the_same_bytes(prefect: Prefect, plain: Clone):
    run, seed = start_training(prefect)
    engine = engine_of(run)
    tree = engine.children(recursive=True)
    engine.kill()
    assert psutil.wait_procs(tree, timeout=20)[1] == []
    assert prefect.end(run) == "Crashed"
    assert checkpoints(prefect)
    locks = {path.name for path in (prefect.clone.root / ".dvc/tmp").glob("*lock*")}
    assert {"rwlock", "flow.lock"} <= locks  # of dead processes; they stop nothing

    again = prefect.start("prosam/train-fold", fold=0)
    assert prefect.end(again) == "Completed"
    wait_until(lambda: "goes on from step" in prefect.log(again), "that in the log")
    assert_same_training(prefect, plain, seed)


def test_a_cancelled_run_leaves_no_process_behind(prefect: Prefect):
    prefect.clone.change({"train.steps": 100_000})  # it never gets there
    run, _ = start_training(prefect)
    tree = engine_of(run).children(recursive=True)
    assert len(tree) >= 3
    prefect.command("flow-run", "cancel", run)
    assert psutil.wait_procs(tree, timeout=60)[1] == []
    assert prefect.end(run, 60) == "Cancelled"


def test_when_worker_and_flow_die_together_the_run_has_crashed_and_a_rerun_goes_on(prefect: Prefect, plain: Clone):
    prefect.served.end_zombies_after(40)  # before the run, since the server counts from signs of life that it watches
    try:
        run, seed = start_training(prefect)
        for process in (*processes(prefect.clone, "worker"), engine_of(run)):
            process.kill()
        assert prefect.state(run) == "Running"  # nobody is left to say otherwise
        assert prefect.end(run, 120) == "Crashed"
        assert "no sign of life for 40 s" in prefect.message(run)
    finally:  # a slow machine would let a living run miss 40 s
        prefect.served.end_zombies_after(90)
        prefect.served.start_worker("cpu")

    again = prefect.start("prosam/train-fold", fold=0)
    assert prefect.end(again) == "Completed"
    wait_until(lambda: "goes on from step" in prefect.log(again), "that in the log")
    assert_same_training(prefect, plain, seed)


def test_a_server_that_restarts_in_mid_run_loses_nothing(prefect: Prefect, plain: Clone):
    run, seed = start_training(prefect)
    prefect.served.restart_server()
    assert prefect.end(run) == "Completed"
    assert_same_training(prefect, plain, seed)


def test_of_two_runs_at_once_the_second_waits_and_finds_all_done(prefect: Prefect):
    prefect.change_seed()
    first, second = (prefect.start("prosam/train-fold", fold=0) for _ in range(2))
    assert (prefect.end(first), prefect.end(second)) == ("Completed", "Completed")
    ran = [sum(state == "Completed" for state in prefect.stages(run).values()) for run in (first, second)]
    assert sorted(ran) == [0, 2]  # the training and the evaluation


def test_of_two_retrainings_at_once_the_second_is_cancelled(prefect: Prefect):
    prefect.change_seed()
    first = prefect.start("prosam/retrain")
    wait_until(lambda: prefect.state(first) == "Running", "a retraining")
    second = prefect.start("prosam/retrain")
    assert prefect.end(second, 60) == "Cancelled"
    assert prefect.end(first) == "Completed"
    model = f"{DATASET}-vrp-sam"
    assert {prefect.stages(first)[f"promote@{model}-{fold}"] for fold in (0, 1)} == {"First"}

    third = prefect.start("prosam/retrain")
    assert prefect.end(third) == "Completed"
    assert prefect.message(third) == "nothing has changed"
    assert set(prefect.stages(third).values()) == {"Skipped"}


def test_stopping_all_ends_the_stages_that_run(prefect: Prefect):
    prefect.clone.change({"train.steps": 100_000})
    run, _ = start_training(prefect)
    running = [engine_of(run), *processes(prefect.clone, "worker")]
    tree = [*running, *(child for process in running for child in process.children(recursive=True))]
    prefect.served.stop()
    assert psutil.wait_procs(tree, timeout=20)[1] == []
    prefect.served.start_server()
    prefect.served.start_worker("cpu")


def start_training(prefect: Prefect) -> tuple[str, int]:
    """Start a training of fold 0 that has to be done and wait for its first checkpoint; the run's id and its seed."""
    for checkpoint in checkpoints(prefect):
        checkpoint.unlink()
    seed = prefect.change_seed()
    run = prefect.start("prosam/train-fold", fold=0)
    wait_until(lambda: bool(checkpoints(prefect)), "a checkpoint")
    return run, seed


def checkpoints(prefect: Prefect) -> list[Path]:
    return list((prefect.clone.root / ".scratch/train").glob("*/checkpoint.pt"))


def processes(clone: Clone, word: str) -> list[psutil.Process]:
    """The processes in a clone that have a word in their command."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if word in words and process.info["cwd"] == str(clone.root):
            found.append(process)
    return found


def engine_of(run: str) -> psutil.Process:
    """The process of a flow run; that of the run before may not have ended yet."""
    for process in psutil.process_iter(["environ", "cmdline"]):
        of_run = (process.info["environ"] or {}).get("PREFECT__FLOW_RUN_ID") == run
        if of_run and "prefect.engine" in (process.info["cmdline"] or []):
            return process
    raise AssertionError(f"no process of flow run {run}")


def assert_same_training(prefect: Prefect, plain: Clone, seed: int, fold: int = 0) -> None:
    """That the model of a fold has the bytes of one that was trained without Prefect and DVC, and without a break.

    But for model.json, which names the commit, and the digests, of which one is that of model.json.
    """
    plain.change({"train.seed": seed})
    plain.stage("train", DATASET, "vrp-sam", str(fold))
    folder, differing = layout.model(DATASET, "vrp-sam", fold), ("model.json", SUMS)
    ours, theirs = (
        {path.name: path.read_bytes() for path in (clone.root / folder).iterdir() if path.name not in differing}
        for clone in (prefect.clone, plain)
    )
    assert ours == theirs
    assert len(ours) == 3
