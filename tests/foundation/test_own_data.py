"""One's own images through the whole DAG, and what a new one re-runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam import layout
from prosam.features.embedding_store import EmbeddingStore
from tests.pipeline.clone import Clone, Done

pytestmark = pytest.mark.foundation

NAME = "mine"
CLASSES = ("cat", "dog", "bird")
FIRST = 10
NEW = "photo 10"
TRAINING = f"{NAME}-prosam-0"
OF_THE_DATA = {f"{stage}@{NAME}" for stage in ("download", "folds", "embeddings")} | {
    f"annotations@{NAME}-prosam", f"train@{TRAINING}", f"evaluate@{TRAINING}", "report",
}  # fmt: skip

CHANGES = {
    f"datasets.{NAME}": {
        "download": {"source": "own"},
        "protocol": {"folds": [["cat"], ["dog", "bird"]], "min_area": 50, "novel_in_training": "background"},
        "train": {"steps": 2, "batch_size": 2, "monitor_every": 2, "checkpoint_every": 2},
    },
    "pipeline.datasets": [NAME],
    "pipeline.runs": ["prosam"],
    "pipeline.folds": [0],
    "folds.episodes": 4,
    "folds.monitor_episodes": 2,
    "report.bootstrap": 100,
    "report.pictures": 1,
    "device": "cpu",
    "threads": 1,
}


def save_scene(folder: Path, number: int) -> None:
    """An image of 64 x 48 px that shows each class as a bright square of 12 x 12 px, and its mask."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 128, (48, 64, 3), np.uint8)
    labels = np.zeros((48, 64), np.uint8)
    for class_id in range(1, len(CLASSES) + 1):
        top, left = int(rng.integers(36)), 20 * (class_id - 1) + int(rng.integers(8))
        pixels[top : top + 12, left : left + 12, class_id - 1] = 255
        labels[top : top + 12, left : left + 12] = class_id
    for name in ("JPEGImages", "SegmentationClass"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    suffix = ("jpg", "png", "tif")[number % 3]
    Image.fromarray(pixels).save(folder / f"JPEGImages/photo {number}.{suffix}")
    Image.fromarray(labels).save(folder / f"SegmentationClass/photo {number}.png")


@dataclass(frozen=True)
class Steps:
    """What DVC did, one step after the other.

    Attributes:
        clone: after all of them.
        before: each image's embedding before there was a new one.
        with_new: `dvc repro` after a new image.
        unchanged: `dvc repro` once more.
    """

    clone: Clone
    before: dict[str, np.ndarray]
    with_new: Done
    unchanged: Done


def embeddings(clone: Clone) -> dict[str, np.ndarray]:
    """Each image's embedding, by the image's id."""
    store = EmbeddingStore(clone.root / layout.embeddings(NAME))
    return {image: store.read([image])[0].numpy() for image in store}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    """Ten images go through the DAG; then an eleventh is put into the folder."""
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("own") / "clone", CHANGES)
    own = clone.root / layout.own(NAME)
    for number in range(FIRST):
        save_scene(own, number)
    (own / "classes.txt").write_text("\n".join(CLASSES))
    clone.local()
    before = embeddings(clone)
    save_scene(own, FIRST)
    return Steps(clone, before, clone.dvc("repro"), clone.dvc("repro"))


def test_a_new_image_reruns_what_is_made_of_the_data_and_no_weights(steps: Steps):
    assert steps.with_new.executed == OF_THE_DATA
    assert set(steps.clone.lock()) == OF_THE_DATA | {"sam", "backbone@prosam"}


def test_only_the_new_image_is_embedded(steps: Steps):
    assert f"embeddings: {FIRST} of {FIRST + 1} are there from an earlier start" in steps.with_new.output
    after = embeddings(steps.clone)
    assert after.keys() == steps.before.keys() | {NEW}
    for image, embedding in steps.before.items():
        np.testing.assert_array_equal(after[image], embedding)


def test_the_new_image_is_copied_and_dealt_to_a_split(steps: Steps):
    images = {path.name for path in (steps.clone.root / layout.raw(NAME) / "images").iterdir()}
    assert images == {path.name for path in (steps.clone.root / layout.own(NAME) / "JPEGImages").iterdir()}
    rows = (steps.clone.root / layout.folds(NAME) / "index.csv").read_text().splitlines()
    assert sum(row.startswith(f"{NEW},") for row in rows) == len(CLASSES)


def test_the_report_is_about_the_data_and_asks_for_no_other(steps: Steps):
    page = (steps.clone.root / layout.REPORT / "index.html").read_text()
    assert f"{NAME}, mask annotations</h2>" in page
    assert "shapes-5i" not in page


def test_nothing_runs_when_nothing_has_changed(steps: Steps):
    assert steps.unchanged.executed == set()
    assert "Data and pipelines are up to date." in steps.unchanged.output
