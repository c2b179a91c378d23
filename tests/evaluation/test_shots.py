"""Trained runs and methods that train nothing, with several references for each episode."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML

from prosam import layout
from prosam.data.episodes import Episode, read_episodes
from prosam.data.shots import read_further_references
from prosam.evaluation.columns import COUNTS, episode_columns, of_shots, shots_of
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.evaluation.shots import logits_at_shots
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.pairs import AnnotatedReference
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.params import load_params
from tasks.annotations import draw_annotations
from tasks.backbone import backbone
from tasks.folds import folds
from tasks.inputs import RunInputs
from tasks.rival import rival
from tests.conftest import DATASET


@pytest.fixture
def method(inputs: RunInputs, prepared_workspace: Path) -> PromptMethod:
    return build_prompt_method(load_params(prepared_workspace / "params.yaml").runs["prosam"], inputs.models, seed=0)


@pytest.fixture
def uneven(prepared_workspace: Path, inputs: RunInputs) -> list[Episode]:
    """The frozen episodes with one, two or three references."""
    frozen = read_episodes(prepared_workspace / layout.folds(DATASET) / "episodes-0.csv")
    annotations, made = inputs.masks("val").annotations, []
    for number, e in enumerate(frozen):
        others = [i for i in annotations.images(e.class_id) if i not in (e.reference, e.target)]
        made.append(Episode(e.reference, e.target, e.class_id, further=tuple(others[: number % 3])))
    assert {len(e.references) for e in made} == {1, 2, 3}
    return made


def test_prompts_of_the_references_that_there_are_are_put_together_by_hand(
    method: PromptMethod, tensors: EpisodeTensors, uneven: list[Episode]
):
    targets = tensors.targets([e.target for e in uneven])
    found = logits_at_shots(method, tensors, uneven, targets, (2, 5))
    assert list(found) == [f"shots-{k}-{how}" for k in (2, 5) for how in ("average", "concatenate")]
    for row, episode in enumerate(uneven):
        target = tensors.targets([episode.target])
        with torch.no_grad():
            prompts = [
                method.prompts(
                    method.learn(tensors.references([AnnotatedReference(image, episode.class_id)])), target
                ).mean
                for image in episode.references
            ]
            for k in (2, 5):
                there = prompts[:k]
                by_hand = {"average": sum(there) / len(there), "concatenate": torch.cat(there, 1)}
                for how, together in by_hand.items():
                    expected = method.decode(target, together[:, None])[0, 0]
                    assert torch.allclose(found[f"shots-{k}-{how}"][row], expected, atol=1e-3)


def test_the_run_answers_with_one_reference_as_it_does_without_others(
    method: PromptMethod, tensors: EpisodeTensors, uneven: list[Episode]
):
    def at_shots(part, targets):
        return logits_at_shots(method, tensors, part, targets, (3,))

    alone = list(evaluate_episodes({"run": method}, tensors, uneven, 4))
    beside = list(evaluate_episodes({"run": method}, tensors, uneven, 4, at_shots))
    for (one, found), (other, more) in zip(alone, beside, strict=True):
        assert one == other
        assert list(more) == ["run", "shots-3-average", "shots-3-concatenate"]
        assert np.array_equal(found["run"].prediction, more["run"].prediction)
        if len(one.references) == 1:
            assert more["shots-3-average"].overlap == more["run"].overlap


@pytest.mark.parametrize("fused", ["average", "concatenate", None])
@pytest.mark.parametrize("shots", [2, 5, 10])
def test_a_name_tells_shots_and_fusion(shots: int, fused):
    assert shots_of(of_shots(shots, fused)) == (shots, fused)


@pytest.mark.parametrize("name", ["untrained", "shots", "shots-", "shots-x", "shots-5-mean", "pseudo-mask", "shots-05"])
def test_other_names_are_those_of_baselines(name: str):
    assert shots_of(name) is None


@pytest.fixture(scope="module")
def rivals(prepared_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """GF-SAM and Matcher tested with one reference, and with one and three."""
    made = {}
    for name, shots in (("one", [1]), ("several", [1, 3])):
        copy = tmp_path_factory.mktemp(name) / "workspace"
        shutil.copytree(prepared_workspace, copy)
        yaml = YAML(typ="safe")
        params = yaml.load(copy / "params.yaml")
        params["folds"]["shots"] = shots
        params["rivals"]["matcher"] |= {"grid": 0, "sampling": {"draws": 3, "most": 3}}
        yaml.dump(params, copy / "params.yaml")
        with contextlib.chdir(copy):
            folds(DATASET)
            for method in ("gf-sam", "matcher"):
                backbone(method)
                draw_annotations(DATASET, method)
                rival(DATASET, method, 0)
        made[name] = copy
    return made


@pytest.mark.parametrize("name", ["gf-sam", "matcher"])
def test_a_method_that_trains_nothing_answers_with_one_reference_as_if_there_were_no_others(
    rivals: dict[str, Path], name: str
):
    alone, beside = (pd.read_parquet(rivals[w] / layout.results(DATASET, name, 0) / "episodes.parquet") for w in rivals)
    assert tuple(alone.columns) == episode_columns()
    assert tuple(beside.columns) == episode_columns(shots=["shots-3"])
    assert beside[list(alone.columns)].equals(alone)
    assert beside["references"].tolist() == [len(e.references) for e in frozen(rivals["several"])]
    assert (beside["shots-3.intersection"] != beside["intersection"]).any()
    metrics = json.loads((rivals["several"] / layout.results(DATASET, name, 0) / "metrics.json").read_text())
    sums = beside.groupby("class_id")[["shots-3.intersection", "shots-3.union"]].sum()
    assert metrics["shots"].keys() == {"shots-3"}
    expected = 100 * (sums["shots-3.intersection"] / sums["shots-3.union"]).mean()
    assert metrics["shots"]["shots-3"]["miou"] == pytest.approx(expected, abs=1e-3)
    assert metrics["baselines"] == {}


def frozen(root: Path) -> list[Episode]:
    folder = root / layout.folds(DATASET)
    return read_further_references(folder / "references-0.csv", read_episodes(folder / "episodes-0.csv"))


def test_the_stage_freezes_as_many_references_as_the_most_shots_and_changes_no_other_list(rivals: dict[str, Path]):
    one, several = (rivals[name] / layout.folds(DATASET) for name in ("one", "several"))
    files = {path.name for path in one.glob("*.*") if path.suffix in (".csv", ".json")}
    assert files <= {path.name for path in several.iterdir()}
    changed = {name for name in files if (one / name).read_bytes() != (several / name).read_bytes()}
    assert changed == {"references-0.csv", "references-1.csv"}
    assert max(len(e.references) for e in frozen(rivals["several"])) == 3
    assert all(len(e.references) == 1 for e in frozen(rivals["one"]))


def test_columns_of_several_shots_have_a_baselines_counts():
    wanted = [f"shots-5-average.{count}" for count in COUNTS]
    assert list(episode_columns(["untrained"], ["shots-5-average"]))[-len(wanted) :] == wanted
    assert episode_columns(["untrained"])[: len(episode_columns())] == episode_columns()
