"""A tiny data set with the outputs of all stages before training, made once a session."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from prosam.features.episode_tensors import EpisodeTensors
from prosam.params import load_params
from tasks.inputs import RunInputs
from tests.workspace import DATASET, REPOSITORY, bundled_params, prepare_workspace, write_params

__all__ = ["DATASET", "REPOSITORY", "bundled_params", "write_params"]  # tests import them from here


_LONG = {  # beside tests/studies
    ("tests", "test_benches.py"),
    ("pipeline", "test_studies.py"),
    ("pipeline", "test_experiments.py"),
    ("pipeline", "test_dvc_commands.py"),
    ("training", "test_launch.py"),
    ("training", "test_processes.py"),
    ("training", "test_ranks.py"),
}


_SHARING = ("tests/flows", "tests/pipeline", "tests/served", "tests/report")


class _BySharedFixtures(LoadScopeScheduling):
    """Deals tests to workers file by file, but those together that share clones, a server or a large report."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "/".join(nodeid.split("/")[:2])
        return folder if folder in _SHARING else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)  # so that `-p no:xdist` works
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _BySharedFixtures:
    return _BySharedFixtures(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no worker waits for it; what takes minutes is marked.

    Tests of real servers and processes are run once more when they fail; pytest names them as RERUN.
    """
    for item in items:
        if REPOSITORY / "tests/studies" in item.path.parents or item.path.parts[-2:] in _LONG:
            item.add_marker("long")
        if {"served", "processes"} & {marker.name for marker in item.iter_markers()}:
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: not {"pipeline", "served"} & set(item.path.parts))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why a test was run once more; pytest-rerunfailures shows the last attempt alone."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("-", f"first attempt of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture(scope="session")
def prepared_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 scenes of four classes through folds, annotations and embeddings; leave it as it is."""
    root = tmp_path_factory.mktemp("workspace")
    prepare_workspace(root)
    return root


@pytest.fixture
def workspace(prepared_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared workspace that a test may change, as the current folder."""
    copy = tmp_path / "workspace"
    shutil.copytree(prepared_workspace, copy)
    monkeypatch.delenv("PROSAM_SCRATCH", raising=False)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture(scope="module")
def inputs(prepared_workspace: Path) -> RunInputs:
    """What train and evaluate open for the run `prosam`."""
    with contextlib.chdir(prepared_workspace):
        return RunInputs(load_params(), DATASET, "prosam")


@pytest.fixture
def tensors(inputs: RunInputs, prepared_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> EpisodeTensors:
    """Tensors of val episodes, in the prepared workspace as current folder."""
    monkeypatch.chdir(prepared_workspace)
    return inputs.tensors(inputs.masks("val"))
