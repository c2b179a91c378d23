"""Reading and writing model weights: safetensors, or torch files restricted to tensors."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from prosam.errors import InputError
from prosam.files import atomic_path


def load_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint file.

    Args:
        path: .safetensors, or a torch file, which is read with `weights_only=True`.

    Raises:
        InputError: the file is missing, damaged, or holds anything but named tensors.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weight file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise InputError(f"{path}: cannot be read as weights ({reason[0] if reason else error!r})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: does not hold a plain state dict of tensors")
    return state


def read_weights(module: nn.Module, path: Path, *, what: str) -> None:
    """Load a checkpoint into a module, every tensor of it.

    Args:
        module: receives the weights.
        path: as for `load_state`.
        what: names the model in the error.

    Raises:
        InputError: as `load_state`, or names or shapes differ from the module's.
    """
    state, own = load_state(path), module.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    for names, problem in ((missing, "lacks"), (unknown, "has unknown"), (shapes, "has another shape for")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InputError(f"{path}: is not a checkpoint of {what}: it {problem} {names[0]!r}{more}")
    module.load_state_dict(state)


def write_weights(module: nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a module's state dict as safetensors, all or nothing, the same bytes for the same values.

    Args:
        module: whose state.
        path: where to.
        metadata: strings stored in the header. safetensors keeps them in no fixed order, so at most one entry is
            accepted: what is larger belongs in a JSON file beside.
    """
    if metadata and len(metadata) > 1:
        raise ValueError("more than one metadata entry would make the file's bytes depend on chance")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata)


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
