"""The weights of a frozen model on disk: one file in our own form, and beside it which checkpoint that came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prosam.errors import InputError
from prosam.files import atomic_folder, atomic_path, write_text

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS, _DESCRIPTION = "weights.safetensors", "weights.json"


@dataclass(frozen=True)
class Origin:
    """Where weights came from.

    Attributes:
        model: architecture, such as vit_h or resnet50.
        checkpoint: name of the checkpoint's file.
        sha256: of that file, hexadecimal.
    """

    model: str
    checkpoint: str
    sha256: str


def weights_file(folder: Path) -> Path:
    """The file of the weights in a folder that `write_frozen_weights` wrote."""
    return folder / _WEIGHTS


def write_frozen_weights(folder: Path, state: Mapping[str, Tensor], origin: Origin) -> None:
    """Write weights and where they came from, all or nothing.

    Args:
        folder: gets both files; replaced if it is there.
        state: of the model, complete.
        origin: of the state.
    """
    from safetensors.torch import save_file

    with atomic_folder(folder) as new:
        with atomic_path(new / _WEIGHTS) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
        write_text(new / _DESCRIPTION, json.dumps(asdict(origin), indent=2) + "\n")


def read_origin(folder: Path, *, stage: str, model: str | None = None) -> Origin:
    """Which checkpoint the weights in a folder came from.

    Args:
        folder: that `write_frozen_weights` wrote.
        stage: that does so, for the error.
        model: that they should be of, as params.yaml names it now; None for any.

    Raises:
        InputError: it is missing or damaged, or they are of another model.
    """
    path = folder / _DESCRIPTION
    try:
        origin = Origin(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run `dvc repro {stage}`") from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is damaged; run `dvc repro --force {stage}`") from error
    if model is not None and origin.model != model:
        raise InputError(f"{folder}: holds {origin.model}, but params.yaml names {model}; run `dvc repro {stage}`")
    return origin
