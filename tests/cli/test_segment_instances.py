"""`prosam segment --instances` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import Prosam, files_below

COMMAND = ("segment", "photos", "--name", "cat", "--reference", "cat.jpg", "--mask", "cat.png", "--threshold", "0")


def test_objects_are_counted_and_resuming_gives_the_same_bytes(work: Path, prosam: Prosam):
    status, out, _ = prosam(*COMMAND, "--instances", "--out", "found")
    assert status == 0
    lines = [json.loads(line) for line in (work / "found/results.jsonl").read_text().splitlines()]
    assert lines[0]["identity"]["instances"] is True
    counts = [found["count"] for line in lines[1:] for found in line["found"]]
    present = sum(count > 0 for count in counts)
    assert f"cat in {present} of 5 images, {sum(counts)} in all" in out
    annotations = json.loads((work / "found/coco.json").read_text())["annotations"]
    assert len(annotations) == sum(counts) > 0
    assert sum(int(np.asarray(Image.open(path)).max()) for path in (work / "found/labels").rglob("*.png")) == sum(
        counts
    )

    before = files_below(work / "found")
    journal = (work / "found/results.jsonl").read_text().splitlines(keepends=True)
    (work / "found/results.jsonl").write_text("".join(journal[:3]))  # as after a kill
    assert prosam(*COMMAND, "--instances", "--out", "found")[0] == 0
    assert files_below(work / "found") == before


def test_a_folder_without_objects_is_not_continued_with_them(work: Path, prosam: Prosam):
    assert prosam(*COMMAND, "--out", "found")[0] == 0
    first = (work / "found/results.jsonl").read_text()
    assert "instances" not in first
    assert "count" not in first
    status, _, error = prosam(*COMMAND, "--instances", "--out", "found")
    assert (status, error.count("\n")) == (2, 1)
    assert "--again" in error
