"""Naming a data set in `pipeline.datasets` is the only edit: the rest of the section follows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from prosam.errors import InputError
from prosam.params import load_params
from prosam.params.fitting import fitted, hints, load_fitted

REPOSITORY = Path(__file__).parents[2]
RIVALS = ["persam", "persam-f", "matcher", "gf-sam", "insid3"]
TESTED = ("perseg", "davis-2017", "isic-2018", "lungs", "deepglobe")
TRAINED = ("fss-1000", "coco128", "lvis-92i", "pascal-part", "paco-part")


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A copy of the repository's params.yaml."""
    return Path(shutil.copy(REPOSITORY / "params.yaml", tmp_path / "params.yaml"))


def changed(path: Path, **axes: Any) -> Path:
    yaml = YAML()
    content = yaml.load(path)
    content["pipeline"].update(axes)
    with path.open("w") as file:
        yaml.dump(content, file)
    return path


@pytest.mark.parametrize("name", TESTED)
def test_what_is_only_tested_is_tested_by_all_rivals_and_nothing_is_trained(params: Path, name: str):
    axes = load_fitted(changed(params, datasets=[name])).pipeline
    assert (axes.datasets, axes.runs, axes.folds, axes.rivals) == ([name], [], [0], RIVALS)
    assert axes.shifts == axes.shifted == axes.tested == axes.compared == []


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_trained_on_keeps_its_runs_and_the_folds_that_it_has(params: Path, name: str):
    usual = load_params(params).pipeline
    axes = load_fitted(changed(params, datasets=[name])).pipeline
    assert (axes.datasets, axes.runs, axes.rivals) == ([name], usual.runs, [])
    assert axes.folds == ([0] if name == "fss-1000" else [0, 1, 2, 3])


def test_chosen_rivals_are_kept(params: Path):
    axes = load_fitted(changed(params, datasets=["lungs"], rivals=["matcher"])).pipeline
    assert axes.rivals == ["matcher"]


def test_beside_a_data_set_that_is_trained_on_it_is_compared_by_rivals(params: Path):
    path = changed(params, datasets=["shapes-5i", "perseg"], rivals=["persam"])
    axes = load_fitted(path).pipeline
    assert (axes.datasets, axes.tested, axes.compared) == (["shapes-5i"], ["perseg"], ["perseg"])
    assert (axes.runs, axes.folds) == (["prosam", "vrp-sam"], [0, 1, 2, 3])


def test_runs_that_a_shift_tests_are_trained_where_it_says(params: Path):
    shift = {"train": "coco-20i", "test": "perseg"}
    axes = load_fitted(changed(params, datasets=["perseg"], shifts=[shift], shifted=["prosam"])).pipeline
    assert (axes.datasets, axes.tested, axes.compared) == (["coco-20i"], ["perseg"], [])
    assert axes.shifted == ["prosam"]


def test_beside_others_something_has_to_test_it(params: Path):
    with pytest.raises(InputError, match=r"no shift tests 'perseg'; add \{train: \.\.\., test: perseg\} to `shifts`"):
        fitted(changed(params, datasets=["shapes-5i", "perseg"]))


def test_the_change_is_told_as_it_is_written_and_comments_stay(params: Path):
    change = fitted(changed(params, datasets=["perseg"], rivals=["persam"]))
    assert change.told == "runs: [], folds: [0]"
    assert change.text is not None
    assert "  runs: [] # keys of `runs`" in change.text or "  runs: []" in change.text
    assert "# methods that train nothing" in change.text
    params.write_text(change.text)
    assert fitted(params).text is None


def test_a_file_that_fits_is_not_touched(params: Path):
    assert fitted(params).text is None
    assert hints(load_params(params)) == []


def test_data_sets_of_different_folds_are_left_to_the_validation(params: Path):
    path = changed(params, datasets=["pascal-5i", "fss-1000"])
    assert fitted(path).text is None
    with pytest.raises(InputError, match="fss-1000 has only fold 0"):
        load_params(path)


def test_folds_that_are_left_out_are_told_with_the_edit(params: Path):
    (told,) = hints(load_params(changed(params, datasets=["lvis-92i"])))
    assert told.endswith("of which [0, 1, 2, 3] are run; write `folds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]` for all")


def test_folds_that_somebody_has_chosen_are_not_told(params: Path):
    assert hints(load_params(changed(params, folds=[0]))) == []
    assert hints(load_params(changed(params, datasets=["lvis-92i"], folds=[0, 1, 2]))) == []


def test_a_data_set_without_runs_is_told_unless_nothing_is_ever_trained_on_it(params: Path):
    path = changed(params, datasets=["pascal-5i"], runs=[], rivals=["persam"])
    (told,) = hints(load_params(path))
    assert told.startswith("pipeline.runs: is empty, so nothing is trained on pascal-5i")
    assert hints(load_fitted(changed(path, datasets=["perseg"]))) == []


def test_other_mistakes_are_told_by_the_validation(params: Path):
    path = changed(params, datasets="perseg")
    assert fitted(path).text is None
    with pytest.raises(InputError, match=r"pipeline\.datasets"):
        load_fitted(path)
    path.write_text("pipeline: [")
    with pytest.raises(InputError, match="is not valid YAML"):
        fitted(path)
    with pytest.raises(InputError, match="not found"):
        fitted(path.with_name("other.yaml"))


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ({"runs": []}, "pipeline: runs: names no run, and `rivals` no method"),
        ({"datasets": ["perseg"]}, "nothing is trained on perseg; `make repro` changes `pipeline` to test it"),
        ({"compared": ["perseg"]}, "pipeline: compared: unknown name 'perseg'"),
        ({"tested": ["perseg"], "compared": ["perseg"]}, "pipeline: compared: needs `rivals`"),
        (
            {"tested": ["pascal-5i"], "compared": ["pascal-5i"], "rivals": ["persam"]},
            "pipeline.compared: pascal-5i is trained on elsewhere",
        ),
    ],
)
def test_a_mistake_is_one_line(params: Path, axes: dict[str, Any], told: str):
    with pytest.raises(InputError) as caught:
        load_params(changed(params, **axes))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
