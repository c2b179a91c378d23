"""The stages download, folds and annotations, as commands."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.data.annotations import Annotations
from prosam.data.episodes import read_episodes
from prosam.data.fold_files import read_fold, read_index
from prosam.data.formats.voc import VocDataset

NAME = "shapes-5i"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with the repository's params.yaml, but for a few small scenes and two folds."""
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["datasets"] = {
        NAME: {
            "download": {"source": "shapes", "train_images": 6, "val_images": 4, "size": 64, "seed": 0},
            "protocol": {"folds": 2, "order": "contiguous", "min_area": 10, "novel_in_training": "exclude"},
            "train": {},
        }
    }
    params["folds"] = {"episodes": 30, "monitor_episodes": 20, "seed": 0}
    params["pipeline"] |= {"datasets": [NAME], "folds": [0]}
    yaml.dump(params, tmp_path / "params.yaml")
    return tmp_path


def stage(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"tasks.{words[0]}", *words[1:]]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=workspace, env=environment, text=True, capture_output=True, check=False)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


def test_downloading_twice_gives_the_same_bytes(workspace: Path):
    raw = workspace / layout.raw(NAME)
    assert stage(workspace, "download", "shapes-5i").returncode == 0
    first = digest(raw)
    assert stage(workspace, "download", "shapes-5i").returncode == 0
    assert digest(raw) == first
    assert len(VocDataset(raw).image_ids("train")) == 6


def test_folds_and_annotations_of_a_tiny_data_set(workspace: Path, write_tiny: Callable[..., Path]):
    raw, folds = workspace / layout.raw(NAME), workspace / layout.folds(NAME)
    write_tiny(raw)
    assert stage(workspace, "folds", "shapes-5i").returncode == 0
    index = read_index(folds / "index.csv")
    for number in (0, 1):
        fold = read_fold(folds / f"fold-{number}.json")
        episodes = read_episodes(folds / f"episodes-{number}.csv")
        monitor = read_episodes(folds / f"monitor-{number}.csv")
        shown = [Counter(row.class_id for row in index if row.split == "val")[c] for c in (*fold.novel, *fold.base)]
        possible = [n * (n - 1) for n in shown]  # fewer than are asked for: each comes once
        assert len(episodes) == min(30, sum(possible[: len(fold.novel)]))
        assert len(monitor) == min(20, sum(possible[len(fold.novel) :]))
        assert {e.class_id for e in episodes} == set(fold.novel)
        assert {e.class_id for e in monitor} == set(fold.base)
    assert stage(workspace, "annotations", "shapes-5i", "prosam").returncode == 0
    masks = workspace / layout.annotations(NAME, "prosam")
    first = digest(masks)
    test = Annotations(masks / "test.parquet")
    dataset = VocDataset(raw)
    assert all(
        (test.get(row.image, row.class_id) == dataset.mask(row.image, row.class_id)).all()
        for row in index
        if row.split == "val"
    )
    assert stage(workspace, "annotations", "shapes-5i", "prosam").returncode == 0
    assert digest(masks) == first


def test_a_damaged_mask_leaves_one_line_and_no_half_output(workspace: Path, write_tiny: Callable[..., Path]):
    raw, folds = workspace / layout.raw(NAME), workspace / layout.folds(NAME)
    write_tiny(raw)
    mask = raw / "SegmentationClass/val_8.png"
    mask.write_bytes(mask.read_bytes()[:60])
    result = stage(workspace, "folds", "shapes-5i")
    assert_one_line(result, "SegmentationClass/val_8.png", "damaged")
    assert not folds.exists()
    assert not list(workspace.rglob("*.partial"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["folds", "shapes-5i"], [str(layout.raw(NAME)), "download stage"]),
        (["download", "shapes"], ["unknown data set 'shapes'", "shapes-5i"]),
        (
            ["annotations", "shapes-5i", "prosam-scribbles"],
            ["unknown run 'prosam-scribbles'", "did you mean 'prosam-scribble'?", "vrp-sam-box"],
        ),
    ],
)
def test_a_wrong_argument_is_one_line_that_names_the_choices(workspace: Path, command: list[str], words: list[str]):
    assert_one_line(stage(workspace, *command), *words)
    assert not (workspace / layout.folds(NAME)).exists()


@pytest.mark.parametrize("name", ["download", "folds", "annotations"])
def test_help_has_an_example_and_loads_nothing_heavy(name: str):
    heavy = ("torch", "pandas", "numpy", "PIL", "pyarrow")
    code = f"import sys, tasks.{name}; print([module for module in {heavy} if module in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    imported = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True)
    assert imported.stdout.strip() == "[]"
    assert f"python -m tasks.{name} shapes-5i" in stage(REPOSITORY, name, "--help").stdout
