"""The files of a study."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from prosam.params import STUDY_NAMES
from prosam.params.curvature import CurvatureParams
from prosam.params.studies import PromptNoiseParams, StudiesParams
from prosam.studies.curvature import rows as curvature
from prosam.studies.declaration import ROWS, Study, declared
from prosam.studies.prompt_noise import rows as prompt_noise
from prosam.studies.study import StudyRow, Subject
from prosam.studies.write import write_study

NOISE = declared("prompt_noise")
FEW = PromptNoiseParams(relative=(0.0, 1.0), absolute=(), draws=1)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_file_holds_the_rows_and_is_alone(subject: Subject, tmp_path: Path):
    """What the rows come to is computed once, in the report: a second answer beside them could be another one."""
    rows = list(prompt_noise.rows(subject, FEW))
    write_study(tmp_path / "study", iter(rows), NOISE)
    assert set(files(tmp_path / "study")) == {ROWS, "prosam.sha256"}
    assert pq.read_table(tmp_path / "study" / ROWS).to_pylist() == rows


@pytest.mark.parametrize("study", STUDY_NAMES)
def test_a_study_is_found_by_its_name_wherever_something_is_said_of_it(study: str):
    assert study in StudiesParams.model_fields
    assert declared(study).measured
    assert callable(import_module(f"prosam.studies.{study}.rows").rows)
    assert callable(getattr(import_module(f"prosam.report.studies.{study}"), f"{study}_part"))


def test_declarations_and_the_report_need_no_pytorch():
    """A report is made in seconds, also where no model can be loaded."""
    names = [f"prosam.{room}.{study}" for study in STUDY_NAMES for room in ("studies", "report.studies")]
    imports = "; ".join(f"import {name}" for name in ["prosam.report.compose", "prosam.studies.verification", *names])
    subprocess.run([sys.executable, "-c", f"{imports}; import sys; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize("wrong", [{"episode": 0, "class_id": 1}, {"class_id": 1, "episode": 0, "present": True}])
def test_rows_with_other_columns_than_declared_are_refused(wrong: StudyRow, tmp_path: Path):
    with pytest.raises(ValueError, match="but declared are episode, class_id, present"):
        write_study(tmp_path / "study", [wrong], Study(("present",)))
    assert list(tmp_path.iterdir()) == []


def test_a_curvature_of_one_episode_is_written(subject: Subject, tmp_path: Path):
    """It has no error over episodes."""
    few = CurvatureParams(episodes=1, probes=2, draws=2, absolute_noise=(0.1,), relative_noise=())
    rows = list(curvature.rows(subject, few))
    write_study(tmp_path / "study", iter(rows), declared("curvature"))
    assert pq.read_table(tmp_path / "study" / ROWS).to_pylist() == rows
    assert {row["episode"] for row in rows} == {0}


def test_the_same_rows_give_the_same_bytes(subject: Subject, tmp_path: Path):
    for name in ("one", "other"):
        write_study(tmp_path / name, prompt_noise.rows(subject, FEW), NOISE)
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_a_study_that_fails_leaves_what_was_there(subject: Subject, tmp_path: Path):
    write_study(tmp_path / "study", prompt_noise.rows(subject, FEW), NOISE)
    before = files(tmp_path / "study")

    def interrupted():
        yield next(prompt_noise.rows(subject, FEW))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_study(tmp_path / "study", interrupted(), NOISE)
    assert files(tmp_path / "study") == before
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.parametrize(
    ("section", "wrong", "message"),
    [
        ("prompt_noise", {"relative": [0.1, 0.1]}, "names 0.1 twice"),
        ("prompt_noise", {"absolute": [-1.0]}, "greater than or equal to 0"),
        ("prompt_noise", {"draws": 0}, "greater than or equal to 1"),
        ("corruption", {"severities": [6]}, "less than or equal to 5"),
        ("corruption", {"names": ["fog"]}, "'blur', 'noise', 'jpeg' or 'brightness'"),
        ("strategies", {"samples": 1}, "greater than or equal to 2"),
        ("references", {"counts": []}, "at least 1 item"),
        ("absent", {"count": 3}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_study_are_refused(section: str, wrong: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        StudiesParams.model_validate({section: wrong})
