"""LVIS-92i, PASCAL-Part and PACO-Part: generated trees of their published formats through the whole DAG."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from prosam import layout
from tests.data.coco2017_tree import write_lvis_tree, write_paco_tree
from tests.data.pascal_part_tree import write_pascal_part_tree
from tests.pipeline.clone import Clone, Done

pytestmark = pytest.mark.foundation

LVIS, PARTS = "lvis-92i", ("pascal-part", "paco-part")
NAMES, RUN = (LVIS, *PARTS), "prosam"

CHANGES = {
    "pipeline.datasets": list(NAMES),
    "pipeline.runs": [RUN],
    "pipeline.folds": [0],
    **{f"datasets.{name}.train": {} for name in NAMES},
    **{f"datasets.{name}.protocol.episodes": 4 for name in NAMES},
    "folds.monitor_episodes": 2,
    "train.steps": 2,
    "train.batch_size": 2,
    "train.schedule.warmup": 1,
    "train.monitor_every": 2,
    "train.checkpoint_every": 2,
    "report.bootstrap": 100,
    "report.pictures": 1,
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Done]:
    """A clone in which all stages ran."""
    data = tmp_path_factory.mktemp("given")
    coco, voc = data / "coco", data / "voc"
    coco.mkdir()
    voc.mkdir()
    write_lvis_tree(coco, categories=23)
    write_paco_tree(coco)  # on images of the same names
    write_pascal_part_tree(voc)
    roots = zip(NAMES, (coco, voc, coco), strict=True)
    given = {f"datasets.{name}.download.data_root": str(root) for name, root in roots}
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("objects") / "clone", CHANGES | given)
    return clone, clone.local()


@pytest.mark.parametrize("name", NAMES)
def test_novel_classes_are_tested_and_were_not_trained_on(ran: tuple[Clone, Done], name: str):
    clone, _ = ran
    rows = pd.read_parquet(clone.root / layout.results(name, RUN, 0) / "episodes.parquet")
    assert len(rows) == 4
    told = json.loads((clone.root / layout.model(name, RUN, 0) / "model.json").read_text())
    assert set(rows["class_name"]) <= set(told["novel_classes"])
    assert set(told["base_classes"]).isdisjoint(told["novel_classes"])


def test_the_report_has_a_section_for_each(ran: tuple[Clone, Done]):
    clone, _ = ran
    settings = json.loads((clone.root / layout.REPORT / "report.json").read_text())["settings"]
    assert [(setting["dataset"], setting["folds"]) for setting in settings] == [(name, [0]) for name in NAMES]
