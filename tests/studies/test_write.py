"""The files of a study."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from prosam.params.curvature import CurvatureParams
from prosam.params.studies import PromptNoiseParams, StudiesParams
from prosam.studies import curvature, prompt_noise
from prosam.studies.study import Subject
from prosam.studies.write import ROWS, write_study

FEW = PromptNoiseParams(relative=(0.0, 1.0), absolute=(), draws=1)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_file_holds_the_rows_and_is_alone(subject: Subject, tmp_path: Path):
    """What the rows come to is computed once, in the report: a second answer beside them could be another one."""
    rows = list(prompt_noise.rows(subject, FEW))
    write_study(tmp_path / "study", iter(rows))
    assert list(files(tmp_path / "study")) == [ROWS]
    assert pq.read_table(tmp_path / "study" / ROWS).to_pylist() == rows


def test_a_curvature_of_one_episode_is_written(subject: Subject, tmp_path: Path):
    """It has no error over episodes."""
    few = CurvatureParams(episodes=1, probes=2, draws=2, absolute_noise=(0.1,), relative_noise=())
    rows = list(curvature.rows(subject, few))
    write_study(tmp_path / "study", iter(rows))
    assert pq.read_table(tmp_path / "study" / ROWS).to_pylist() == rows
    assert {row["episode"] for row in rows} == {0}


def test_the_same_rows_give_the_same_bytes(subject: Subject, tmp_path: Path):
    for name in ("one", "other"):
        write_study(tmp_path / name, prompt_noise.rows(subject, FEW))
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_a_study_that_fails_leaves_what_was_there(subject: Subject, tmp_path: Path):
    write_study(tmp_path / "study", prompt_noise.rows(subject, FEW))
    before = files(tmp_path / "study")

    def interrupted():
        yield next(prompt_noise.rows(subject, FEW))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_study(tmp_path / "study", interrupted())
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
