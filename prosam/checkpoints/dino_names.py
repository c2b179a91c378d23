"""The authors' checkpoints of DINOv2 with registers and of DINOv3, with the names that timm gives their tensors.

Files from timm's hub have those names already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_TRAINING_ONLY = re.compile(r"mask_token$|rope_embed\.periods$|norms\.")  # `norms.3` of a ConvNeXt repeats its `norm`
_CONVNEXT = (
    (re.compile(r"downsample_layers\.0\."), "stem."),
    (re.compile(r"downsample_layers\.(\d)\."), r"stages.\1.downsample."),
    (re.compile(r"stages\.(\d)\.(\d+)\."), r"stages.\1.blocks.\2."),
    (re.compile(r"\.dwconv\."), ".conv_dw."),
    (re.compile(r"\.pwconv([12])\."), r".mlp.fc\1."),
    (re.compile(r"^norm\."), "head.norm."),
)


def with_registers(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DINOv2 with registers: the class token gets its position added, and the patches' positions remain."""
    state = {name: tensor for name, tensor in given.items() if not _TRAINING_ONLY.match(name)}
    if "register_tokens" not in state or not {"cls_token", "pos_embed"} <= state.keys():
        return state
    state["reg_token"] = state.pop("register_tokens")
    state["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
    state["pos_embed"] = state["pos_embed"][:, 1:]
    return state


def dinov3_vit(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DINOv3's vision transformers. Their attention has biases that training left at zero; timm leaves them out.

    Raises:
        LookupError: the name of a bias that is not zero, which our network could not take.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in given.items():
        if _TRAINING_ONLY.match(name) or name.endswith("attn.qkv.bias_mask"):
            continue
        if name.endswith("attn.qkv.bias"):
            query, _, value = tensor.chunk(3)  # the key's is masked
            if query.any() or value.any():
                raise LookupError(name)
            continue
        name = re.sub(r"\.ls([12])\.gamma$", r".gamma_\1", name)
        state["reg_token" if name == "storage_tokens" else name] = tensor
    return state


def dinov3_convnext(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DINOv3's ConvNeXts."""
    if "downsample_layers.0.0.weight" not in given:
        return dict(given)
    state: dict[str, Tensor] = {}
    for name, tensor in given.items():
        if _TRAINING_ONLY.match(name):
            continue
        for pattern, replacement in _CONVNEXT:
            name = pattern.sub(replacement, name)
        state[name] = tensor
    return state
