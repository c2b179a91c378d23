"""A report of a small tree, made once; and the tree itself, to be damaged."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from prosam.params import Params, load_params
from prosam.report.compose import Report, compose
from prosam.report.inputs import Setting, read_settings
from prosam.report.paper.tables import PaperTable, paper_tables
from prosam.report.scores.scores import score_setting
from prosam.report.studies.part import StudyPart
from tests.report.paper.beside_paper import FOUR, write_strategies
from tests.report.studies.made_up_studies import write_studies
from tests.report.tree import CLASSES, PARAMS, toy_scenes, write_tree


@pytest.fixture(scope="session")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of all stages before the report; leave them as they are."""
    root = tmp_path_factory.mktemp("tree")
    (root / "params.yaml").write_text(PARAMS)
    with contextlib.chdir(root):
        write_tree(toy_scenes(12), CLASSES, {"prosam": 0.75, "vrp-sam": 0.7})
    return root


@pytest.fixture
def tree(whole_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may damage, as the current folder."""
    copy = tmp_path / "tree"
    shutil.copytree(whole_tree, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture(scope="session")
def report(whole_tree: Path) -> Report:
    """The report of the whole tree."""
    with contextlib.chdir(whole_tree):
        params = load_params()
        return compose(params, read_settings(params))


@pytest.fixture(scope="session")
def studied_tree(whole_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with all studies; leave it as it is."""
    copy = tmp_path_factory.mktemp("studied") / "tree"
    shutil.copytree(whole_tree, copy)
    with contextlib.chdir(copy):
        write_studies()
    return copy


@pytest.fixture(scope="session")
def studied(studied_tree: Path) -> Report:
    """The report of the tree with all studies."""
    with contextlib.chdir(studied_tree):
        params = load_params()
        return compose(params, read_settings(params))


@pytest.fixture(scope="session")
def parts(studied: Report) -> dict[str, StudyPart]:
    """What the report says of each study."""
    return {part.key: part for part in studied.sections[0].studies}


@pytest.fixture(scope="session")
def four_folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the paper's four folds, and the study of strategies."""
    root = tmp_path_factory.mktemp("paper")
    (root / "params.yaml").write_text(FOUR)
    with contextlib.chdir(root):
        write_tree(toy_scenes(12), CLASSES, {"prosam": 0.75, "vrp-sam": 0.7})
        for fold in range(4):
            write_strategies(Path(f"results/toy/prosam/{fold}"))
    return root


@pytest.fixture(scope="session")
def found(four_folds: Path) -> tuple[Params, Setting, dict[int, PaperTable]]:
    """Its parameters and setting, and the paper's tables by number."""
    with contextlib.chdir(four_folds):
        params = load_params()
        (setting,) = read_settings(params)
        tables = paper_tables(params, setting, score_setting(setting, params.report))
    return params, setting, {table.number: table for table in tables}
