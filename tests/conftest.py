"""A tiny data set with the outputs of all stages before training, made once a session."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from prosam import layout
from prosam.data.dataset import Split
from prosam.data.formats.voc import VOID
from prosam.data.shapes.scenes import LabelledImage, shapes_scenes
from prosam.features.episode_tensors import EpisodeTensors
from prosam.params import load_params
from tasks.inputs import RunInputs

REPOSITORY = Path(__file__).parents[1]
DATASET = "shapes-5i"


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


def bundled_params() -> dict[str, Any]:
    """The repository's params.yaml as plain values."""
    return YAML(typ="safe").load(REPOSITORY / "params.yaml")


def write_params(folder: Path, params: dict[str, Any]) -> Path:
    """Write params.yaml into a folder."""
    path = folder / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(params, file)
    return path


def _four_classes(split: Split, count: int) -> Iterator[LabelledImage]:
    """Generated scenes with their twenty classes dealt to four, so that a few images show each of them."""
    for name, image, labels in shapes_scenes(split, count, size=128, seed=0):
        object_pixels = (labels > 0) & (labels < VOID)
        yield name, image, np.where(object_pixels, (labels - 1) % 4 + 1, labels).astype(np.uint8)


@pytest.fixture(scope="session")
def prepared_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 scenes of four classes through folds, annotations and embeddings; leave it as it is."""
    from prosam.data.formats.voc import write_voc
    from tasks.annotations import draw_annotations
    from tasks.backbone import backbone
    from tasks.embeddings import embeddings
    from tasks.folds import folds
    from tasks.inputs import RunInputs
    from tasks.sam import sam

    root = tmp_path_factory.mktemp("workspace")
    params = bundled_params()
    params["datasets"] = {
        DATASET: {
            "download": {"source": "shapes", "train_images": 24, "val_images": 12, "size": 128, "seed": 0},
            "protocol": {"folds": 2, "order": "interleaved", "min_area": 20, "novel_in_training": "background"},
            "train": {},
        }
    }
    params["folds"] = {"episodes": 6, "monitor_episodes": 4, "seed": 0}
    params["pipeline"] |= {"datasets": [DATASET], "folds": [0]}
    params["train"] |= {"steps": 5, "batch_size": 2, "monitor_every": 2, "checkpoint_every": 2}
    params["embeddings"]["shard_size"] = 8
    params["device"] = "cpu"
    write_params(root, params)
    with contextlib.chdir(root), pytest.MonkeyPatch.context() as patch:
        patch.delenv("PROSAM_SCRATCH", raising=False)
        layout.raw(DATASET).mkdir(parents=True)
        write_voc(
            layout.raw(DATASET), list("abcd"), {"train": _four_classes("train", 24), "val": _four_classes("val", 12)}
        )
        folds(DATASET)
        sam()
        for run in ("prosam", "vrp-sam"):
            draw_annotations(DATASET, run)
            backbone(run)
        embeddings(DATASET)
        inputs = RunInputs(load_params(), DATASET, "prosam")
        inputs.tensors(inputs.masks("val"))  # makes the table of backbone features, which trainings share
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
