"""COCO128-seg at its full size through the whole DAG, with the bundled models for photographs at a small image size."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prosam import layout
from prosam.data.open import open_dataset
from prosam.features.embedding_store import EmbeddingStore
from tests.data.yolo_tree import write_coco128_tree
from tests.pipeline.clone import Clone

pytestmark = pytest.mark.foundation

NAME, RUN = "coco128", "prosam"

CHANGES = {
    "pipeline.datasets": [NAME],
    "pipeline.runs": [RUN],
    "pipeline.folds": [0],
    f"datasets.{NAME}.train": {"steps": 2, "batch_size": 2, "monitor_every": 2, "checkpoint_every": 2},
    "models.sam": {"name": "lite"},
    "models.image_size": 64,
    "folds.episodes": 6,
    "folds.monitor_episodes": 2,
    "train.schedule.warmup": 1,
    "report.bootstrap": 100,
    "report.pictures": 1,
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which all stages ran on 128 images in the tree of the published archive."""
    data = tmp_path_factory.mktemp("given")
    write_coco128_tree(data)
    given = {f"datasets.{NAME}.download.data_root": str(data)}
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("coco128") / "clone", CHANGES | given)
    clone.local()
    return clone


def test_every_image_that_shows_a_class_is_embedded(clone: Clone):
    data = open_dataset(clone.root / layout.raw(NAME))
    images = {image for split in ("train", "val") for image in data.image_ids(split)}
    assert len(images) == 126
    assert set(EmbeddingStore(clone.root / layout.embeddings(NAME))) == images


def test_the_novel_classes_are_tested_and_reported(clone: Clone):
    rows = pd.read_parquet(clone.root / layout.results(NAME, RUN, 0) / "episodes.parquet")
    assert set(rows["class_name"]) <= {"person", "airplane", "boat", "parking meter"}
    assert len(rows) == 6
    assert f"{NAME}, mask annotations</h2>" in (clone.root / Path(layout.REPORT) / "index.html").read_text()
