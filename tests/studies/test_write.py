"""The files of a study."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from prosam.params.studies import PromptNoiseParams, StudiesParams
from prosam.studies import prompt_noise
from prosam.studies.study import Subject
from prosam.studies.write import ROWS, SUMMARY, write_study

FEW = PromptNoiseParams(relative=(0.0, 1.0), absolute=(), draws=1)


def test_the_files_hold_the_rows_and_their_summary(subject: Subject, tmp_path: Path):
    rows = list(prompt_noise.rows(subject, FEW))
    write_study(tmp_path / "study", iter(rows), prompt_noise.summarise)
    assert pq.read_table(tmp_path / "study" / ROWS).to_pylist() == rows
    assert json.loads((tmp_path / "study" / SUMMARY).read_text()) == prompt_noise.summarise(rows)


def test_the_same_rows_give_the_same_bytes(subject: Subject, tmp_path: Path):
    for name in ("one", "other"):
        write_study(tmp_path / name, prompt_noise.rows(subject, FEW), prompt_noise.summarise)
    for file in (ROWS, SUMMARY):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_a_study_that_fails_leaves_what_was_there(subject: Subject, tmp_path: Path):
    write_study(tmp_path / "study", prompt_noise.rows(subject, FEW), prompt_noise.summarise)
    before = {file: (tmp_path / "study" / file).read_bytes() for file in (ROWS, SUMMARY)}

    def interrupted():
        yield next(prompt_noise.rows(subject, FEW))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_study(tmp_path / "study", interrupted(), prompt_noise.summarise)
    assert {path.name: path.read_bytes() for path in (tmp_path / "study").iterdir()} == before
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
