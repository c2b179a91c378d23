"""Which episodes are shown, and what their truths are described by."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prosam.params import load_params
from prosam.report.figures.choice import choose_episodes
from prosam.report.figures.truths import describe_truths, solidity
from prosam.report.inputs import read_settings
from tests.report.tree import toy_scenes


def plain(count: int) -> pd.DataFrame:
    """One full object in each target."""
    return pd.DataFrame(
        {"target": [f"t{i}" for i in range(count)], "class_id": 1, "objects": 1, "solidity": np.ones(count)}
    )


def not_shown(truths: pd.DataFrame) -> list[int]:
    """Of a thousand episodes, those that four of each rank leave."""
    shown = {index for indices in choose_episodes(np.arange(1000.0), truths, 4).values() for index in indices}
    return [index for index in range(1000) if index not in shown]


def test_episodes_are_chosen_by_rank():
    ious = np.random.default_rng(0).permutation(np.arange(101.0))  # so that an IoU is its own percentile
    chosen = choose_episodes(ious, plain(101), 3)
    percentiles = {rank: [int(ious[i]) for i in chosen[rank]] for rank in ("good", "typical", "bad")}
    assert percentiles == {"good": [99, 94, 90], "typical": [55, 50, 45], "bad": [10, 6, 1]}


@pytest.mark.parametrize("episodes", [1, 2, 5, 30])
def test_no_episode_is_shown_twice(episodes: int):
    truths = plain(episodes).assign(objects=5, class_id=range(episodes))
    chosen = choose_episodes(np.zeros(episodes), truths, 4)
    shown = [index for indices in chosen.values() for index in indices]
    assert shown
    assert len(set(shown)) == len(shown)


def test_many_objects_come_first_and_no_target_twice():
    truths = plain(1000)
    free = not_shown(truths)
    a, b, c, d, e = free[:5]
    truths.loc[[a, b, c, d, e], "objects"] = [3, 7, 7, 2, 4]
    truths.loc[c, "target"] = truths.loc[b, "target"]
    assert choose_episodes(np.arange(1000.0), truths, 4)["many objects"] == [b, e, a]


def test_the_least_full_object_of_each_class_is_irregular():
    truths = plain(1000).assign(class_id=[index % 5 for index in range(1000)])
    free = not_shown(truths)
    first, second = (index for index in free[100:107] if index % 5 == 3)
    other = next(index for index in free[200:] if index % 5 == 1)
    truths.loc[[first, second, other], "solidity"] = [0.2, 0.1, 0.3]
    assert choose_episodes(np.arange(1000.0), truths, 2)["irregular"] == [second, other]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["#"], 1.0),
        (["####", "####"], 1.0),
        (["##", "#."], 3 / 3.5),  # its hull is the square without half a pixel
        (["###", "#.#", "###"], 8 / 9),
        (["#..", "#..", "###"], 5 / 7),  # half of the upper right 2 x 2 square is outside the hull
        (["...", "..."], np.nan),
    ],
)
def test_solidity_is_the_area_by_that_of_the_hull(rows: list[str], expected: float):
    piece = np.array([[pixel == "#" for pixel in row] for row in rows])
    assert solidity(piece) == pytest.approx(expected, nan_ok=True)


def test_truths_are_described_episode_by_episode(whole_tree: Path):
    labels = {name: mask for name, _, mask in toy_scenes(12)}
    with contextlib.chdir(whole_tree):
        (setting,) = read_settings(load_params())
        truths = describe_truths(setting)
    episodes = pd.concat([setting.results["prosam", fold].episodes for fold in setting.folds])
    assert list(truths["target"]) == list(episodes["target"])
    for row in truths.to_dict("records"):
        assert row["share"] == pytest.approx((labels[row["target"]] == row["class_id"]).mean())
    assert set(truths["objects"]) == {1}
