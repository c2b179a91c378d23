"""SAM 2.1 T and DINOv3 ViT-S/16 through the whole DAG: true architectures, random weights in published files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from starlette.testclient import TestClient

from prosam import Mask, Predictor, layout
from prosam.demo.app import build_app
from prosam.features.embedding_store import EmbeddingStore
from prosam.models.backbones import BACKBONE_BUILDERS
from prosam.models.sam import SAM_BUILDERS
from tests.data.pascal_tree import generated_labels, write_pascal_tree
from tests.demo.conftest import HEADERS, OWN, file_of, painting, send
from tests.models.sam2_names import authors_names
from tests.pipeline.clone import Clone, Done

pytestmark = pytest.mark.foundation

IN_PASCAL = [1, 7, 12, 17]  # aeroplane, car, dog and sheep: novel in folds 0 to 3
PASCAL, RUN, RIVAL, BACKBONE = "pascal-5i", "prosam", "gf-sam", "dinov3-vits16"

CHANGES = {
    "pipeline.datasets": [PASCAL],
    "pipeline.runs": [RUN],
    "pipeline.folds": [0],
    "pipeline.rivals": [RIVAL],
    f"datasets.{PASCAL}.protocol.novel_in_training": "background",  # two images each show all there is
    f"datasets.{PASCAL}.protocol.min_area": 100,
    f"datasets.{PASCAL}.train": {"lr": 0.0001},
    "folds.episodes": 1,
    "folds.monitor_episodes": 1,
    "models.image_size": 64,
    f"runs.{RUN}.backbone": BACKBONE,
    f"rivals.{RIVAL}": {"method": RIVAL, "backbone": BACKBONE, "most_points": 4},
    "train.steps": 1,
    "train.batch_size": 1,
    "train.samples": 1,
    "train.schedule.warmup": 0,
    "train.monitor_every": 1,
    "train.checkpoint_every": 1,
    "report.bootstrap": 100,
    "report.pictures": 1,
    "device": "cpu",
    "threads": 1,
}


@dataclass(frozen=True)
class Ran:
    """A clone in which all stages ran."""

    clone: Clone
    done: Done


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The whole DAG, run once."""
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
    torch.save({"model": authors_names(SAM_BUILDERS["sam2.1_t"]().state_dict())}, data / "sam2.1_hiera_tiny.pt")
    dinov3 = {name: x.contiguous() for name, x in BACKBONE_BUILDERS[BACKBONE]().state_dict().items()}
    save_file(dinov3, data / "vit_small_patch16_dinov3.lvd1689m.safetensors")
    given = {
        f"datasets.{PASCAL}.download.data_root": str(data / "voc"),
        "models.sam": {"name": "sam2.1_t", "checkpoint": str(data / "sam2.1_hiera_tiny.pt")},
        f"models.backbones.{BACKBONE}": {
            "architecture": BACKBONE,
            "checkpoint": str(data / "vit_small_patch16_dinov3.lvd1689m.safetensors"),
        },
    }
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("foundation") / "clone", CHANGES | given)
    return Ran(clone, clone.local(jobs=1))


def test_every_stage_ran(ran: Ran):
    stages = {"sam", f"backbone@{RUN}", f"backbone-rival@{RIVAL}", "report"}
    stages |= {f"{stage}@{PASCAL}" for stage in ("download", "folds", "embeddings")}
    stages |= {f"annotations@{PASCAL}-{RUN}", f"annotations-rival@{PASCAL}-{RIVAL}"}
    stages |= {f"{stage}@{PASCAL}-{RUN}-0" for stage in ("train", "evaluate")}
    assert set(ran.clone.lock()) == stages | {f"rival@{PASCAL}-{RIVAL}-0"}


def test_the_store_has_embeddings_with_details(ran: Ran):
    store = EmbeddingStore(ran.clone.root / layout.embeddings(PASCAL))
    assert store.shape == (1024, 64, 64)
    assert (store.made_by["sam"], store.made_by["checkpoint"]) == ("sam2.1_t", "sam2.1_hiera_tiny.pt")


@pytest.mark.parametrize("of", [RUN, RIVAL])
def test_both_methods_are_tested_on_every_episode(ran: Ran, of: str):
    rows = pd.read_parquet(ran.clone.root / layout.results(PASCAL, of, 0) / "episodes.parquet")
    assert set(rows["class_name"]) == {"aeroplane"}
    assert np.isfinite(rows["iou"]).all()


def test_the_model_names_its_foundations(ran: Ran):
    told = json.loads(ran.clone.run("prosam", "info", "--json", str(layout.model(PASCAL, RUN, 0))).output)
    assert told["SAM"].startswith("sam2.1_t (sam2.1_hiera_tiny.pt, SHA-256 ")
    assert told["backbone"].startswith(f"{BACKBONE} (vit_small_patch16_dinov3.lvd1689m.safetensors, SHA-256 ")


def test_the_predictor_and_its_page_answer(ran: Ran):
    predictor = Predictor.load(ran.clone.root / layout.model(PASCAL, RUN, 0), device="cpu", keep=2)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:40] = True
    concept = predictor.learn([(Image.fromarray(pixels), Mask(mask))], name="thing")
    result = predictor.segment(Image.fromarray(pixels), concept)
    assert result.mask.shape == (48, 64)
    assert result.presence == pytest.approx(1, abs=1e-4)  # the image is the reference itself
    with TestClient(build_app(predictor), base_url=OWN, headers=HEADERS) as page:
        image = send(page, file_of(pixels))
        question = {"reference": image, "drawing": painting(mask), "target": image}
        answer = page.post("/api/segment", json=question)
    assert answer.status_code == 200, answer.text
    assert answer.json()["presence"] == pytest.approx(result.presence, abs=0.01)


def test_gf_sam_runs_on_the_same_files(ran: Ran):
    weights = ran.clone.root / Path("data/weights")
    described = json.loads((weights / "backbone" / RIVAL / "weights.json").read_text())
    assert described["model"] == BACKBONE
