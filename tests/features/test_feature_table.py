"""Backbone features of a data set, computed once and shared."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prosam import layout
from prosam.data.dataset import Dataset
from prosam.features import feature_table
from prosam.features.feature_table import FeatureTable, compute_levels, open_feature_table
from prosam.models.frozen import FrozenModels
from prosam.params import load_params
from tasks.inputs import RunInputs
from tests.conftest import DATASET


@pytest.fixture
def inputs(workspace: Path) -> RunInputs:
    shutil.rmtree(layout.scratch() / "features")
    return RunInputs(load_params(), DATASET, "prosam")


class Counting:
    """Stands for `compute_levels`, and remembers the images."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.images: list[str] = []
        monkeypatch.setattr(feature_table, "compute_levels", self)

    def __call__(self, models: FrozenModels, dataset: Dataset, images: Sequence[str]):
        self.images += images
        return compute_levels(models, dataset, images)


def table_of(inputs: RunInputs, *, backbone: str = "0", budget: float = 1e9, scratch: str = "s") -> FeatureTable | None:
    return open_feature_table(
        inputs.models,
        inputs.dataset,
        inputs.dataset.image_ids("val"),
        made_by={"backbone": backbone, "content": "0"},
        scratch=Path(scratch),
        budget_bytes=budget,
    )


def test_it_holds_what_the_backbone_says(inputs: RunInputs):
    table = table_of(inputs)
    assert table is not None
    for image in inputs.dataset.image_ids("val"):
        pixels = torch.from_numpy(inputs.dataset.image(image).transpose(2, 0, 1).copy())[None]
        level2, level3 = inputs.models.backbone.levels(pixels)
        expected = (level2, level3, inputs.models.backbone.level4(level3))
        for number, level in zip((2, 3, 4), expected, strict=True):
            assert torch.allclose(table.level(number, image), level[0], atol=1e-4)


def test_it_is_computed_once_for_each_backbone(inputs: RunInputs, monkeypatch: pytest.MonkeyPatch):
    counting, images = Counting(monkeypatch), inputs.dataset.image_ids("val")
    table_of(inputs)
    table_of(inputs)
    assert counting.images == images
    table_of(inputs, backbone="1")
    assert counting.images == images * 2


def test_it_is_computed_anew_for_another_image_size(inputs: RunInputs):
    assert table_of(inputs) is not None
    half = inputs.models.image_size // 2
    inputs.models = replace(inputs.models, image_size=half)
    table, image = table_of(inputs), inputs.dataset.image_ids("val")[0]
    assert table is not None
    side = half // inputs.models.backbone.stride
    assert table.level(2, image).shape[-2:] == (side, side)


def test_two_stages_that_start_together_compute_it_once(inputs: RunInputs, monkeypatch: pytest.MonkeyPatch):
    counting, images = Counting(monkeypatch), inputs.dataset.image_ids("val")
    found: list[FeatureTable | None] = []
    threads = [threading.Thread(target=lambda: found.append(table_of(inputs))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting.images == images
    assert len(found) == 3
    assert all(table is not None and table.level(2, images[-1]).isfinite().all() for table in found)


def test_above_its_budget_there_is_none(inputs: RunInputs, monkeypatch: pytest.MonkeyPatch):
    counting = Counting(monkeypatch)
    needed = 4 * 12 * 16 * 16 * (64 + 128 + 192)
    assert table_of(inputs, budget=needed - 1) is None
    assert counting.images == []
    assert table_of(inputs, budget=needed) is not None


def test_a_killed_computation_leaves_no_table(inputs: RunInputs, monkeypatch: pytest.MonkeyPatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(feature_table, "compute_levels", killed)
        with pytest.raises(KeyboardInterrupt):
            table_of(inputs)
    assert not [path for path in Path("s").rglob("*") if path.suffix == ".npy"]
    assert table_of(inputs) is not None
