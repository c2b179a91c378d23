"""The weights of a frozen model on disk: a file with our tensor names, and a description of its origin beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from prosam.errors import InputError
from prosam.files import atomic_path, write_text
from prosam.seals import check_seal, sealed_folder

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS, _DESCRIPTION = "weights.safetensors", "weights.json"
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """Where weights came from.

    Attributes:
        model: architecture, such as vit_h or resnet50.
        checkpoint: file name of the checkpoint.
        sha256: of that file, hexadecimal.
    """

    model: str
    checkpoint: str
    sha256: str

    def is_sound(self) -> bool:
        """Whether all are what they should be, as a file that somebody sent may be otherwise."""
        words = all(isinstance(value, str) and value for value in (self.model, self.checkpoint, self.sha256))
        # the checkpoint is searched for beside the model and elsewhere, and no other file may be named
        return (
            words and _SHA256.fullmatch(self.sha256) is not None and PurePath(self.checkpoint).name == self.checkpoint
        )


def weights_file(folder: Path) -> Path:
    """The weight file in a folder that `write_frozen_weights` wrote."""
    return folder / _WEIGHTS


def write_frozen_weights(folder: Path, state: Mapping[str, Tensor], origin: Origin) -> None:
    """Write weights and their origin atomically.

    Args:
        folder: for both files; an existing one is replaced.
        state: the complete state dict of the model.
        origin: where the state dict came from.
    """
    from safetensors.torch import save_file

    with sealed_folder(folder) as new:
        with atomic_path(new / _WEIGHTS) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
        write_text(new / _DESCRIPTION, json.dumps(asdict(origin), indent=2) + "\n")


def read_origin(folder: Path, *, stage: str, model: str | None = None) -> Origin:
    """The checkpoint that the weights in a folder came from.

    Args:
        folder: written by `write_frozen_weights`.
        stage: that writes the folder, for errors.
        model: the architecture that params.yaml names now; None accepts any.

    Raises:
        InputError: the description is missing or damaged, or the weights belong to another architecture.
    """
    path = folder / _DESCRIPTION
    check_seal(path, f"run `dvc repro --force {stage}`")
    try:
        origin = Origin(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run `dvc repro {stage}`") from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is damaged; run `dvc repro --force {stage}`") from error
    if not origin.is_sound():
        raise InputError(f"{path}: is damaged; run `dvc repro --force {stage}`")
    if model is not None and origin.model != model:
        raise InputError(f"{folder}: holds {origin.model}, but params.yaml names {model}; run `dvc repro {stage}`")
    return origin
