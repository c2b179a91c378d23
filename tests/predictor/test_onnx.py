"""A model as ONNX graphs, run without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam import Box, Predictor
from prosam.errors import InputError
from prosam.predictor import onnx_graphs
from prosam.predictor.onnx_graphs import export_onnx
from tests.conftest import REPOSITORY

REFERENCE, TARGET = REPOSITORY / "docs/first/astronaut.jpg", REPOSITORY / "docs/first/photos/portrait.jpg"
BOX = (15, 10, 365, 512)
WITHOUT_TORCH = "import sys, runpy; sys.modules['torch'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0])"


@pytest.mark.long
@pytest.mark.parametrize("model", ["bundled:photos", "bundled:shapes"])
def test_onnx_runtime_finds_what_the_predictor_finds(tmp_path: Path, model: str):
    differences = export_onnx(model, tmp_path / "graphs")
    assert set(differences) == {"encoder.onnx", "reference.onnx", "prompts.onnx", "decoder.onnx"}
    assert max(differences.values()) <= 1e-4
    words = [tmp_path / "graphs", REFERENCE, ",".join(map(str, BOX)), TARGET, tmp_path / "mask.png"]
    script = [REPOSITORY / "docs/segment_with_onnx.py", *words]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *map(str, script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = np.asarray(Image.open(tmp_path / "mask.png")) > 0

    predictor = Predictor.load(model, device="cpu")
    left, top, right, bottom = BOX
    concept = predictor.learn([(REFERENCE, Box(left, top, right, bottom))])
    [expected] = predictor.segment(TARGET, concept, refine=False)
    described = json.loads((tmp_path / "graphs/model.json").read_text())
    assert described["digest"] == predictor.model.digest
    assert f"presence {expected.presence:.3f}" in done.stdout
    assert (found != expected.mask).mean() < 0.005  # the embedding is not rounded, and Pillow enlarges the logits
    assert found.any()


def test_what_stands_in_the_way_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="exists already"):
        export_onnx(None, tmp_path)
    monkeypatch.setattr(onnx_graphs, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(InputError, match=r"needs onnxscript; install .*prosam\[onnx\]"):
        export_onnx(None, tmp_path / "new")
    assert not (tmp_path / "new").exists()
