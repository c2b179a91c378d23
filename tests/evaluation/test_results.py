"""The files of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam.data.episodes import Episode
from prosam.data.formats.masks import decode
from prosam.evaluation.columns import episode_columns
from prosam.evaluation.evaluate import Outcome
from prosam.evaluation.overlap import overlap
from prosam.evaluation.results import episode_rows, write_results

CLASSES = ("a", "b", "c")


def outcomes(count: int = 9) -> list[tuple[Episode, dict[str, Outcome]]]:
    """Random predictions of two methods on episodes of the classes 1 and 3."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        truth, void = rng.random((8, 12)) < 0.4, rng.random((8, 12)) < 0.1
        predictions = {"run": rng.random((8, 12)) < 0.5, "everything": np.ones((8, 12), bool)}
        by_name = {name: Outcome(mask, overlap(mask, truth, void)) for name, mask in predictions.items()}
        made.append((Episode(f"r{i}", f"t{i}", 1 + 2 * (i % 2)), by_name))
    return made


def scores(name: str) -> tuple[dict[str, float], float, float]:
    """IoU of each class, mIoU and FB-IoU in percent, from counts summed over episodes."""
    sums = {1: [0, 0], 3: [0, 0]}
    totals = [0, 0, 0, 0]
    for episode, by_name in outcomes():
        o = by_name[name].overlap
        sums[episode.class_id][0] += o.intersection
        sums[episode.class_id][1] += o.union
        for i, value in enumerate((o.intersection, o.union, o.background_intersection, o.background_union)):
            totals[i] += value
    ious = {CLASSES[i - 1]: 100 * a / b for i, (a, b) in sums.items()}
    return ious, float(np.mean(list(ious.values()))), 50 * (totals[0] / totals[1] + totals[2] / totals[3])


def test_metrics_are_sums_over_episodes_divided_at_the_end(tmp_path: Path):
    write_results(tmp_path / "out", episode_rows(outcomes(), CLASSES, run="run"))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    ious, miou, fb_iou = scores("run")
    assert metrics["iou"] == pytest.approx(ious, abs=1e-4)
    assert (metrics["miou"], metrics["fb_iou"]) == pytest.approx((miou, fb_iou), abs=1e-4)
    assert metrics["episodes"] == 9
    assert metrics["baselines"].keys() == {"everything"}
    _, miou, fb_iou = scores("everything")
    assert metrics["baselines"]["everything"] == pytest.approx({"miou": miou, "fb_iou": fb_iou}, abs=1e-4)


def test_each_episode_has_a_row_with_its_counts_and_its_prediction(tmp_path: Path):
    write_results(tmp_path / "out", episode_rows(outcomes(), CLASSES, run="run"))
    table = pd.read_parquet(tmp_path / "out" / "episodes.parquet")
    assert len(table) == 9
    for (episode, by_name), (_, row) in zip(outcomes(), table.iterrows(), strict=True):
        assert (row["reference"], row["target"], row["class_id"]) == (
            episode.reference,
            episode.target,
            episode.class_id,
        )
        assert row["class_name"] == CLASSES[episode.class_id - 1]
        assert np.array_equal(decode(row["prediction"], row["height"], row["width"]), by_name["run"].prediction)
        assert row["iou"] == by_name["run"].overlap.intersection / by_name["run"].overlap.union
        assert row["everything.union"] == by_name["everything"].overlap.union
        assert row["false_positives"] == by_name["run"].overlap.false_positives


def test_an_episode_has_the_columns_that_readers_rely_on_and_no_others(tmp_path: Path):
    rows = list(episode_rows(outcomes(2), CLASSES, run="run"))
    write_results(tmp_path / "out", rows)
    counts = ["intersection", "union", "background_intersection", "background_union", "false_positives"]
    episode = ["episode", "class_id", "class_name", "reference", "target", "height", "width"]
    of_baseline = [f"everything.{count}" for count in counts]
    wanted = [*episode, *counts, "iou", "prediction", *of_baseline]
    assert list(pd.read_parquet(tmp_path / "out" / "episodes.parquet").columns) == wanted
    assert list(episode_columns(["everything"])) == wanted
    for wrong in (
        [{**row, "dice": 0.5} for row in rows],
        [{k: v for k, v in row.items() if k != "iou"} for row in rows],
    ):
        with pytest.raises(ValueError, match="but declared are episode, class_id"):
            write_results(tmp_path / "out", wrong)


def test_the_same_outcomes_give_the_same_bytes(tmp_path: Path):
    for name in ("one", "two"):
        write_results(tmp_path / name, episode_rows(iter(outcomes()), CLASSES, run="run"))
    for file in ("metrics.json", "episodes.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_an_evaluation_that_fails_leaves_the_old_results(tmp_path: Path):
    write_results(tmp_path / "out", episode_rows(outcomes(4), CLASSES, run="run"))

    def failing():
        yield from outcomes(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(tmp_path / "out", episode_rows(failing(), CLASSES, run="run"))
    assert len(pd.read_parquet(tmp_path / "out" / "episodes.parquet")) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
