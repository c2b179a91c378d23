"""What is installed, and what a checkout is checked with."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import prosam
from prosam.cli.main import main
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_has_the_code_its_types_and_the_bundled_models(wheel: Path):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "prosam"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    there = {path for path in tracked if (REPOSITORY / path).is_file()}
    assert {name for name in names if ".dist-info/" not in name} == there
    assert {"prosam/py.typed", "prosam/weights/sam-tiny.safetensors"} <= names


def test_the_version_is_written_once(wheel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["prosam", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().out
    assert (ended.value.code, said) == (0, f"{prosam.__version__}\n")
    assert wheel.name == f"prosam-{said.strip()}-py3-none-any.whl"


def test_github_runs_what_ci_runs_on_the_oldest_python_for_pushes_and_pull_requests():
    workflow = YAML(typ="safe").load(REPOSITORY / ".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert {"push", "pull_request"} <= set(workflow["on"])
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    python = next(step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
    assert f'requires-python = ">={python}"' in (REPOSITORY / "pyproject.toml").read_text()


@pytest.mark.parametrize("file", [".ci/run", ".pre-commit-config.yaml", "Makefile"])
def test_every_target_of_make_that_is_named_exists(file: str):
    targets = {line.partition(":")[0] for line in (REPOSITORY / "Makefile").read_text().splitlines() if ": " in line}
    text = (REPOSITORY / file).read_text()
    if file == ".ci/run":
        named = text.partition("parts=(")[2].partition(")")[0].split()
        assert {"lint", "test", "test-foundation", "test-long", "test-served", "docs"} == {*named} - {"setup"}
    elif file == "Makefile":
        named = text.partition(".PHONY:")[2].partition("\n")[0].split()
    else:
        (repository,) = YAML(typ="safe").load(text)["repos"]
        named = [hook["entry"].removeprefix("make ") for hook in repository["hooks"]]
    assert named
    assert {*named} <= targets
