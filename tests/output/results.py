"""Folders of results made without a model: each image shows a cat of so many rows."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from prosam.output.jobs import jobs_of
from prosam.output.results_folder import Format, Provenance, ResultsFolder
from prosam.predictor.result import Detection, Result

MAKER = Provenance("a model", ("cat",), {"model": "0"})
SHAPE = (8, 10)


def photo(path: Path, time: int = 1) -> Path:
    """An image file that was last changed at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*SHAPE, 3), np.uint8)).save(path)
    os.utime(path, ns=(time, time))
    return path


def result(path: Path, rows: int) -> Result:
    """A cat in the upper rows."""
    mask = np.zeros(SHAPE, bool)
    mask[:rows] = True
    found = Detection("cat", mask, 1.0, True, 1.0)
    return Result(path, np.zeros((*SHAPE, 3), np.uint8), (found,), mask.astype(np.uint8), MAKER.model)


def run(
    out: Path,
    photos: dict[Path, int],
    formats: Sequence[Format] = ("masks", "coco"),
    *,
    unreadable: Sequence[Path] = (),
) -> set[str]:
    """What one start of the command does with photos, each with a cat of so many rows; the images it looked at."""
    jobs = jobs_of((path, path.name) for path in photos)
    looked_at: set[str] = set()
    with ResultsFolder(out, jobs, MAKER, formats) as results:
        for job in jobs:
            if job.path not in unreadable and not results.is_done(job):
                looked_at.add(job.name)
                results.add(job, result(job.path, photos[job.path]))
        results.finish([(job, f"{job.path}: is damaged") for job in jobs if job.path in unreadable])
    return looked_at


def rows(mask: Path) -> int:
    """Of a cat in the upper rows."""
    return int((np.asarray(Image.open(mask))[:, 0] == 255).sum())


def journal(out: Path) -> dict[str, int]:
    """How many lines each image has."""
    names = [json.loads(line)["image"] for line in (out / "results.jsonl").read_text().splitlines()[1:]]
    return {name: names.count(name) for name in names}


def coco_areas(out: Path) -> dict[str, int]:
    """Pixels of the cat in each image of coco.json."""
    content = json.loads((out / "coco.json").read_text())
    areas = {annotation["image_id"]: annotation["area"] for annotation in content["annotations"]}
    return {image["file_name"]: areas[image["id"]] for image in content["images"]}
