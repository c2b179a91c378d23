"""The commit that a training records, wherever it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from prosam import layout
from prosam.remarks import collecting
from tasks.provenance import commit


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose code seems to run."""
    (tmp_path / "prosam").mkdir()
    (tmp_path / "prosam/layout.py").write_text("")
    monkeypatch.setattr(layout, "__file__", str(tmp_path / "prosam/layout.py"))
    return tmp_path


def git(folder: Path, *words: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", *name, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def committed(repository: Path) -> str:
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "one")
    return git(repository, "rev-parse", "HEAD")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_has_its_commit(repository: Path, committed: str):
    nobody = 65534
    for path in (repository, *repository.rglob("*")):
        os.chown(path, nobody, nobody)
    refused = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, check=False)
    assert b"dubious ownership" in refused.stderr
    with collecting() as remarks:
        assert commit() == committed
    assert remarks.lines() == []
    (repository / "prosam/layout.py").write_text("changed")
    assert commit() == f"{committed}+changes"


def test_without_git_the_commit_is_unknown_and_that_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(repository))
    with collecting() as remarks:
        assert commit() == "unknown (git is not installed)"
    assert remarks.lines() == [
        f"{repository}: the commit of the code is recorded as unknown (git is not installed)",
    ]


def test_without_a_repository_the_commit_is_unknown_with_gits_reason(repository: Path, monkeypatch: pytest.MonkeyPatch):
    assert shutil.which("git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.parent))
    with collecting() as remarks:
        assert commit().startswith("unknown (fatal: not a git repository")
    assert len(remarks.lines()) == 1
