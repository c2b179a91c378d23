"""Stages in several processes: training and evaluation of one run."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML
from safetensors.torch import load_file

from prosam import layout
from tests.conftest import DATASET, REPOSITORY, write_params

pytestmark = [pytest.mark.slow, pytest.mark.processes]
LIMIT_S = 300  # far more than it takes: to fail instead of hanging
RUN = (DATASET, "prosam", "0")
MODEL, RESULTS = layout.model(DATASET, "prosam", 0), layout.results(DATASET, "prosam", 0)
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


def set_processes(workspace: Path, processes: int, **train: object) -> None:
    params = YAML(typ="safe").load(workspace / "params.yaml")
    params["processes"] = processes
    params["train"] |= train
    params["evaluate"]["batch_size"] = 2  # three batches
    write_params(workspace, params)


def start(workspace: Path, *command: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    environment.pop("PROSAM_SCRATCH", None)
    return subprocess.Popen(
        [sys.executable, "-m", *command, *RUN],
        cwd=workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(workspace: Path, *command: str) -> str:
    """What it printed, its progress first."""
    process = start(workspace, *command)
    out, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    return errors + out


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kill_after_a_checkpoint(workspace: Path) -> None:
    process = start(workspace, "tasks.train")
    end = time.monotonic() + LIMIT_S
    while not list((workspace / ".scratch/train").glob("*/checkpoint.pt")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    for one in (process, *children):  # the children would end by themselves within a second, and may be done before
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    process.communicate(timeout=LIMIT_S)
    psutil.wait_procs(children, timeout=LIMIT_S)
    assert not (workspace / MODEL).exists()


def test_a_training_killed_goes_on_with_as_many_processes_to_the_same_bytes_and_with_one_up_to_rounding(
    workspace: Path, tmp_path: Path
):
    set_processes(workspace, 2, steps=16, checkpoint_every=2, monitor_every=8)
    shutil.copytree(workspace, tmp_path / "undisturbed")
    finish(tmp_path / "undisturbed", *TORCHRUN, "tasks.train")
    undisturbed = content(tmp_path / "undisturbed" / MODEL)
    kill_after_a_checkpoint(workspace)
    shutil.copytree(workspace, tmp_path / "alone")
    assert finish(workspace, "tasks.train").count("goes on from step") == 1
    assert content(workspace / MODEL) == undisturbed
    assert not list((workspace / ".scratch/train").glob("*"))
    set_processes(tmp_path / "alone", 1)
    assert "goes on from step" in finish(tmp_path / "alone", "tasks.train")
    alone = tmp_path / "alone" / MODEL
    expected, found = (load_file(folder / "prompt_encoder.safetensors") for folder in (workspace / MODEL, alone))
    assert all((found[name] - expected[name]).abs().max() < 1e-4 for name in expected)
    rows = [list(csv.DictReader((folder / "training.csv").open())) for folder in (workspace / MODEL, alone)]
    for expected, found in zip(*rows, strict=True):
        assert [float(v) for v in found.values()] == pytest.approx([float(v) for v in expected.values()], rel=1e-3)


def test_an_evaluation_in_two_processes_has_the_bytes_of_one(workspace: Path):
    set_processes(workspace, 1)
    finish(workspace, "tasks.train")
    finish(workspace, "tasks.evaluate")
    one = content(workspace / RESULTS)
    shutil.rmtree(workspace / RESULTS)
    set_processes(workspace, 2)
    shutil.rmtree(workspace / ".scratch/features")
    shown = finish(workspace, "tasks.evaluate")
    assert content(workspace / RESULTS) == one
    assert shown.count("backbone features: 36/36") == 1  # by one of them
    assert shown.count("evaluate shapes-5i prosam fold 0") == 1
    assert "4/4 episode" in shown  # two batches of the three


def test_a_batch_that_cannot_be_dealt_is_one_line(workspace: Path):
    set_processes(workspace, 2, batch_size=3)
    process = start(workspace, "tasks.train")
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    assert errors == (
        "error: train.batch_size: 3 episodes cannot be divided evenly among 2 processes; change it, or `processes` in "
        "params.yaml\n"
    )
