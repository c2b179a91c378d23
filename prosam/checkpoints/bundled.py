"""Where the bundled default's weight files lie, inside the package so that an installed one has them."""

from __future__ import annotations

from pathlib import Path

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
SAM_WEIGHTS = WEIGHTS_FOLDER / "sam-tiny.safetensors"
BACKBONE_WEIGHTS = {  # by architecture
    "tiny-resnet": WEIGHTS_FOLDER / "backbone-tiny-resnet.safetensors",
    "tiny-vgg": WEIGHTS_FOLDER / "backbone-tiny-vgg.safetensors",
}
PROMPT_ENCODER = WEIGHTS_FOLDER / "prompt-encoder-tiny.safetensors"  # a bundle: what answers before one has trained
