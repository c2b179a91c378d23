"""The code behind a module, against what Python itself imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prosam import closure, layout
from prosam.closure import PLUMBING, REPOSITORY, code_behind, digest_of_code
from tests.conftest import DATASET


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["annotations", "embeddings", "train"])
def test_whatever_a_stage_imports_while_it_runs_is_behind_it_or_changes_no_byte(stage: str, workspace: Path):
    for done in (layout.annotations(DATASET, "prosam"), layout.embeddings(DATASET)):
        assert done.exists()
    arguments = {"embeddings": [DATASET], "annotations": [DATASET, "prosam"], "train": [DATASET, "prosam", "0"]}
    command = [sys.executable, "-X", "importtime", "-m", f"tasks.{stage}", *arguments[stage]]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(REPOSITORY)})
    imported = {line.rsplit("|", 1)[1].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    ours = [Path(*name.split(".")) for name in imported if name.startswith(("prosam.", "tasks."))]
    assert len(ours) > 10
    files = {place.with_suffix(".py") for place in ours if (REPOSITORY / place.with_suffix(".py")).is_file()}
    unknown = {file for file in files if not any(file.is_relative_to(entry) for entry in PLUMBING)}
    assert unknown - set(code_behind(f"tasks.{stage}")) == set()


def test_plumbing_is_there():
    assert [entry for entry in PLUMBING if not (REPOSITORY / entry).exists()] == []


def test_imports_count_wherever_they_stand_but_not_those_for_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = {
        "prosam/errors.py": "",
        "prosam/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import prosam.types_only\n"
        "else:\n    import prosam.instead\ndef f():\n    from prosam.room import late\n    import prosam.errors\n",
        "prosam/types_only.py": "",
        "prosam/instead.py": "import os\n",
        "prosam/room/__init__.py": "from prosam.around import thing\n",
        "prosam/room/late.py": "",
        "prosam/around.py": "thing = 1\n",
        "prosam/other.py": "",
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(closure, "REPOSITORY", tmp_path)
    closure._imported.cache_clear()
    found = [str(path.relative_to("prosam")) for path in code_behind("prosam.a")]
    assert found == ["a.py", "around.py", "instead.py", "room/__init__.py", "room/late.py"]
    before = digest_of_code("prosam.a")
    (tmp_path / "prosam/types_only.py").write_text("changed = 1\n")
    assert digest_of_code("prosam.a") == before
    (tmp_path / "prosam/room/late.py").write_text("changed = 1\n")
    assert digest_of_code("prosam.a") != before
    closure._imported.cache_clear()
    with pytest.raises(ValueError, match=r"no module .prosam\.nowhere."):
        code_behind("prosam.nowhere")


@pytest.mark.parametrize(
    ("kept", "decides"),
    [
        ("tasks.embeddings", ["tasks/embeddings.py", "prosam/features/embedding_encoding.py", "prosam/data/images.py"]),
        ("prosam.features.feature_table", ["prosam/features/resized_images.py", "prosam/data/images.py"]),
        ("tasks.annotations", ["prosam/data/drawing.py", "prosam/data/formats/masks.py"]),
    ],
)
def test_what_is_kept_between_runs_is_keyed_by_all_that_decides_it(kept: str, decides: list[str]):
    assert {Path(path) for path in decides} <= set(code_behind(kept))
