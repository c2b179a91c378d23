"""SAM 2.1's checkpoints with our names: the authors' (`sam2.1_hiera_*.pt`) and the hub's (`model.safetensors`).

The memory, which only video needs, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_Rules = tuple[tuple[re.Pattern[str], str], ...]


def _rules(*pairs: tuple[str, str]) -> _Rules:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_AUTHORS_MEMORY = re.compile(
    r"memory_attention\.|memory_encoder\.|maskmem_tpos_enc$|no_mem_pos_enc$|no_obj_|obj_ptr_|mask_downsample\."
)
_AUTHORS = _rules(
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"image_encoder.neck.\1."),
    (r"^(image_encoder\.trunk\..*\.mlp)\.layers\.0\.", r"\1.fc1."),
    (r"^(image_encoder\.trunk\..*\.mlp)\.layers\.1\.", r"\1.fc2."),
    (r"^no_mem_embed$", "image_encoder.no_memory"),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.conv_s0\.", "image_encoder.fourfold."),
    (r"^sam_mask_decoder\.conv_s1\.", "image_encoder.twice."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^(mask_decoder\.transformer\.layers\.\d\.mlp)\.layers\.0\.", r"\1.lin1."),
    (r"^(mask_decoder\.transformer\.layers\.\d\.mlp)\.layers\.1\.", r"\1.lin2."),
)

_HUBS_MEMORY = re.compile(
    r"memory_|mask_downsample\.|object_pointer_proj\.|temporal_positional_encoding_projection_layer\.|"
    r"no_memory_positional_encoding$|no_object_pointer$|occlusion_spatial_embedding_parameter$"
)
_HUB = _rules(
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^(image_encoder\.trunk\.patch_embed)\.projection\.", r"\1.proj."),
    (r"^(image_encoder\.trunk\..*)\.layer_norm([12])\.", r"\1.norm\2."),
    (r"^(image_encoder\.trunk\..*\.mlp)\.proj_in\.", r"\1.fc1."),
    (r"^(image_encoder\.trunk\..*\.mlp)\.proj_out\.", r"\1.fc2."),
    (r"^vision_encoder\.neck\.convs\.", "image_encoder.neck."),
    (r"^no_memory_embedding$", "image_encoder.no_memory"),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding$", "shared_image_embedding.positional_embedding"),
    (r"^shared_image_embedding\.positional_embedding$", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^mask_decoder\.conv_s0\.", "image_encoder.fourfold."),
    (r"^mask_decoder\.conv_s1\.", "image_encoder.twice."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"^(mask_decoder\.transformer\..*)\.o_proj\.", r"\1.out_proj."),
    (r"^(mask_decoder\.transformer\..*)\.layer_norm([1-4])\.", r"\1.norm\2."),
    (r"^mask_decoder\.transformer\.layer_norm_final_attn\.", "mask_decoder.transformer.norm_final_attn."),
    (r"^(mask_decoder\.transformer\.layers\.\d\.mlp)\.proj_in\.", r"\1.lin1."),
    (r"^(mask_decoder\.transformer\.layers\.\d\.mlp)\.proj_out\.", r"\1.lin2."),
    (r"^(mask_decoder\..*)\.layers\.0\.(weight|bias)$", r"\1.layers.1.\2"),  # between `proj_in` and `proj_out`
    (r"^(mask_decoder\..*)\.proj_in\.", r"\1.layers.0."),
    (r"^(mask_decoder\..*)\.proj_out\.", r"\1.layers.2."),
)
_POINTS = "prompt_encoder.point_embed.weight"  # the hub has the four of them in one tensor


def sam2_state(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint of SAM 2.1 with our names; what is in neither published form stays as it is."""
    if any(name.startswith("sam_mask_decoder.") for name in given):
        kept = {name: tensor for name, tensor in given.items() if not _AUTHORS_MEMORY.match(name)}
        return {_renamed(name, _AUTHORS): tensor for name, tensor in kept.items()}
    if any(name.startswith("vision_encoder.") for name in given):
        kept = {name: tensor for name, tensor in given.items() if not _HUBS_MEMORY.match(name)}
        state = {_renamed(name, _HUB): tensor for name, tensor in kept.items()}
        for number, row in enumerate(state.pop(_POINTS, torch.empty(0))):
            state[f"prompt_encoder.point_embeddings.{number}.weight"] = row[None]
        return state
    return dict(given)


def _renamed(name: str, rules: _Rules) -> str:
    for pattern, replacement in rules:
        name = pattern.sub(replacement, name)
    return name
