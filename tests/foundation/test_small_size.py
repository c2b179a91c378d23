"""The stages with the small size, MobileSAM and DINOv2 ViT-S: true sizes, random weights in published files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from prosam import layout
from prosam.features.embedding_store import EmbeddingStore
from prosam.models.backbones import BACKBONE_BUILDERS
from prosam.models.sam import SAM_BUILDERS
from tests.data.pascal_tree import generated_labels, write_pascal_tree
from tests.pipeline.clone import Clone

pytestmark = pytest.mark.foundation

IN_PASCAL = [1, 7, 12, 17]  # aeroplane, car, dog and sheep: novel in folds 0 to 3
PASCAL, RIVAL = "pascal-5i", "gf-sam"

CHANGES = {
    "pipeline.datasets": [PASCAL],
    "pipeline.runs": ["prosam"],
    "pipeline.folds": [0],
    "pipeline.rivals": [RIVAL],
    f"datasets.{PASCAL}.protocol.novel_in_training": "background",  # two images each show all there is
    f"datasets.{PASCAL}.protocol.min_area": 100,
    "folds.episodes": 2,
    "folds.monitor_episodes": 2,
    "models.image_size": 1024,  # SAM's own, so that the method takes the stored embeddings
    f"rivals.{RIVAL}": {"method": RIVAL, "backbone": "dinov2-small", "most_points": 4},
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which the method's stages ran, each by itself."""
    data = tmp_path_factory.mktemp("given")
    write_pascal_tree(
        data / "voc",
        train={"2007_000001": generated_labels(IN_PASCAL)},
        val={f"2007_00001{i}": generated_labels(IN_PASCAL) for i in range(2)},
        sbd_train={"2008_000002": generated_labels(IN_PASCAL, border=False)},
        sbd_val={"2008_000003": generated_labels(IN_PASCAL, border=False)},
        main_val=["2008_000003"],  # so it is not trained on
    )
    torch.manual_seed(0)
    torch.save(SAM_BUILDERS["vit_t"]().state_dict(), data / "mobile_sam.pt")
    torch.save(BACKBONE_BUILDERS["dinov2-vits14"]().state_dict(), data / "dinov2_vits14_pretrain.pth")
    given = {
        f"datasets.{PASCAL}.download.data_root": str(data / "voc"),
        "models.sam": {"name": "vit_t", "checkpoint": str(data / "mobile_sam.pt")},
        "models.backbones.dinov2-small": {
            "architecture": "dinov2-vits14",
            "checkpoint": str(data / "dinov2_vits14_pretrain.pth"),
        },
    }
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("foundation") / "clone", CHANGES | given)
    of_data = [("download", PASCAL), ("folds", PASCAL), ("annotations", PASCAL, RIVAL)]
    of_models = [("sam",), ("backbone", RIVAL), ("embeddings", PASCAL)]
    for stage in (*of_data, *of_models, ("rival", PASCAL, RIVAL, "0")):
        clone.stage(*stage)
    return clone


def test_the_embeddings_are_mobilesams(clone: Clone):
    store = EmbeddingStore(clone.root / layout.embeddings(PASCAL))
    assert store.shape == (256, 64, 64)
    assert (store.made_by["sam"], store.made_by["checkpoint"]) == ("vit_t", "mobile_sam.pt")


def test_the_method_is_tested_on_every_episode(clone: Clone):
    rows = pd.read_parquet(clone.root / layout.results(PASCAL, RIVAL, 0) / "episodes.parquet")
    assert set(rows["class_name"]) == {"aeroplane"}
    assert len(rows) == 2
    assert np.isfinite(rows["iou"]).all()


@pytest.mark.parametrize(("folder", "model"), [("sam", "vit_t"), (f"backbone/{RIVAL}", "dinov2-vits14")])
def test_the_weights_say_where_they_come_from(clone: Clone, folder: str, model: str):
    described = json.loads((clone.root / Path("data/weights") / folder / "weights.json").read_text())
    assert described["model"] == model
