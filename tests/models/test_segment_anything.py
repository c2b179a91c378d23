"""The models' classes are the segment-anything package's own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


def run(code: str) -> str:
    """What a fresh Python prints."""
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.slow
def test_the_classes_are_the_packages_own_and_the_package_still_imports_whole():
    ours_first = """
import sys
import numpy as np
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.frozen import load_backbone
from prosam.checkpoints.sam import load_sam
from prosam.models.segment_anything import MaskDecoder, Sam, sam_model_registry
sam = load_sam("tiny", SAM_WEIGHTS)
for name, weights in BACKBONE_WEIGHTS.items():
    load_backbone(name, weights)
slow_to_import = {"segment_anything", "torchvision", "torch._dynamo", "sympy"}
assert not slow_to_import & set(sys.modules)

import segment_anything
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from segment_anything.modeling import MaskDecoder as OriginalDecoder, Sam as Original
assert Original is Sam and OriginalDecoder is MaskDecoder
assert segment_anything.sam_model_registry is sam_model_registry
assert segment_anything.__file__.endswith("__init__.py")

predictor = SamPredictor(sam)
predictor.set_image(np.zeros((100, 128, 3), np.uint8))
masks, _, _ = predictor.predict(np.array([[50, 50]]), np.array([1]), multimask_output=False)
print(masks.shape)
"""
    assert run(ours_first) == "(1, 100, 128)"


@pytest.mark.slow
def test_the_package_may_be_imported_before():
    theirs_first = """
import segment_anything
from segment_anything.modeling import Sam as Original
from prosam.models.segment_anything import Sam
import sys
assert Original is Sam and sys.modules["segment_anything"] is segment_anything
print("fine")
"""
    assert run(theirs_first) == "fine"
