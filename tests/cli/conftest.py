"""The command as a user runs it, in a folder with photos and references."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from prosam.cli.main import main
from tests.scenes import pair, scenes

Prosam = Callable[..., tuple[int, str, str]]


@pytest.fixture
def as_typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Prosam:
    """Runs the command: exit status, standard output and error."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["prosam", *map(str, words)])
        status = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def prosam(as_typed: Prosam) -> Prosam:
    """As `as_typed`, but `segment` and `learn` use the model for shapes unless the words name another one."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        given = words[0] in ("segment", "learn") and "--model" not in words
        return as_typed(*words, *(("--model", "bundled:shapes") if given else ()))

    return run


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: five photos, a reference with its mask, and a second one of another kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROSAM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    reference, target, class_id = pair()
    photos = [target, *scenes()[:4]]
    for number, scene in enumerate(photos):
        folder = "photos/deep" if number == 4 else "photos"
        Image.fromarray(scene.image).resize((128, 96)).save(tmp_path / folder / f"{number}.png")
    other, _, other_class = pair(2)
    for name, scene, shown in (("cat", reference, class_id), ("dog", other, other_class)):
        Image.fromarray(scene.image).save(tmp_path / f"{name}.jpg", quality=95)
        Image.fromarray(scene.mask(shown)).save(tmp_path / f"{name}.png")
    return tmp_path


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
