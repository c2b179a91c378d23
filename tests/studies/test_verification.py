"""The verification study on a target of the prepared workspace, with few prompts and steps; and its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from prosam import layout
from prosam.data.episodes import read_episodes
from prosam.features.episode_tensors import EpisodeTensors
from prosam.params.verification import VerificationParams
from prosam.studies.objective import Objective, objective_of
from prosam.studies.verification import PROMPTS, SUMMARY
from prosam.studies.verification.files import all_prompts, summarise, write_verification
from prosam.studies.verification.starts import Verification, verify
from prosam.studies.verification.target import Target
from tests.conftest import DATASET

P, DIM = 6, 64
TARGET = Target("val_000003", 2, 0.1)


def settings(**changes: Any) -> VerificationParams:
    few = {"prompts": P, "max_steps": 15, "batch_size": 4, "absolute_noise": (1e-6, 2.0), "relative_noise": (0.5,)}
    return VerificationParams.model_validate(few | changes)


@pytest.fixture
def objective(tensors: EpisodeTensors) -> Objective:
    episode = read_episodes(layout.folds(DATASET) / "episodes-0.csv")[0]
    truth, valid = tensors.truth([episode.target], [episode.class_id])
    return objective_of(tensors.models, tensors.targets([episode.target]).embedding, truth, valid)


@pytest.fixture
def found(objective: Objective) -> Verification:
    return verify(objective, DIM, settings(), 0, name="study")


def positions(found: Verification) -> np.ndarray:
    """Anything of the right shape."""
    return np.arange(2.0 * len(all_prompts(found))).reshape(-1, 2)


def test_every_prompt_has_the_scores_that_it_has_alone(objective: Objective, found: Verification):
    for part, count in ((found.direct, P), (found.samples, P), (found.mean, 1)):
        assert part.prompts.shape == (count, 1, DIM)
        for prompt, iou, bce in zip(part.prompts, part.iou, part.bce, strict=True):
            alone_iou, alone_bce = objective.scores(prompt[None, None])
            assert iou.item() == pytest.approx(alone_iou.item(), abs=1e-2)
            assert bce.item() == pytest.approx(alone_bce.item(), rel=1e-3)
    assert torch.equal(found.direct.prompts, found.learnt.prompts)
    assert torch.equal(found.mean.prompts, found.distribution.distribution.mean)


def test_learning_lowers_the_loss_of_prompts_and_of_the_distribution(objective: Objective, found: Verification):
    before = verify(objective, DIM, settings(max_steps=1), 0, name="study")
    assert found.direct.bce.median() < before.direct.bce.median()
    assert found.samples.bce.mean() < before.samples.bce.mean()


def test_noise_that_is_next_to_nothing_changes_next_to_nothing_and_much_does(found: Verification):
    for part in (found.direct, found.samples, found.mean):
        assert list(part.noisy_iou) == [("absolute", 1e-6), ("absolute", 2.0), ("relative", 0.5)]
        assert (part.noisy_iou["absolute", 1e-6] - part.iou).abs().max() < 0.01
    assert (found.direct.noisy_iou["absolute", 2.0] - found.direct.iou).abs().max() > 0.01


def test_relative_noise_is_in_units_of_each_prompts_root_mean_square(objective: Objective):
    """With all prompts of one size it is absolute noise of that size."""
    one = verify(objective, DIM, settings(max_steps=1, relative_noise=(), absolute_noise=(1.0,)), 0, name="study")
    rms = one.mean.prompts.square().mean().sqrt().item()
    same = settings(max_steps=1, relative_noise=(1 / rms,), absolute_noise=())
    other = verify(objective, DIM, same, 0, name="study")
    expected, iou = one.mean.noisy_iou["absolute", 1.0], other.mean.noisy_iou["relative", 1 / rms]
    assert iou.item() == pytest.approx(expected.item(), abs=1e-3)


def test_a_start_always_gives_the_same_bytes_and_another_start_others(objective: Objective, found: Verification):
    again, other = (verify(objective, DIM, settings(), start, name="study") for start in (0, 1))
    assert torch.equal(all_prompts(again), all_prompts(found))
    assert json.dumps(summarise(again)) == json.dumps(summarise(found))
    assert not torch.equal(other.direct.prompts, found.direct.prompts)


def test_the_table_has_a_row_for_each_prompt(found: Verification, tmp_path: Path):
    second = replace(found, start=1)
    places = positions(found)
    write_verification(tmp_path / "study", TARGET, [found, second], [places, places + 100])
    table = pd.read_parquet(tmp_path / "study" / PROMPTS)
    assert table.groupby("start").size().tolist() == [2 * P + 1] * 2
    first = table[table.start == 0]
    assert first.origin.tolist() == ["direct"] * P + ["sample"] * P + ["mean"]
    assert np.array_equal(first[["x", "y"]], places)
    assert np.array_equal(table[table.start == 1][["x", "y"]], places + 100)
    direct = first[first.origin == "direct"]
    assert np.allclose(direct.iou, found.direct.iou)
    assert direct.steps.tolist() == found.learnt.steps.tolist()
    assert np.allclose(direct["iou.relative_0.5"], found.direct.noisy_iou["relative", 0.5])
    assert np.allclose(direct.rms, np.linalg.norm(found.direct.prompts[:, 0], axis=1) / DIM**0.5)


def test_the_summary_has_the_quantiles_of_the_table(found: Verification, tmp_path: Path):
    write_verification(tmp_path / "study", TARGET, [found], [positions(found)])
    table = pd.read_parquet(tmp_path / "study" / PROMPTS)
    content = json.loads((tmp_path / "study" / SUMMARY).read_text())
    assert content["target"] == {"image": TARGET.image, "class_id": TARGET.class_id, "share": TARGET.share}
    (start,) = content["starts"]
    for origin, key in (("direct", "direct"), ("sample", "samples")):
        iou = table[table.origin == origin].iou
        assert start[key]["iou"] == pytest.approx(iou.quantile([0, 0.25, 0.5, 0.75, 1]).tolist())
    for noise in start["noise"]:
        column = f"iou.{noise['kind']}_{noise['size']:g}"
        assert noise["direct"] == pytest.approx(table[table.origin == "direct"][column].mean())
    points = found.direct.prompts.flatten(1).numpy()
    distances = np.linalg.norm(points - points.mean(0), axis=1)
    assert start["from_centre"]["direct"] == pytest.approx(np.sort(distances)[(P - 1) // 2], rel=1e-5)


def test_positions_that_are_not_one_for_each_prompt_are_refused(found: Verification, tmp_path: Path):
    with pytest.raises(ValueError, match=f"{2 * P + 1} prompts and {2 * P + 2} positions"):
        write_verification(tmp_path / "study", TARGET, [found], [np.zeros((2 * P + 2, 2))])
    assert not (tmp_path / "study").exists()
