"""Stage rival: methods that train nothing, on the frozen episodes."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

from prosam import layout
from prosam.data.annotations import annotation_rng
from prosam.data.drawing import draw_annotation
from prosam.data.episodes import read_episodes
from prosam.data.formats.masks import decode
from prosam.data.formats.voc import VocDataset
from prosam.errors import InputError
from prosam.evaluation.rivals import at_size
from prosam.evaluation.stopwatch import Stopwatch
from prosam.features.annotation_masks import object_mask
from prosam.features.seeing import Seeing
from prosam.features.seen import Shot
from prosam.methods.rivals import build_rival
from prosam.params import AnnotationKind, load_params
from tasks.annotations import draw_annotations
from tasks.backbone import backbone
from tasks.rival import rival
from tasks.rival_inputs import RivalInputs
from tests.conftest import DATASET

KINDS: tuple[AnnotationKind, ...] = ("point", "scribble", "box")


@pytest.fixture(scope="module")
def workspace(prepared_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("rivals") / "workspace"
    shutil.copytree(prepared_workspace, copy)
    yaml = YAML(typ="safe")
    params = yaml.load(copy / "params.yaml")
    params["rivals"] |= {f"gf-sam-{kind}": {"method": "gf-sam", "kind": kind} for kind in KINDS}
    yaml.dump(params, copy / "params.yaml")
    with contextlib.chdir(copy):
        for name in ("gf-sam", "persam", *(f"gf-sam-{kind}" for kind in KINDS)):
            backbone(name)
            draw_annotations(DATASET, name)
            rival(DATASET, name, 0)
    return copy


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_mask_becomes_one_by_sam_as_on_ones_own_photos(workspace: Path, kind: AnnotationKind):
    """The masks predicted from the masks that SAM makes of the same drawing that trained runs of that kind get."""
    rows = pd.read_parquet(workspace / layout.results(DATASET, f"gf-sam-{kind}", 0) / "episodes.parquet")
    with contextlib.chdir(workspace):
        params = load_params()
        inputs = RivalInputs(params, DATASET, f"gf-sam-{kind}")
        method, data = build_rival(params.rivals["gf-sam"], inputs.models), inputs.dataset
        seeing = Seeing.of(method.needs, inputs.models)
        for row in rows.to_dict("records"):
            image, class_id = row["reference"], row["class_id"]
            rng = annotation_rng(params.annotations.seed, kind, "val", image, class_id, 0)
            drawn = draw_annotation(data.mask(image, class_id), kind, rng, params.annotations, training=False)
            mask = object_mask(inputs.models, data.image(image), drawn, kind)
            with torch.no_grad():
                concept = method.learn([Shot(seeing(data.image(image)), torch.from_numpy(mask))])
                found = method.find(concept, seeing(data.image(row["target"])))
            expected = (at_size(found.logits, (row["height"], row["width"])) > 0).numpy()
            predicted = decode(row["prediction"], row["height"], row["width"])
            assert (expected != predicted).mean() < 0.01  # stored embeddings are rounded


@pytest.mark.parametrize("name", ["gf-sam", "persam"])
def test_rows_are_the_frozen_episodes_and_their_overlaps_those_of_their_masks(workspace: Path, name: str):
    folder = workspace / layout.results(DATASET, name, 0)
    rows = pd.read_parquet(folder / "episodes.parquet")
    episodes = read_episodes(workspace / layout.folds(DATASET) / "episodes-0.csv")
    assert list(zip(rows["reference"], rows["target"], rows["class_id"], strict=True)) == [
        (e.reference, e.target, e.class_id) for e in episodes
    ]
    dataset, intersections, unions = VocDataset(workspace / layout.raw(DATASET)), {}, {}
    for row in rows.to_dict("records"):
        truth, void = (read(row["target"], row["class_id"]) for read in (dataset.mask, dataset.void))
        predicted = decode(row["prediction"], row["height"], row["width"])
        intersection = int((predicted & truth & ~void).sum())
        union = int(((predicted | truth) & ~void).sum())
        assert (row["intersection"], row["union"]) == (intersection, union)
        intersections[row["class_id"]] = intersections.get(row["class_id"], 0) + intersection
        unions[row["class_id"]] = unions.get(row["class_id"], 0) + union
    expected = 100 * np.mean([intersections[c] / unions[c] for c in unions])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["miou"] == pytest.approx(expected, abs=1e-4)
    assert metrics["baselines"] == {}
    assert any(rows["prediction"] != rows["prediction"][0])


def test_a_second_run_gives_the_same_bytes(workspace: Path):
    folder = workspace / layout.results(DATASET, "gf-sam", 0)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before.keys() >= {"episodes.parquet", "metrics.json", "needs.json"}
    with contextlib.chdir(workspace):
        rival(DATASET, "gf-sam", 0)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "models"), [("gf-sam", {"sam": "tiny", "backbone": "tiny-resnet"}), ("persam", {"sam": "tiny"})]
)
def test_a_result_names_the_weights_that_the_method_needs(workspace: Path, name: str, models: dict[str, str]):
    needs = json.loads((workspace / layout.results(DATASET, name, 0) / "needs.json").read_text())
    assert {what: of["model"] for what, of in needs.items()} == models
    folders = {"sam": layout.sam_weights(), "backbone": layout.backbone_weights(name)}
    for what, of in needs.items():
        assert of["bytes"] == (workspace / folders[what] / "weights.safetensors").stat().st_size


def test_seconds_are_kept_outside_the_results(workspace: Path):
    took = json.loads((workspace / layout.seconds(DATASET, "gf-sam", 0)).read_text())
    assert took["seconds"].keys() == {"image", "learn-1", "find-1"}
    assert all(seconds > 0 for seconds in took["seconds"].values())
    assert took["device"] == "cpu"


def test_a_stopwatch_tells_the_mean_of_each_part(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 1.0, 10.0, 13.0, 20.0, 20.5])
    monkeypatch.setattr("prosam.evaluation.stopwatch.perf_counter", lambda: next(clock))
    stopwatch = Stopwatch()
    for name in ("find", "find", "learn"):
        with stopwatch.part(name):
            pass
    assert stopwatch.mean() == {"find": 2.0, "learn": 0.5}


def test_a_method_without_a_backbone_gets_no_weights(workspace: Path):
    assert list((workspace / layout.backbone_weights("persam")).iterdir()) == []
    assert (workspace / layout.backbone_weights("gf-sam") / "weights.safetensors").is_file()


def test_an_unknown_rival_is_told_with_the_choices(workspace: Path):
    with contextlib.chdir(workspace), pytest.raises(InputError, match=r"unknown rival 'gfsam'.*gf-sam"):
        rival(DATASET, "gfsam", 0)


def test_logits_are_resized_as_pillow_resizes_them_when_they_are_enlarged():
    logits = np.random.default_rng(0).normal(size=(7, 9)).astype(np.float32)
    expected = np.asarray(Image.fromarray(logits).resize((36, 28), Image.Resampling.BILINEAR))
    assert np.allclose(at_size(torch.from_numpy(logits), (28, 36)).numpy(), expected, atol=1e-5)
