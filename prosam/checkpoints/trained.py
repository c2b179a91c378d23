"""Trained models on disk: safetensors beside a JSON file that describes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prosam.checkpoints.weights import read_weights, write_weights
from prosam.errors import InputError
from prosam.files import write_text
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.models.frozen import FrozenModels
from prosam.models.prompt_encoder import PromptEncoder
from prosam.params import RunParams
from prosam.seals import check_seal

MODEL_FORMAT = 1
WEIGHTS, DESCRIPTION = "prompt_encoder.safetensors", "model.json"


def save_model(folder: Path, encoder: PromptEncoder, description: dict[str, Any]) -> None:
    """Write a trained prompt encoder.

    Args:
        folder: for WEIGHTS and DESCRIPTION.
        encoder: with its weights.
        description: what made the model; `run` must hold the resolved RunParams.
    """
    write_weights(encoder, folder / WEIGHTS)
    trainable = sum(p.numel() for p in encoder.parameters())
    content = {"format": MODEL_FORMAT, "trainable_parameters": trainable, **description}
    write_text(folder / DESCRIPTION, json.dumps(content, indent=2) + "\n")


def read_description(folder: Path) -> dict[str, Any]:
    """The description of a model.

    Raises:
        InputError: the description is missing, damaged, or from a newer version.
    """
    path = folder / DESCRIPTION
    check_seal(path, "replace the folder with an intact copy, or train it again with `dvc repro --force`")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; train it with `dvc repro`") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not the description of a model")
    if content.get("format") != MODEL_FORMAT:
        raise InputError(f"{path}: has format {content.get('format')!r}, this version reads {MODEL_FORMAT}")
    return content


def read_run(description: dict[str, Any], name: str) -> RunParams:
    """The run of a description; `name` identifies the description in the error.

    Raises:
        InputError: this version does not know such a run.
    """
    try:
        return RunParams.model_validate(description.get("run"))
    except ValidationError as error:
        raise InputError(f"{name}: does not describe a run of this version") from error


def load_model(folder: Path, models: FrozenModels) -> PromptMethod:
    """Read a trained method for frozen models that are already loaded.

    Args:
        folder: written by `save_model` or `prosam convert vrp-sam`.
        models: the frozen models it was trained with.

    Raises:
        InputError: a file is missing or damaged, or does not fit the frozen models.
    """
    run = read_run(read_description(folder), str(folder / DESCRIPTION))
    method = build_prompt_method(run, models, seed=0)
    read_weights(method.encoder, folder / WEIGHTS, what=f"a prompt encoder for {run.backbone!r}")
    return method
