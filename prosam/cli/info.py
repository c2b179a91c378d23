"""What a path holds, as facts for a person: a trained run, frozen weights, an embedding store, or a published file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prosam.errors import InputError
from prosam.files import sha256_of

Facts = dict[str, Any]

_MODEL, _WEIGHTS, _STORE = "model.json", "weights.json", "index.json"


def facts_of(path: Path) -> Facts:
    """The facts about a folder that a stage wrote, a file in it, or a checkpoint that its authors published.

    Raises:
        InputError: nothing is there, or nothing that prosam knows.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    folder = path if path.is_dir() else path.parent
    for name, facts in ((_MODEL, _facts_of_run), (_WEIGHTS, _facts_of_weights), (_STORE, _facts_of_store)):
        if (folder / name).is_file():
            return facts(folder)
    if path.is_file():
        return _facts_of_file(path)
    raise InputError(f"{path}: holds no {_MODEL}, {_WEIGHTS} or {_STORE}; name a folder that a stage wrote")


def _facts_of_run(folder: Path) -> Facts:
    from prosam.checkpoints.trained import read_description

    content = read_description(folder)
    facts = {
        "what": f"a trained run, {content.get('name')!r}",
        "method": content.get("method"),
        "prompt distribution": content.get("distribution"),
        "trainable parameters": content.get("trainable_parameters"),
        "SAM": _weights(content.get("sam")),
        "backbone": _weights(content.get("backbone_weights")),
        "image size, px": content.get("image_size"),
        "trained on": content.get("dataset"),
        "annotations": content.get("kind"),
        "fold": content.get("fold"),
        "base classes": content.get("base_classes"),
        "novel classes": content.get("novel_classes"),
        "run": content.get("run"),
        "train": content.get("train"),
        "weights of": content.get("selected"),
        "converted from": content.get("converted_from"),
        "commit": content.get("commit"),
        "device": content.get("device"),
        "precision": content.get("precision"),
        "versions": content.get("versions"),
    }
    return {key: value for key, value in facts.items() if value not in (None, "")}


def _facts_of_weights(folder: Path) -> Facts:
    from prosam.checkpoints.frozen_weights import read_origin

    origin = read_origin(folder, stage="sam backbone")
    return {
        "what": "weights of a frozen model",
        "model": origin.model,
        "checkpoint": origin.checkpoint,
        "sha256": origin.sha256,
    }


def _facts_of_store(folder: Path) -> Facts:
    from prosam.features.embedding_store import EmbeddingStore

    store = EmbeddingStore(folder)
    return {"what": "SAM's embeddings of a data set", "images": len(store), "shape": list(store.shape), **store.made_by}


def _facts_of_file(path: Path) -> Facts:
    from prosam.checkpoints.backbones import PUBLISHED
    from prosam.checkpoints.published import PUBLISHED_SAM

    digest = sha256_of(path)
    for name, file in {**PUBLISHED_SAM, **PUBLISHED}.items():
        if file.sha256 and digest.startswith(file.sha256):
            return {"what": "a published checkpoint", "model": name, "name": file.name, "sha256": digest}
    raise InputError(f"{path}: is no published checkpoint that prosam knows (SHA-256 {digest}), nor written by a stage")


def _weights(origin: Any) -> str | None:
    if not isinstance(origin, dict):  # a converted model names no SAM
        return None
    return f"{origin.get('model')} ({origin.get('checkpoint')}, SHA-256 {str(origin.get('sha256'))[:16]}...)"


def as_text(facts: Facts) -> str:
    """Facts for a terminal: one a line, mappings and lists in one line each."""
    width = max(len(key) for key in facts)
    return "\n".join(f"{key:<{width}}  {_value(value)}" for key, value in facts.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return ", ".join(_value(inner) for inner in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def as_json(facts: Facts) -> str:
    """Facts for a program."""
    return json.dumps(facts, indent=2)
