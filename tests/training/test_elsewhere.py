"""A trained run on another machine: its own files and the frozen weights, nothing else."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from prosam import layout
from prosam.checkpoints.loading import load_method
from prosam.checkpoints.trained import load_model
from prosam.data.episodes import read_episodes
from prosam.errors import InputError
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference
from prosam.methods.prompting import PromptMethod
from prosam.seals import seal
from tasks.inputs import RunInputs
from tasks.train import train
from tests.conftest import DATASET

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def moved(prepared_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run and the weights of its frozen models."""
    copy, moved = tmp_path_factory.mktemp("trained") / "workspace", tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(prepared_workspace, copy)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(copy):
        patch.delenv("PROSAM_SCRATCH", raising=False)
        train(DATASET, "prosam", 0)
    shutil.copytree(copy / layout.model(DATASET, "prosam", 0), moved / "run")
    shutil.copytree(copy / layout.sam_weights(), moved / "sam")
    shutil.copytree(copy / layout.backbone_weights("prosam"), moved / "backbone")
    return moved


def load(folder: Path) -> PromptMethod:
    return load_method(folder / "run", device="cpu", sam=folder / "sam", backbone=folder / "backbone").method


def test_it_predicts_what_it_predicted_where_it_was_trained(moved: Path, inputs: RunInputs, tensors: EpisodeTensors):
    episodes = read_episodes(layout.folds(DATASET) / "episodes-0.csv")
    references = tensors.references([AnnotatedReference(e.reference, e.class_id) for e in episodes])
    targets = tensors.targets([e.target for e in episodes])
    here, there = load_model(moved / "run", inputs.models), load(moved)
    with torch.no_grad():
        expected = here.predict(here.learn(references), targets)
        assert torch.equal(there.predict(there.learn(references), targets), expected)
    assert (there.models.image_size, there.models.align_corners) == (128, False)


def test_other_frozen_weights_than_it_was_trained_with_are_refused(moved: Path, tmp_path: Path):
    shutil.copytree(moved, tmp_path / "other")
    path = tmp_path / "other" / "backbone" / "weights.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": "0" * 64, "checkpoint": "another.pth"}))
    seal(path.parent)
    with pytest.raises(
        InputError,
        match=r"backbone: is not the backbone that the model was trained with, tiny-resnet of .* SHA-256 is 0000",
    ) as caught:
        load(tmp_path / "other")
    assert "\n" not in str(caught.value)
