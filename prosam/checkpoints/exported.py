"""A trained model as one file to pass on: its prompt encoder as safetensors, its description in the header.

A folder that the stage `train` wrote holds the same content in two files. Neither form contains the frozen SAM and
backbone; the description names them by the SHA-256 of their checkpoints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prosam.checkpoints.header_digest import with_digest, without_digest
from prosam.checkpoints.trained import MODEL_FORMAT, WEIGHTS, read_description
from prosam.checkpoints.weights import load_state
from prosam.data.formats.content_kinds import kind_of_file
from prosam.errors import InputError
from prosam.files import atomic_path

METADATA = "prosam_model"  # a single entry, because safetensors does not keep several in a fixed order


def write_exported(path: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write an exported file atomically; the same values give the same bytes.

    Args:
        path: a file that ends in .safetensors.
        state: state dict of the prompt encoder.
        description: what made the model, as for `save_model`.
    """
    content = {"format": MODEL_FORMAT, **description}
    with atomic_path(path) as temporary:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, temporary, {METADATA: json.dumps(with_digest(content, tensors))})


def export_model(folder: Path, path: Path) -> None:
    """Export the model in a folder that the stage `train` or `prosam convert vrp-sam` wrote.

    Raises:
        InputError: the folder holds no complete model, or the file's name does not end in .safetensors.
    """
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: must end in .safetensors")
    write_exported(path, load_state(folder / WEIGHTS), read_description(folder))


def read_exported_description(path: Path) -> dict[str, Any]:
    """The description of an exported model, as `read_description` returns it.

    Raises:
        InputError: the file is damaged, is not a model, or comes from a newer version.
    """
    try:
        with safe_open(path, "pt") as file:
            content = json.loads((file.metadata() or {}).get(METADATA, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        kind = kind_of_file(path)
        raise InputError(f"{path}: is damaged or is not a model: {kind or error}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: has no description of a model; pass the folder of a trained model or a file of `prosam export`"
        )
    content = without_digest(content, tensors, path)
    if content.get("format") != MODEL_FORMAT:
        raise InputError(f"{path}: has format {content.get('format')!r}, this version reads {MODEL_FORMAT}")
    return content
