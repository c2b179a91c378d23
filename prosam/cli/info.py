"""Facts about a file or folder, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prosam.errors import InputError
from prosam.files import sha256_of

Facts = dict[str, Any]

_MODEL, _WEIGHTS, _STORE, _RESULTS = "model.json", "weights.json", "index.json", "results.jsonl"


def facts_of(given: str | None) -> Facts:
    """The facts about an output of a command or stage, or about a published or bundled checkpoint.

    Args:
        given: a path, or the name of a bundled model; None for the default model.

    Raises:
        InputError: the path does not exist, is damaged, or is of no known kind.
    """
    from prosam.checkpoints.model_source import bundled_model

    path = bundled_model(given) or Path(str(given))
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_file() and (described := _described_by_itself(path)):
        return described
    folder = path if path.is_dir() else path.parent
    known: dict[str, Callable[[Path], Facts]] = {
        _MODEL: _facts_of_run,
        _WEIGHTS: _facts_of_weights,
        _STORE: _facts_of_store,
        _RESULTS: _facts_of_results,
    }
    for name, facts in known.items():
        if (folder / name).is_file():
            return facts(folder)
    if path.is_file():
        return _facts_of_checkpoint(path)
    concepts = [facts for file in sorted(path.glob("*.safetensors")) if "concept" in (facts := _concept_facts(file))]
    if concepts:
        return {"what": "concepts, as `prosam learn` writes them", "concepts": [facts["concept"] for facts in concepts]}
    raise InputError(
        f"{path}: holds no {', '.join(known)} and no concept; name a folder that a command or a stage wrote"
    )


def facts_of_method(name: str, size: str | None = None) -> Facts:
    """The facts about a method that trains nothing.

    Args:
        name: of the method.
        size: with the published SAM and backbone of this size, of which nothing is fetched for the description; None
            for the bundled ones for photographs.

    Raises:
        InputError: there is no such method.
    """
    from prosam.checkpoints.frozen_given import given_backbone, given_sam
    from prosam.checkpoints.generalists import PUBLISHED_GENERALISTS
    from prosam.checkpoints.training_free import training_free_settings
    from prosam.predictor.model_card import describe_training_free

    settings = training_free_settings(name)
    needed: Facts = {}
    if size is None:
        sam, backbone = given_sam(None)[1], given_backbone(None)[1] if settings.backbone else None
    else:
        from prosam.checkpoints.sizes import checkpoints_of, size_for, to_fetch
        from prosam.distributed.device import named_device

        chosen = size_for(size, named_device("auto"))
        published = checkpoints_of(chosen, backbone=settings.backbone is not None)
        sam, backbone = published[0].origin, published[1].origin if settings.backbone else None
        needed = {"size": chosen, "to fetch": to_fetch(published) or "nothing"}
    card = describe_training_free(settings, sam, backbone)
    network = {"network": ", ".join(PUBLISHED_GENERALISTS[name].urls)} if name in PUBLISHED_GENERALISTS else {}
    return {
        "what": "a method that trains nothing",
        "method": name,
        "SAM": _weights(card.description["sam"]),
        "backbone": _weights(card.description["backbone_weights"]) or "none",
        **needed,
        **network,
        "parameters": card.description["parameters"],
        "trainable parameters": 0,
        "model": card.name,
    }


def _described_by_itself(path: Path) -> Facts | None:
    """The facts about a file with a description in its header (an exported model or a concept); None for others."""
    from prosam.checkpoints.exported import METADATA, read_exported_description

    if METADATA in _metadata(path):
        return _model_facts(read_exported_description(path), "an exported model") | {"sha256": sha256_of(path)}
    return _concept_facts(path) or None


def _concept_facts(path: Path) -> Facts:
    """The facts about a concept; empty if the file holds none."""
    if "prosam_concept" not in _metadata(path):
        return {}
    from prosam.predictor.concept import Concept

    concept = Concept.load(path)
    return {
        "what": "a concept",
        "concept": concept.name,
        "learned by": concept.made_by,
        "references": len(concept),
        "annotations": list(concept.kinds),
        "digest": concept.digest,
    }


def _metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty for any other file."""
    from safetensors import SafetensorError, safe_open

    from prosam.data.formats.content_kinds import kind_of_file

    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is damaged: {kind_of_file(path) or error}") from error


def _facts_of_run(folder: Path) -> Facts:
    from prosam.checkpoints.trained import read_description

    return _model_facts(read_description(folder), "a trained run")


def _model_facts(content: dict[str, Any], what: str) -> Facts:
    facts = {
        "what": f"{what}, {content.get('name')!r}",
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
    return {
        "what": "SAM's embeddings of a data set",
        "images": len(store),
        "shape": list(store.shape),
        "stored in": store.form,
        **store.made_by,
    }


def _facts_of_results(folder: Path) -> Facts:
    from prosam.output.journal import Journal

    journal = Journal(folder / _RESULTS, {})
    header = journal.earlier_header
    if header is None:
        raise InputError(f"{folder / _RESULTS}: is empty; run `prosam segment` again")
    found = [detection["concept"] for line in journal.lines for detection in line["found"] if detection["present"]]
    return {
        "what": "results of `prosam segment`",
        "model": header["model"],
        "images": len(journal.lines),
        "images with the concept": {concept: found.count(concept) for concept in header["concepts"]},
    }


def _facts_of_checkpoint(path: Path) -> Facts:
    from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, PHOTO_SAM_WEIGHTS, SAM_WEIGHTS
    from prosam.checkpoints.published import PUBLISHED_BACKBONES, PUBLISHED_SAM
    from prosam.models.sam import BUNDLED_SAM, PHOTOGRAPH_SAM

    digest = sha256_of(path)
    for name, file in {**PUBLISHED_SAM, **PUBLISHED_BACKBONES}.items():
        if file.sha256 and digest.startswith(file.sha256):
            return {"what": "a published checkpoint", "model": name, "name": file.name, "sha256": digest}
    for name, bundled in {BUNDLED_SAM: SAM_WEIGHTS, PHOTOGRAPH_SAM: PHOTO_SAM_WEIGHTS, **BACKBONE_WEIGHTS}.items():
        if digest == sha256_of(bundled):
            return {"what": "a bundled checkpoint", "model": name, "name": bundled.name, "sha256": digest}
    raise InputError(f"{path}: is neither an output of prosam nor a known published checkpoint (SHA-256 {digest})")


def _weights(origin: Any) -> str | None:
    if not isinstance(origin, dict):  # a converted model does not name its SAM
        return None
    return f"{origin.get('model')} ({origin.get('checkpoint')}, SHA-256 {str(origin.get('sha256'))[:16]}...)"


def as_text(facts: Facts) -> str:
    """Facts as text: one per line, mappings and lists on one line each."""
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
    """Facts as JSON."""
    return json.dumps(facts, indent=2)
