"""A trained model as one file to hand on: its prompt encoder as safetensors, its description in the header.

A folder that the stage `train` wrote says the same in two files. The frozen SAM and backbone are in neither; both
name them by the SHA-256 of their checkpoints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prosam.checkpoints.trained import MODEL_FORMAT, WEIGHTS, read_description
from prosam.checkpoints.weights import load_state
from prosam.errors import InputError
from prosam.files import atomic_path

METADATA = "prosam_model"  # one entry: safetensors keeps several in no fixed order


def write_exported(path: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write a bundle, all or nothing; the same bytes for the same values.

    Args:
        path: ends in .safetensors.
        state: of the prompt encoder.
        description: as `save_model` has it.
    """
    content = {"format": MODEL_FORMAT, **description}
    with atomic_path(path) as temporary:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, temporary, {METADATA: json.dumps(content)})


def export_model(folder: Path, path: Path) -> None:
    """Make a bundle of a folder that the stage `train` or `convert_vrp_sam` wrote.

    Raises:
        InputError: the folder holds no whole model, or the file's name does not end in .safetensors.
    """
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: must end in .safetensors")
    write_exported(path, load_state(folder / WEIGHTS), read_description(folder))


def read_exported_description(path: Path) -> dict[str, Any]:
    """What the model in a bundle is, as `read_description` has it.

    Raises:
        InputError: the file is damaged, of something else, or from a newer version.
    """
    try:
        with safe_open(path, "pt") as file:
            content = json.loads((file.metadata() or {}).get(METADATA, "null"))
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: is damaged, or no model ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: says nothing of a model; give its folder, or a file of `prosam export`")
    if content.get("format") != MODEL_FORMAT:
        raise InputError(f"{path}: has format {content.get('format')!r}, this version reads {MODEL_FORMAT}")
    return content
