"""`prosam export`: what is refused before anything is loaded or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Prosam


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("bundled:photos", "photos", "--onnx"), "photos: exists already; name a new folder"),
        (("bundled:photo", "graphs", "--onnx"), "bundled:photo"),
        (("none", "graphs", "--onnx"), "none"),
        (("run", "one.safetensors", "--sam", "sam.pt"), "--sam and --backbone belong to --onnx"),
    ],
)
def test_what_cannot_be_exported_is_one_line(work: Path, as_typed: Prosam, words: tuple[str, ...], why: str):
    status, _, error = as_typed("export", *words)
    assert (status, error.count("\n")) == (2, 1)
    assert why in error
    assert not (work / "graphs").exists()
