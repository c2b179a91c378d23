"""The bundled model for shapes, loaded once; a folder of files from the internet for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from prosam import Predictor


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return Predictor.load("bundled:shapes", device="cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, in a temporary folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PROSAM_CACHE", str(folder))
    return folder
