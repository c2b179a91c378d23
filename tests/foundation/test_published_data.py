"""The whole DAG on the paper's data sets and models, in their true formats and architectures.

The data are small trees of VOC 2012 with SBD and of COCO 2014; the models are SAM ViT-B and ResNet-50 with random
weights, in files as they are published.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch

from prosam import Predictor, layout
from prosam.data.formats.masks import decode
from prosam.data.open import open_dataset
from prosam.features.embedding_store import EmbeddingStore
from prosam.models.sam import SAM_BUILDERS
from tests.data.coco_tree import write_coco_tree
from tests.data.pascal_tree import generated_labels, write_pascal_tree
from tests.pipeline.clone import Clone, Done

pytestmark = pytest.mark.foundation

IN_PASCAL = [1, 7, 12, 17]  # aeroplane, car, dog and sheep: novel in folds 0 to 3
IN_COCO = ["person", "bicycle", "car", "motorcycle"]  # likewise
PASCAL, COCO = "pascal-5i", "coco-20i"
RUN = ("prosam", 0)

CHANGES = {
    "pipeline.datasets": [PASCAL, COCO],
    "pipeline.runs": ["prosam"],
    "pipeline.folds": [0],
    "pipeline.shifts": [{"train": COCO, "test": PASCAL}],
    "pipeline.shifted": ["prosam"],
    f"datasets.{PASCAL}.protocol.novel_in_training": "background",  # two images each show all there is
    f"datasets.{COCO}.protocol.novel_in_training": "background",
    f"datasets.{PASCAL}.train": {"lr": 0.0001},
    f"datasets.{COCO}.train": {"epochs": 1, "lr": 0.0001},
    "folds.episodes": 4,
    "folds.monitor_episodes": 2,
    "models.image_size": 64,
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


@dataclass(frozen=True)
class Ran:
    """A clone in which all stages ran on the paper's data and models.

    Attributes:
        clone: where.
        done: the command that ran it.
        data: the folder with the trees.
    """

    clone: Clone
    done: Done
    data: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The whole DAG, run once."""
    from torchvision.models import resnet50

    data = tmp_path_factory.mktemp("given")
    write_pascal_tree(
        data / "voc",
        train={"2007_000001": generated_labels(IN_PASCAL)},
        val={f"2007_00001{i}": generated_labels(IN_PASCAL) for i in range(2)},
        sbd_train={"2008_000002": generated_labels(IN_PASCAL, border=False)},
        sbd_val={"2008_000003": generated_labels(IN_PASCAL, border=False)},
        main_val=["2008_000003"],  # so it is not trained on
    )
    write_coco_tree(data / "coco", train=[IN_COCO] * 2, val=[IN_COCO] * 2)
    torch.manual_seed(0)
    torch.save(SAM_BUILDERS["vit_b"]().state_dict(), data / "sam_vit_b.pth")
    torch.save(resnet50().state_dict(), data / "resnet50.pth")
    given = {
        f"datasets.{PASCAL}.download.data_root": str(data / "voc"),
        f"datasets.{COCO}.download.data_root": str(data / "coco"),
        f"datasets.{PASCAL}.protocol.min_area": 100,
        f"datasets.{COCO}.protocol.min_area": 100,
        "models.sam": {"name": "vit_b", "checkpoint": str(data / "sam_vit_b.pth")},
        "models.backbones.resnet50": {"architecture": "resnet50", "checkpoint": str(data / "resnet50.pth")},
    }
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("foundation") / "clone", CHANGES | given)
    return Ran(clone, clone.local(), data)


def test_every_stage_ran_and_a_second_time_none_does(ran: Ran):
    point = "prosam-0"
    stages = {"sam", "backbone@prosam", f"shift@shift0-{point}", "report"}
    for dataset in (PASCAL, COCO):
        stages |= {f"{stage}@{dataset}" for stage in ("download", "folds", "embeddings")}
        stages |= {f"annotations@{dataset}-prosam", f"train@{dataset}-{point}", f"evaluate@{dataset}-{point}"}
    assert set(ran.clone.lock()) == stages
    assert "nothing has changed" in ran.clone.local().output


def test_nothing_of_the_users_folders_is_copied_or_changed(ran: Ran):
    for dataset, folder in ((PASCAL, "voc"), (COCO, "coco")):
        linked = [path for path in (ran.clone.root / layout.sources(dataset)).iterdir() if path.is_symlink()]
        assert {path.resolve() for path in linked} == set((ran.data / folder).iterdir())
        assert not list((ran.clone.root / layout.raw(dataset)).rglob("*.jpg"))


def test_the_embeddings_are_the_real_encoders_and_name_its_checkpoint(ran: Ran):
    for dataset in (PASCAL, COCO):
        store = EmbeddingStore(ran.clone.root / layout.embeddings(dataset))
        assert store.shape == (256, 64, 64)
        assert len(store) == 4
        assert (store.made_by["sam"], store.made_by["checkpoint"]) == ("vit_b", "sam_vit_b.pth")


def test_the_trained_model_says_what_it_is_and_has_the_papers_size(ran: Ran):
    told = json.loads(ran.clone.run("prosam", "info", "--json", str(layout.model(COCO, *RUN))).output)
    assert told["trainable parameters"] == 1_723_648  # docs/method.md
    assert told["SAM"].startswith("vit_b (sam_vit_b.pth, SHA-256 ")
    assert told["backbone"].startswith("resnet50 (resnet50.pth, SHA-256 ")
    assert (told["trained on"], told["annotations"], told["fold"]) == (COCO, "mask", 0)
    assert told["train"]["steps"] == 1  # an epoch of two images in one batch
    assert set(IN_COCO) - set(told["base classes"]) == {"person"}
    assert set(IN_COCO) & set(told["novel classes"]) == {"person"}


def test_tested_are_novel_classes_alone(ran: Ran):
    def classes(dataset: str) -> set[str]:
        return set(pd.read_parquet(ran.clone.root / layout.results(dataset, *RUN) / "episodes.parquet")["class_name"])

    assert classes(PASCAL) == {"aeroplane"}
    assert classes(COCO) == {"person"}
    assert classes(layout.shift(COCO, PASCAL)) <= {"aeroplane", "dog"}  # COCO's fold 0 has cars and sheep to train on


def test_the_report_has_a_section_for_each_data_set_and_for_the_shift(ran: Ran):
    page = (ran.clone.root / layout.REPORT / "index.html").read_text()
    for title in (PASCAL, COCO, f"trained on {COCO}, tested on {PASCAL}"):
        assert f"{title}, mask annotations</h2>" in page


def test_the_predictor_finds_with_sam_vit_b_what_the_evaluation_found(ran: Ran, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ran.clone.root)
    predictor = Predictor.load(layout.model(PASCAL, *RUN), device="cpu")
    assert (predictor.finder.models.image_size, predictor.model.present_from) == (64, 0)
    dataset = open_dataset(layout.raw(PASCAL))
    evaluated = pd.read_parquet(layout.results(PASCAL, *RUN) / "episodes.parquet")
    for row in evaluated.itertuples():
        pair = dataset.image(row.reference), dataset.mask(row.reference, row.class_id)
        found = predictor.segment(dataset.image(row.target), predictor.learn([pair]))
        assert (found.mask == decode(row.prediction, row.height, row.width)).mean() > 0.999
    assert len(evaluated) == 2  # two images: each is the reference of the other


def test_embeddings_of_another_sam_are_refused(ran: Ran, tmp_path: Path):
    clone = ran.clone.copy(tmp_path / "clone")
    clone.change({"models.sam": {"name": "tiny"}, "runs.prosam.backbone": "resnet50"})
    clone.stage("sam")
    refused = clone.stage("evaluate", PASCAL, "prosam", "0", check=False)
    assert refused.code == 2
    (line,) = refused.output.splitlines()
    assert "was made by vit_b of sam_vit_b.pth at 64 px" in line
    assert f"run `dvc repro --glob 'embeddings*@{PASCAL}'`" in line
