"""Several shots in the report: paired with one shot, on the same episodes and the same resamples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam.errors import InputError
from prosam.evaluation.columns import COUNTS
from prosam.params import load_params
from prosam.report.compose import compose
from prosam.report.inputs import read_settings
from prosam.report.render import html
from prosam.report.scores.scores import score_setting
from prosam.report.scores.tables import difference_table, score_tables
from prosam.report.shots import shot_tables
from tests.report.tree import PARAMS

MINUS = "\N{MINUS SIGN}"
NAMES = {"prosam": ("shots-5-average", "shots-5-concatenate"), "vrp-sam": ("shots-5-average", "shots-5-concatenate")}


@pytest.fixture
def with_shots(tree: Path) -> Path:
    """The tree with five shots: averaged, a run answers as the other does with one; concatenated, as it does itself."""
    params = YAML(typ="safe").load(PARAMS)
    params["folds"]["shots"] = [1, 5]
    YAML(typ="safe").dump(params, tree / "params.yaml")
    for fold in (0, 1):
        rows = {run: pd.read_parquet(tree / f"results/toy/{run}/{fold}/episodes.parquet") for run in NAMES}
        told = {run: json.loads((tree / f"results/toy/{run}/{fold}/metrics.json").read_text()) for run in NAMES}
        for run, other in (("prosam", "vrp-sam"), ("vrp-sam", "prosam")):
            sources = dict(zip(NAMES[run], (other, run), strict=True))
            table = rows[run].assign(references=np.where(np.arange(len(rows[run])) < 3, 2, 5))
            for name, source in sources.items():
                for count in COUNTS:
                    table[f"{name}.{count}"] = rows[source][count]
            folder = tree / f"results/toy/{run}/{fold}"
            table.to_parquet(folder / "episodes.parquet")
            shots = {name: {key: told[source][key] for key in ("miou", "fb_iou")} for name, source in sources.items()}
            (folder / "metrics.json").write_text(json.dumps(told[run] | {"shots": shots}))
    return tree


def tables() -> dict[str, dict]:
    """The tables of scores, of differences between runs and of shots, as report.json has them."""
    params = load_params()
    (setting,) = read_settings(params)
    scores = score_setting(setting, params.report)
    made = [*score_tables(setting, scores), difference_table(setting, scores), *shot_tables(params, setting)]
    return {table.key: table.record() for table in made if table}


def rows_of(table: dict) -> dict[str, list[tuple[float, float, float]]]:
    return {
        row["label"]: [(cell["value"], cell["low"], cell["high"]) for cell in row["cells"].values()]
        for row in table["rows"]
    }


def test_shots_have_the_scores_and_the_paired_differences_of_the_runs_that_answer_alike(with_shots: Path):
    told = tables()
    scores, own, gains, between = (rows_of(told[key]) for key in ("shots", "miou", "shot-differences", "differences"))
    for run, other in (("prosam", "vrp-sam"), ("vrp-sam", "prosam")):
        assert scores[f"{run}, 1 shot"] == scores[f"{run}, 5 shots, concatenated"] == own[run]
        assert scores[f"{run}, 5 shots, averaged"] == own[other]
        assert gains[f"{run}, 5 shots, concatenated {MINUS} 1 shot"] == [(0, 0, 0)] * 3
    assert gains[f"vrp-sam, 5 shots, averaged {MINUS} 1 shot"] == between[f"prosam {MINUS} vrp-sam"]
    other_way = gains[f"prosam, 5 shots, averaged {MINUS} 1 shot"]
    assert [(-v, -high, -low) for v, low, high in other_way] == between[f"prosam {MINUS} vrp-sam"]
    assert "6 of the 48 episodes have fewer than 5 references" in told["shots"]["caption"]


def test_the_tables_of_one_shot_are_those_without_others(with_shots: Path):
    several = tables()
    (with_shots / "params.yaml").write_text(PARAMS)
    one = tables()
    assert set(several) - set(one) == {"shots", "shot-differences"}
    assert {key: several[key] for key in one} == one


def test_results_with_other_shots_than_wanted_name_the_stage_to_run(with_shots: Path):
    params = YAML(typ="safe").load(PARAMS)
    params["folds"]["shots"] = [1, 4]
    YAML(typ="safe").dump(params, with_shots / "params.yaml")
    with pytest.raises(InputError, match=r"folds\.shots .* run `dvc repro evaluate@toy-prosam-0`"):
        tables()


def test_metrics_that_disagree_with_their_episodes_are_refused(with_shots: Path):
    path = with_shots / "results/toy/prosam/1/metrics.json"
    metrics = json.loads(path.read_text())
    metrics["shots"]["shots-5-average"]["miou"] += 1
    path.write_text(json.dumps(metrics))
    with pytest.raises(InputError, match=r"shots-5-average\.miou is .* but"):
        tables()


def test_the_page_has_the_tables(with_shots: Path):
    params = load_params()
    page = html(compose(params, read_settings(params)))
    assert 'id="on-toy-shots"' in page
    assert 'id="on-toy-shot-differences"' in page
