"""The whole DAG on generated trees of benchmarks in their published formats, with the bundled models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.data.formats.masks import decode
from prosam.data.open import open_dataset
from prosam.evaluation.video import contour_accuracy
from tests.data.benchmark_trees import (
    box,
    write_davis_tree,
    write_deepglobe_tree,
    write_fss_tree,
    write_isic_tree,
    write_lungs_tree,
    write_perseg_tree,
)
from tests.pipeline.clone import REPOSITORY, Clone, Done

pytestmark = pytest.mark.foundation

FSS, TESTED = "fss-1000", ("perseg", "davis-2017", "isic-2018", "lungs", "deepglobe")
RUN, RIVAL = "prosam", "persam"

CHANGES = {
    "pipeline.datasets": list(TESTED),
    "pipeline.runs": [RUN],
    "pipeline.shifts": [{"train": FSS, "test": test} for test in TESTED],
    "pipeline.shifted": [RUN],
    "pipeline.rivals": [RIVAL],
    f"datasets.{FSS}.train": {},
    "folds.episodes": 6,
    "folds.monitor_episodes": 4,
    "folds.shots": [1, 2],
    "train.steps": 2,
    "train.batch_size": 2,
    "train.schedule.warmup": 1,
    "train.monitor_every": 2,
    "train.checkpoint_every": 2,
    "report.bootstrap": 100,
    "report.pictures": 1,
    "device": "cpu",
    "threads": 1,
}


def labels(*shifts: int) -> list[np.ndarray]:
    """Frames (48, 64) of two objects that move to the right; the second one leaves in the last frame but one."""
    frames = []
    for number, shift in enumerate(shifts):
        frame = np.zeros((48, 64), np.uint8)
        frame[4:24, 4 + shift : 24 + shift] = 1
        if number != len(shifts) - 2 or len(shifts) < 4:
            frame[28:44, 30 + shift : 50 + shift] = 2
        frames.append(frame)
    return frames


def write_trees(root: Path) -> None:
    """A tree for each benchmark, below a folder of its name."""
    write_fss_tree(root / FSS, {"trn": ["ant", "bee", "cow"], "val": ["dog", "elk"], "test": ["fox", "gnu"]}, images=4)
    write_perseg_tree(root / "perseg", {"cat": 3, "teapot": 3})
    write_davis_tree(root / "davis-2017", {"pigs": labels(0, 2, 4, 6, 8), "cars": labels(1, 3, 5)})
    lesions = [f"ISIC_000000{number}" for number in range(9)]
    names = ["nevus", "melanoma", "seborrheic_keratosis"]
    write_isic_tree(root / "isic-2018", {image: names[i % 3] for i, image in enumerate(lesions)})
    write_lungs_tree(root / "lungs", [f"CHNCXR_000{number}_0" for number in range(4)])
    cover = np.full((192, 192), "forest", object)
    cover[:, ::2] = "water"
    cover[:, 1::4] = "urban"
    write_deepglobe_tree(root / "deepglobe", {"1": cover})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Done]:
    """A clone in which all stages ran."""
    data = tmp_path_factory.mktemp("given")
    write_trees(data)
    given = {f"datasets.{name}.download.data_root": str(data / name) for name in (FSS, *TESTED)}
    clone = Clone.of_working_tree(tmp_path_factory.mktemp("benchmarks") / "clone", CHANGES | given)
    return clone, clone.local()


def episodes(clone: Clone, dataset: str, name: str) -> pd.DataFrame:
    return pd.read_parquet(clone.root / layout.results(dataset, name, 0) / "episodes.parquet")


def test_every_stage_ran_and_a_second_time_none_does(ran: tuple[Clone, Done]):
    clone, _ = ran
    stages = set(clone.lock())
    assert {f"download-tested@{name}" for name in TESTED} <= stages
    assert {f"shift@shift{number}-{RUN}-0" for number in range(len(TESTED))} <= stages
    assert {f"rival-compared@{name}-{RIVAL}-0" for name in TESTED} <= stages
    assert {f"train@{FSS}-{RUN}-0", f"evaluate@{FSS}-{RUN}-0", f"rival@{FSS}-{RIVAL}-0", "report"} <= stages
    assert "nothing has changed" in clone.local().output


def test_fss_is_trained_on_its_list_and_every_test_image_is_a_target_once(ran: tuple[Clone, Done]):
    clone, _ = ran
    for name in (RUN, RIVAL):
        rows = episodes(clone, FSS, name)
        assert rows["target"].tolist() == [f"{animal}-{number}" for animal in ("fox", "gnu") for number in range(1, 5)]
    told = json.loads((clone.root / layout.model(FSS, RUN, 0) / "model.json").read_text())
    assert told["base_classes"] == ["ant", "bee", "cow"]
    assert told["novel_classes"] == ["fox", "gnu"]


@pytest.mark.parametrize(
    ("name", "count", "references"),
    [
        ("perseg", 4, {"cat-00", "teapot-00"}),
        ("davis-2017", 2 * 4 + 2 * 2, {"pigs-00000", "cars-00000"}),
        ("isic-2018", 6, None),
        ("lungs", 6, None),
        ("deepglobe", 6, None),
    ],
)
def test_what_is_only_tested_has_its_own_episodes(
    ran: tuple[Clone, Done], name: str, count: int, references: set[str] | None
):
    clone, _ = ran
    rows = episodes(clone, layout.shift(FSS, name), RUN)
    assert len(rows) == count
    frozen = pd.read_csv(clone.root / layout.folds(name) / "episodes-0.csv")
    assert rows[["reference", "target", "class_id"]].equals(frozen)
    if references is not None:
        assert set(rows["reference"]) == references
    else:
        there = sorted(set(rows["class_id"]))
        assert rows["class_id"].tolist() == [there[i % len(there)] for i in range(6)]


def test_naming_data_sets_that_shifts_test_changes_the_rest_of_the_pipeline(ran: tuple[Clone, Done]):
    clone, done = ran
    axes = YAML(typ="safe").load(clone.root / "params.yaml")["pipeline"]
    assert axes["datasets"] == [FSS]
    assert axes["tested"] == axes["compared"] == list(TESTED)
    assert axes["folds"] == [0]
    changed = "params.yaml: fitted `pipeline` to its data sets: datasets: [fss-1000], tested: [perseg, davis-2017, "
    assert changed in done.output
    assert "fitted" not in clone.local().output


def test_a_rival_has_the_episodes_of_the_runs_on_what_is_only_tested(ran: tuple[Clone, Done]):
    clone, _ = ran
    for name in TESTED:
        own, others = episodes(clone, name, RIVAL), episodes(clone, layout.shift(FSS, name), RUN)
        assert own[["reference", "target"]].equals(others[["reference", "target"]])


def test_one_edit_tests_all_methods_that_train_nothing(ran: tuple[Clone, Done], tmp_path: Path):
    clone = ran[0].copy(tmp_path / "clone")
    usual = YAML(typ="safe").load(REPOSITORY / "params.yaml")["pipeline"]
    clone.change({"pipeline": usual | {"datasets": ["perseg"]}})
    done = clone.local()
    assert "runs: [], " in done.output
    rivals = ["persam", "persam-f", "matcher", "gf-sam", "insid3"]
    assert {f"rival@perseg-{rival}-0" for rival in rivals} <= set(clone.lock())
    content = json.loads((clone.root / layout.REPORT / "report.json").read_text())
    (setting,) = content["settings"]
    assert (setting["dataset"], setting["runs"], setting["folds"]) == ("perseg", [], [0])
    for key in ("miou", "own-scores"):
        assert [row["label"] for row in setting["tables"][key]["rows"]] == rivals
    assert [row["label"].split(":")[0] for row in setting["tables"]["rival-needs"]["rows"]] == rivals
    assert "trained" not in " ".join(content["answer"]["perseg"]["details"])
    assert "nothing has changed" in clone.local().output


def test_the_report_has_the_scores_of_perseg_and_davis(ran: tuple[Clone, Done]):
    clone, _ = ran
    settings = json.loads((clone.root / layout.REPORT / "report.json").read_text())["settings"]
    tables = {(s["dataset"], *s["runs"]): s["tables"].get("own-scores") for s in settings}
    shifted, alone = [(name, RUN) for name in TESTED], [(name,) for name in TESTED]
    assert list(tables) == [(FSS, RUN), *shifted, *alone]
    assert [key for key, table in tables.items() if table] == [*shifted[:2], *alone[:2]]
    (row,) = tables["davis-2017", RUN]["rows"]
    rows = episodes(clone, layout.shift(FSS, "davis-2017"), RUN)
    dataset = open_dataset(clone.root / layout.raw("davis-2017"))
    by_object: dict[int, list[tuple[float, float]]] = {}
    for episode in rows.itertuples():
        if episode.target in ("pigs-00004", "cars-00002"):  # the last frames
            continue
        found = decode(episode.prediction, episode.height, episode.width)
        truth = dataset.mask(episode.target, episode.class_id)
        union = (found | truth).sum()
        j = (found & truth).sum() / union if union else 1.0
        by_object.setdefault(episode.class_id, []).append((j, contour_accuracy(found, truth)))
    j, f = np.mean([np.mean(frames, axis=0) for frames in by_object.values()], axis=0)
    told = {column: cell["value"] / 100 for column, cell in row["cells"].items()}
    assert told == pytest.approx({"J&F": (j + f) / 2, "J": j, "F": f}, rel=1e-4)


def test_the_masks_are_those_of_the_trees(ran: tuple[Clone, Done]):
    clone, _ = ran
    assert np.array_equal(open_dataset(clone.root / layout.raw("perseg")).mask("cat-01", 1), box(64, 72, 1))
