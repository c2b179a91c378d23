"""The tensor names of SAM 2.1's published checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor


def authors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under the names of `sam2.1_hiera_*.pt`, beside those of the memory, read off the authors' modules."""
    published: dict[str, Tensor] = {
        "memory_attention.layers.0.self_attn.q_proj.weight": torch.zeros(256, 256),
        "memory_encoder.fuser.layers.0.gamma": torch.zeros(256),
        "maskmem_tpos_enc": torch.zeros(7, 1, 1, 64),
        "no_mem_pos_enc": torch.zeros(1, 1, 256),
        "no_obj_ptr": torch.zeros(1, 256),
        "no_obj_embed_spatial": torch.zeros(1, 64),
        "obj_ptr_proj.layers.0.weight": torch.zeros(256, 256),
        "obj_ptr_tpos_proj.weight": torch.zeros(64, 256),
        "mask_downsample.weight": torch.zeros(1, 1, 4, 4),
    }
    for name, tensor in state.items():
        part, _, rest = name.partition(".")
        if name.startswith("image_encoder.trunk."):
            rest = rest.replace("mlp.fc1", "mlp.layers.0").replace("mlp.fc2", "mlp.layers.1")
            published[f"image_encoder.{rest}"] = tensor
        elif name.startswith("image_encoder.neck."):
            number, end = rest.split(".")[1:]
            published[f"image_encoder.neck.convs.{number}.conv.{end}"] = tensor
        elif name == "image_encoder.no_memory":
            published["no_mem_embed"] = tensor
        elif part == "image_encoder":
            convolution = {"fourfold": "conv_s0", "twice": "conv_s1"}[rest.split(".")[0]]
            published[f"sam_mask_decoder.{convolution}.{rest.split('.')[1]}"] = tensor
        else:
            rest = rest.replace("mlp.lin1", "mlp.layers.0").replace("mlp.lin2", "mlp.layers.1")
            published[f"sam_{part}.{rest}"] = tensor
    return published
