"""The predictor gives what the stage `evaluate` gives."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from prosam import Predictor, layout
from prosam.checkpoints.trained import save_model
from prosam.data.episodes import read_episodes
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.features.episode_tensors import EpisodeTensors
from prosam.methods.prompting import build_prompt_method
from prosam.params import RunParams
from tasks.inputs import RunInputs
from tests.conftest import DATASET


def test_a_run_predicts_as_it_was_evaluated(inputs: RunInputs, tensors: EpisodeTensors, tmp_path: Path):
    run = RunParams(method="prosam", kind="mask", backbone="tiny-resnet")
    method = build_prompt_method(run, inputs.models, seed=4)
    description = {
        "run": run.model_dump(mode="json"),
        "image_size": 128,
        "upsampling": "centres",
        "sam": asdict(inputs.sam),
        "backbone_weights": asdict(inputs.backbone),
    }
    save_model(tmp_path / "run", method.encoder, description)
    predictor = Predictor.load(tmp_path / "run", device="cpu")
    episodes = read_episodes(layout.folds(DATASET) / "episodes-0.csv")
    data = inputs.dataset
    compared = 0
    for episode, by_name in evaluate_episodes({"run": method}, tensors, episodes, 1):
        mask = data.mask(episode.reference, episode.class_id)
        concept = predictor.learn([(data.image_path(episode.reference), mask)])
        result = predictor.segment(data.image_path(episode.target), concept, threshold=0)
        assert np.array_equal(result.mask, by_name["run"].prediction)
        compared += int(result.mask.any())
    assert compared > 0
