"""Paths of the bundled weight files. They lie inside the package, so that an installed package has them."""

from __future__ import annotations

from pathlib import Path

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
SAM_WEIGHTS = WEIGHTS_FOLDER / "sam-tiny.safetensors"
BACKBONE_WEIGHTS = {  # by architecture
    "tiny-resnet": WEIGHTS_FOLDER / "backbone-tiny-resnet.safetensors",
    "tiny-vgg": WEIGHTS_FOLDER / "backbone-tiny-vgg.safetensors",
}
PROMPT_ENCODER = WEIGHTS_FOLDER / "prompt-encoder-tiny.safetensors"  # an exported file: the default model
