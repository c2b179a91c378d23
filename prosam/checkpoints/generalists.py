"""Networks of SegGPT and Painter from their published checkpoints.

SegGPT's is on the hub with transformers' names, and in the authors' release with their own. Painter's has the authors'
names alone; `_RENAMED` brings them to transformers'. Painter's network lacks SegGPT's two type tokens, which are added
to all embeddings, so that it is the same network with zeros for them. Nothing else differs: both name windows for some
blocks, but in a list that no block's number equals, so that all blocks attend globally.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prosam.checkpoints.frozen_weights import Origin, read_origin, weights_file
from prosam.checkpoints.weights import check_state, load_state, shapes_only
from prosam.errors import InputError
from prosam.fetching.cache import cache_folder
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from prosam.files import sha256_of
from prosam.models.generalist import Generalist, build_generalist, generalist_config
from prosam.params.rivals import GeneralistName

if TYPE_CHECKING:
    from transformers import SegGptConfig

_HUB = "https://huggingface.co/BAAI/"
PUBLISHED_GENERALISTS: dict[GeneralistName, RemoteFile] = {
    "seggpt": RemoteFile("seggpt-vit-large.safetensors", (f"{_HUB}seggpt-vit-large/resolve/main/model.safetensors",)),
    "painter": RemoteFile("painter_vit_large.pth", (f"{_HUB}Painter/resolve/main/painter_vit_large.pth",)),
}
_TITLES: dict[GeneralistName, str] = {"seggpt": "SegGPT", "painter": "Painter"}

_EMBEDDINGS, _LAYERS = "model.embeddings.", "model.encoder.layers."
_TYPE_TOKENS = (f"{_EMBEDDINGS}type_token_semantic", f"{_EMBEDDINGS}type_token_instance")
_RENAMED = {  # the authors' names
    "patch_embed.proj": f"{_EMBEDDINGS}patch_embeddings.projection",
    "mask_token": f"{_EMBEDDINGS}mask_token",
    "segment_token_x": f"{_EMBEDDINGS}segment_token_input",
    "segment_token_y": f"{_EMBEDDINGS}segment_token_prompt",
    "type_token_cls": _TYPE_TOKENS[0],
    "type_token_ins": _TYPE_TOKENS[1],
    "pos_embed": f"{_EMBEDDINGS}position_embeddings",
    "norm": "model.encoder.layernorm",
    "decoder_embed": "decoder.decoder_embed",
    "decoder_pred.0": "decoder.decoder_pred.conv",
    "decoder_pred.1": "decoder.decoder_pred.layernorm",
    "decoder_pred.3": "decoder.decoder_pred.head",
}
_RENAMED_IN_BLOCKS = {
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.proj",
    "attn.rel_pos_h": "attention.rel_pos_h",
    "attn.rel_pos_w": "attention.rel_pos_w",
    "mlp.fc1": "mlp.lin1",
    "mlp.fc2": "mlp.lin2",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
}
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def given_generalist(method: GeneralistName, given: Path | None) -> tuple[Path, Origin]:
    """A checkpoint of a method's network, and where it came from.

    Args:
        method: the method.
        given: a file, or a folder that holds `model.safetensors` as on the hub or was written by the pipeline; None for
            the published file, which is fetched into the cache unless it is there.

    Raises:
        InputError: it is missing, or cannot be fetched.
    """
    if given is None:
        generalist_config()  # no gigabytes are fetched for want of a library
        if not has_published(method):
            print(f"{_TITLES[method]}: fetching about 1.5 GB, once, from {PUBLISHED_GENERALISTS[method].urls[0]}")
        given = fetch(PUBLISHED_GENERALISTS[method], cache_folder("weights"))
    if given.is_dir():
        if weights_file(given).is_file():
            return weights_file(given), read_origin(given, stage="backbone-rival")
        given = given / "model.safetensors"
    if not given.is_file():
        raise InputError(f"{given}: no such file; name {_TITLES[method]}'s checkpoint, or omit --backbone")
    return given, Origin(method, given.name, sha256_of(given))


def has_published(method: GeneralistName) -> bool:
    """Whether a method's published checkpoint is in the cache."""
    return (cache_folder("weights") / PUBLISHED_GENERALISTS[method].name).is_file()


def load_generalist(method: GeneralistName, checkpoint: Path) -> Generalist:
    """Build a method's network in the size that its checkpoint has, and read its weights.

    Args:
        method: the method.
        checkpoint: with transformers' names or the authors'.

    Raises:
        InputError: transformers is not installed, or the file is unreadable, incomplete or something else.
    """
    state = read_generalist(method, checkpoint)
    config = _config_of(state, method, checkpoint)
    with shapes_only():
        network = build_generalist(config)
    check_state(network, state, checkpoint, what=_TITLES[method])
    network.load_state_dict(state, assign=True)
    return Generalist(network)


def read_generalist(method: GeneralistName, checkpoint: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint under transformers' names, float32; Painter's with type tokens of zeros.

    Raises:
        InputError: the file is unreadable, or another method's.
    """
    state = _tensors(checkpoint)
    state = {_renamed(name): tensor.float() for name, tensor in state.items()}
    has_tokens, title = any(name in state for name in _TYPE_TOKENS), _TITLES[method]
    mask_token = state.get(f"{_EMBEDDINGS}mask_token")
    if mask_token is None:
        raise InputError(f"{checkpoint}: is not a checkpoint of {title}: it has no mask token")
    if method == "painter" and has_tokens and any(state[name].any() for name in _TYPE_TOKENS if name in state):
        raise InputError(f"{checkpoint}: has type tokens, so it is SegGPT's and not Painter's; use --method seggpt")
    if method == "seggpt" and not has_tokens:
        raise InputError(f"{checkpoint}: has no type tokens, so it is Painter's and not SegGPT's; use --method painter")
    if method == "painter":
        state |= {name: torch.zeros_like(mask_token) for name in _TYPE_TOKENS}
    return state


def _tensors(checkpoint: Path) -> dict[str, Tensor]:
    """The tensors of a file; the authors keep them under `model`, beside settings of the training."""
    if checkpoint.suffix != ".safetensors" and checkpoint.is_file():
        try:
            with torch.serialization.safe_globals([argparse.Namespace]):
                content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        except Exception:  # which `load_state` explains
            content = None
        inner = content.get("model") if isinstance(content, dict) else None
        if isinstance(inner, Mapping) and all(isinstance(tensor, Tensor) for tensor in inner.values()):
            return dict(inner)
    return load_state(checkpoint)


def _renamed(name: str) -> str:
    """A name of the authors as transformers has it; others as they are."""
    if block := _BLOCK.fullmatch(name):
        return f"{_LAYERS}{block[1]}.{_exchanged(block[2], _RENAMED_IN_BLOCKS)}"
    return _exchanged(name, _RENAMED)


def _exchanged(name: str, names: Mapping[str, str]) -> str:
    for suffix in ("", ".weight", ".bias"):
        stem = name.removesuffix(suffix)
        if name.endswith(suffix) and stem in names:
            return names[stem] + suffix
    return name


def _config_of(state: Mapping[str, Tensor], method: GeneralistName, checkpoint: Path) -> SegGptConfig:
    """The configuration that the shapes of a checkpoint belong to; merges and features are where the authors' are."""
    try:
        hidden, _, patch, _ = state[f"{_EMBEDDINGS}patch_embeddings.projection.weight"].shape
        depth = 1 + max(int(name.split(".")[3]) for name in state if name.startswith(_LAYERS))
        rows, per_head = state[f"{_LAYERS}0.attention.rel_pos_h"].shape
        columns, _ = state[f"{_LAYERS}0.attention.rel_pos_w"].shape
        positions = state[f"{_EMBEDDINGS}position_embeddings"].shape[1]
        return generalist_config(
            hidden_size=hidden,
            num_hidden_layers=depth,
            num_attention_heads=hidden // per_head,
            image_size=[(rows + 1) // 2 * patch, (columns + 1) // 2 * patch],
            patch_size=patch,
            mlp_dim=state[f"{_LAYERS}0.mlp.lin1.weight"].shape[0],
            pretrain_image_size=round((positions - 1) ** 0.5) * patch,
            decoder_hidden_size=state["decoder.decoder_pred.conv.weight"].shape[0],
            intermediate_hidden_state_indices=[depth * part // 4 - 1 for part in (1, 2, 3, 4)],
        )
    except KeyError as error:
        raise InputError(f"{checkpoint}: is not a whole checkpoint of {_TITLES[method]}: it lacks {error}") from error
    except (
        ValueError,
        IndexError,
        ZeroDivisionError,
    ) as error:  # shapes that fit no network, or one that transformers refuses
        raise InputError(f"{checkpoint}: is not a checkpoint of {_TITLES[method]}: its shapes do not fit") from error
