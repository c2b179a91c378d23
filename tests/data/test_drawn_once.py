"""Annotations that runs of one kind share: drawn once, and whole after kills, damage and two starts at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.data import annotating
from prosam.seals import SUMS, seal
from tasks.annotations import draw_annotations
from tasks.folds import folds
from tests.conftest import REPOSITORY
from tests.data.test_data_stages import NAME, digest, stage

BY_HAND = """
import os, time
from prosam.data import annotating
draw = annotating.draw_annotation

def drawn(*words, **more):
    print("drawing", flush=True)
    {meanwhile}
    return draw(*words, **more)

annotating.draw_annotation = drawn
from tasks.annotations import draw_annotations
draw_annotations("{name}", "{run}")
"""


@pytest.fixture
def dealt(tmp_path: Path, write_tiny: Callable[..., Path]) -> Path:
    """A workspace with a tiny data set and its folds."""
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["datasets"] = {
        NAME: {
            "download": {"source": "shapes", "train_images": 6, "val_images": 4, "size": 64, "seed": 0},
            "protocol": {"folds": 2, "order": "contiguous", "min_area": 10, "novel_in_training": "exclude"},
            "train": {},
        }
    }
    params["pipeline"] |= {"datasets": [NAME], "folds": [0]}
    yaml.dump(params, tmp_path / "params.yaml")
    write_tiny(tmp_path / layout.raw(NAME))
    with contextlib.chdir(tmp_path):
        folds(NAME)
    return tmp_path


def draw(workspace: Path, run: str) -> tuple[dict[str, str], int]:
    """The digests of a run's annotations, drawn if need be, and how many masks were drawn for them."""
    drawn, really = list[str](), annotating.draw_annotation

    def drawing(*words: Any, **more: Any) -> Any:
        drawn.append(run)
        return really(*words, **more)

    with contextlib.chdir(workspace), pytest.MonkeyPatch.context() as patch:
        patch.delenv("PROSAM_SCRATCH", raising=False)
        patch.setattr(annotating, "draw_annotation", drawing)
        draw_annotations(NAME, run)
    return digest(workspace / layout.annotations(NAME, run)), len(drawn)


def start(workspace: Path, run: str, meanwhile: str) -> subprocess.Popen[str]:
    """Begin to draw a run's annotations; `meanwhile` is done at each mask."""
    program = BY_HAND.format(name=NAME, run=run, meanwhile=meanwhile)
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program], cwd=workspace, env=environment(), text=True, stdout=subprocess.PIPE
    )


def wait_for_line(process: subprocess.Popen[str], said: str) -> None:
    """Return once a process has printed a line with this in it."""
    assert process.stdout is not None
    while said not in process.stdout.readline():
        assert process.poll() is None


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PROSAM_SCRATCH"} | {
        "PYTHONPATH": str(REPOSITORY)
    }


def change(workspace: Path, section: str, **values: object) -> None:
    yaml = YAML()
    params = yaml.load(workspace / "params.yaml")
    part = params
    for key in section.split("."):
        part = part[key]
    part |= values
    yaml.dump(params, workspace / "params.yaml")


def inodes(workspace: Path, run: str) -> set[int]:
    return {path.stat().st_ino for path in (workspace / layout.annotations(NAME, run)).glob("*.parquet")}


def test_runs_of_one_kind_share_files_and_work(dealt: Path):
    first, drawn = draw(dealt, "prosam-point")
    again, drawn_again = draw(dealt, "vrp-sam-point")
    assert (set(first), drawn > 0) == ({"train.parquet", "test.parquet", SUMS}, True)
    assert (again, drawn_again) == (first, 0)
    assert inodes(dealt, "prosam-point") == inodes(dealt, "vrp-sam-point")
    other, drawn_other = draw(dealt, "prosam-scribble")
    assert drawn_other == drawn
    assert not set(other.values()) & set(first.values())


def test_other_settings_masks_or_folds_draw_anew_and_those_of_another_kind_do_not(dealt: Path):
    points, masks = draw(dealt, "prosam-point")[0], draw(dealt, "prosam")[0]
    change(dealt, "annotations.point", max_points=3)
    assert draw(dealt, "prosam") == (masks, 0)
    fewer, drawn = draw(dealt, "prosam-point")
    assert drawn > 0
    assert fewer["test.parquet"] != points["test.parquet"]
    change(dealt, "annotations.point", max_points=20)
    assert draw(dealt, "prosam-point") == (points, 0)

    change(dealt, "annotations", seed=1)
    assert draw(dealt, "prosam-point")[0]["test.parquet"] != points["test.parquet"]
    change(dealt, "annotations", seed=0)
    index = dealt / layout.folds(NAME) / "index.csv"
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:-1]))
    seal(index.parent)
    assert draw(dealt, "prosam")[0] != masks


def test_a_changed_mask_is_taken_up(dealt: Path):
    before = draw(dealt, "prosam")[0]
    files = sorted((dealt / layout.raw(NAME) / "SegmentationClass").glob("val_*.png"))
    files[0].write_bytes(files[0].read_bytes() + b"\0")  # the same pixels
    again, drawn = draw(dealt, "prosam")
    assert drawn > 0
    assert again == before


@pytest.mark.parametrize("masks", [1, 3])
@pytest.mark.processes
def test_a_killed_drawing_leaves_nothing_that_is_taken_for_whole(dealt: Path, masks: int):
    whole = draw(dealt, "prosam-point")
    shutil.rmtree(dealt / layout.annotations(NAME, "prosam-point"))
    shutil.rmtree(dealt / ".scratch")
    process = start(dealt, "prosam-point", "time.sleep(0.5)")
    for _ in range(masks):
        wait_for_line(process, "drawing")
    process.kill()
    process.communicate()
    assert not (dealt / layout.annotations(NAME, "prosam-point")).exists()
    assert draw(dealt, "prosam-point") == whole
    assert not list(dealt.rglob("*.partial"))


def test_while_one_draws_another_waits_for_it(dealt: Path):
    unless_told = "while not os.path.exists('go'): time.sleep(0.01)"
    drawing = start(dealt, "prosam-point", unless_told)
    wait_for_line(drawing, "drawing")
    waiting = start(dealt, "vrp-sam-point", unless_told)
    wait_for_line(waiting, "another process is working on it; waiting")
    assert not (dealt / layout.annotations(NAME, "prosam-point")).exists()
    (dealt / "go").touch()
    printed = [process.communicate()[0] for process in (drawing, waiting)]
    assert (drawing.returncode, waiting.returncode) == (0, 0)
    assert ["drawing\n" in text for text in printed] == [True, False]
    assert inodes(dealt, "prosam-point") == inodes(dealt, "vrp-sam-point")
    assert digest(dealt / layout.annotations(NAME, "prosam-point")) == draw(dealt, "prosam-point")[0]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_link_that_was_written_into_is_mended_by_the_stage(dealt: Path, share: float):
    whole = draw(dealt, "prosam")
    path = dealt / layout.annotations(NAME, "prosam") / "test.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])  # the same file as in the scratch folder
    mended, drawn = draw(dealt, "prosam")
    assert mended == whole[0]
    assert 0 < drawn < whole[1]  # the other file is kept


def test_a_damaged_mask_is_one_line_and_leaves_no_half_output(dealt: Path):
    mask = next((dealt / layout.raw(NAME) / "SegmentationClass").glob("val_*.png"))
    mask.write_bytes(mask.read_bytes()[:60])
    done = stage(dealt, "annotations", NAME, "prosam")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert mask.name in line
    assert not (dealt / layout.annotations(NAME, "prosam")).exists()
    assert not list(dealt.rglob("*.partial"))


def test_where_links_do_not_work_files_are_copied(dealt: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    linked = draw(dealt, "prosam")[0]
    monkeypatch.chdir(dealt)
    monkeypatch.delenv("PROSAM_SCRATCH", raising=False)
    monkeypatch.setattr(os, "link", refuse)
    draw_annotations(NAME, "vrp-sam")
    assert digest(dealt / layout.annotations(NAME, "vrp-sam")) == linked
    assert not inodes(dealt, "vrp-sam") & inodes(dealt, "prosam")
