"""The curvature study on untrained runs of the prepared workspace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from prosam import layout
from prosam.data.episodes import Episode, read_episodes
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.params import RunParams
from prosam.params.curvature import CurvatureParams
from prosam.studies.curvature.rows import rows
from prosam.studies.study import Subject
from prosam.training.losses import segmentation_loss
from tasks.inputs import RunInputs
from tests.conftest import DATASET

EPISODES = 3


def settings(**changes: Any) -> CurvatureParams:
    few = {"episodes": EPISODES, "probes": 3, "draws": 4, "absolute_noise": (0.1,), "relative_noise": (0.2, 0.4)}
    return CurvatureParams.model_validate(few | changes)


@pytest.fixture
def episodes() -> list[Episode]:
    return read_episodes(layout.folds(DATASET) / "episodes-0.csv")


def subject(inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode], **run: Any) -> Subject:
    described = {"method": "prosam", "kind": "mask", "backbone": "tiny-resnet", "num_prompts": 5} | run
    method = build_prompt_method(RunParams.model_validate(described), inputs.models, seed=0)
    return Subject(method, tensors, inputs.masks("val"), episodes, batch=50, seed=1)


def table(study: Subject, **changes: Any) -> pd.DataFrame:
    return pd.DataFrame(rows(study, settings(**changes)))


def loss_and_rms(method: PromptMethod, tensors: EpisodeTensors, episode: Episode) -> tuple[float, float]:
    """Of one episode's mean prompts."""
    reference = tensors.references([AnnotatedReference(episode.reference, episode.class_id)])
    targets = tensors.targets([episode.target])
    with torch.no_grad():
        mean = method.prompts(method.learn(reference), targets).mean
        logits = method.models.full_size(method.decode(targets, mean[:, None]))
    loss = segmentation_loss(logits, *tensors.truth([episode.target], [episode.class_id]))
    return loss.item(), float(np.sqrt(np.mean(mean.numpy() ** 2)))


def test_each_episode_has_a_row_for_each_noise(inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode]):
    study = subject(inputs, tensors, episodes)
    found = table(study)
    noise = [("absolute", 0.1), ("relative", 0.2), ("relative", 0.4), ("own", 1.0)]
    for number, group in found.groupby("episode"):
        assert sorted(zip(group.noise, group["size"], strict=True)) == sorted(noise)
        assert set(group.class_id) == {episodes[int(str(number))].class_id}
        loss, rms = loss_and_rms(study.method, tensors, episodes[int(str(number))])
        assert group.loss.to_numpy() == pytest.approx(loss, rel=1e-4)
        assert group.rms.to_numpy() == pytest.approx(rms, rel=1e-4)
    assert sorted(set(found.episode)) == list(range(EPISODES))


def test_the_prediction_is_half_eta_squared_times_the_laplacian(
    inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode]
):
    found = table(subject(inputs, tensors, episodes))
    even = found[found.noise != "own"]
    assert np.allclose(even.eta, np.where(even.noise == "relative", even["size"] * even.rms, even["size"]))
    assert np.allclose(even.predicted, even.eta**2 / 2 * even.laplacian, rtol=1e-5)
    assert np.allclose(even.predicted_se, even.eta**2 / 2 * even.laplacian_se, rtol=1e-5)


def test_the_excess_is_the_gap_less_the_prediction_without_the_chance_of_their_draws(
    inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode]
):
    found = table(subject(inputs, tensors, episodes), probes=40, draws=40)
    between = found.gap - found.predicted - found.excess
    chance = np.sqrt(found.gap_se**2 + found.predicted_se**2 + found.excess_se**2)
    assert (between.abs() < 4 * chance).all()
    assert (found.predicted.abs() > 4 * chance).any()  # else a prediction of twice the size would pass as well


def test_of_gaussian_noise_the_runs_own_is_that_of_its_sigma(
    inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode]
):
    """An anchored run starts with sigma 1, so its own noise is absolute noise of size 1, drawn anew."""
    study = subject(inputs, tensors, episodes, distribution="gaussian", init="anchored")
    found = table(study, absolute_noise=(1.0,), relative_noise=(), draws=200)
    own, even = (found[found.noise == kind].set_index("episode") for kind in ("own", "absolute"))
    assert np.allclose(own.eta, 1)
    assert np.allclose(own.predicted, even.predicted, rtol=1e-5)
    assert ((own.gap - even.gap).abs() < 4 * np.hypot(own.gap_se, even.gap_se)).all()
    assert not np.array_equal(own.gap, even.gap)


def test_batches_do_not_matter_and_a_seed_always_gives_the_same(
    inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode]
):
    study = subject(inputs, tensors, episodes)
    one, again = table(study), table(study)
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    order = ["episode", "noise", "size"]
    apart = table(study, batch_size=1).sort_values(order).reset_index(drop=True)
    pd.testing.assert_frame_equal(one.sort_values(order).reset_index(drop=True), apart, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("run", [{"method": "vrp-sam"}, {"distribution": "student_t", "nu": 2.0}])
def test_a_run_without_noise_or_with_infinite_variance_has_no_rows_of_its_own_noise(
    inputs: RunInputs, tensors: EpisodeTensors, episodes: list[Episode], run: dict[str, Any]
):
    found = table(subject(inputs, tensors, episodes, **run))
    assert set(found.noise) == {"absolute", "relative"}
