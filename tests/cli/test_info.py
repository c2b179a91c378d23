"""`prosam info` describes whatever the other commands write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from prosam.checkpoints.bundled import (
    BACKBONE_WEIGHTS,
    PHOTO_PROMPT_ENCODER,
    PHOTO_SAM_WEIGHTS,
    PROMPT_ENCODER,
    SAM_WEIGHTS,
)
from prosam.checkpoints.exported import export_model, read_exported_description
from prosam.checkpoints.frozen_weights import Origin, write_frozen_weights
from prosam.checkpoints.trained import DESCRIPTION, WEIGHTS
from prosam.files import sha256_of
from tests.cli.conftest import Prosam

CAT = ("--name", "cat", "--reference", "cat.jpg", "--mask", "cat.png")


def facts(prosam: Prosam, path: Path | str) -> dict[str, Any]:
    status, printed, error = prosam("info", path, "--json")
    assert (status, error) == (0, "")
    return json.loads(printed)


def test_a_model_that_export_wrote(prosam: Prosam, tmp_path: Path):
    folder, file = tmp_path / "run", tmp_path / "model.safetensors"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(PROMPT_ENCODER.read_bytes())
    (folder / DESCRIPTION).write_text(json.dumps(read_exported_description(PROMPT_ENCODER)))
    export_model(folder, file)
    described = facts(prosam, file)
    assert described["what"].startswith("an exported model")
    assert described["sha256"] == sha256_of(file)
    of_the_run = facts(prosam, folder)
    assert of_the_run["what"].startswith("a trained run")
    for key in ("method", "SAM", "backbone", "trained on", "run"):
        assert described[key] == of_the_run[key]


def test_the_bundled_models(prosam: Prosam):
    assert facts(prosam, PROMPT_ENCODER)["what"].startswith("an exported model")
    for name, path in (("bundled:shapes", PROMPT_ENCODER), ("bundled:photos", PHOTO_PROMPT_ENCODER)):
        assert facts(prosam, name) == facts(prosam, path)
    status, printed, _ = prosam("info", "--json")  # of the default
    assert (status, json.loads(printed)) == (0, facts(prosam, "bundled:photos"))
    for path, model in (
        (SAM_WEIGHTS, "tiny"),
        (PHOTO_SAM_WEIGHTS, "lite"),
        *((path, name) for name, path in BACKBONE_WEIGHTS.items()),
    ):
        described = facts(prosam, path)
        assert (described["what"], described["model"]) == ("a bundled checkpoint", model)


def test_frozen_weights(prosam: Prosam, tmp_path: Path):
    write_frozen_weights(tmp_path / "sam", {"a": torch.zeros(1)}, Origin("vit_b", "sam.pth", "0" * 64))
    assert facts(prosam, tmp_path / "sam")["model"] == "vit_b"
    assert facts(prosam, tmp_path / "sam" / "weights.safetensors")["model"] == "vit_b"


def test_concepts_and_results(prosam: Prosam, work: Path):
    assert prosam("learn", "cat.safetensors", *CAT)[::2] == (0, "")
    assert prosam("learn", "concepts", *CAT)[0] == 0
    concept = facts(prosam, "cat.safetensors")
    assert (concept["what"], concept["concept"], concept["references"]) == ("a concept", "cat", 1)
    assert concept["annotations"] == ["mask"]
    assert facts(prosam, "concepts")["concepts"] == ["cat"]

    assert prosam("segment", "photos", *CAT, "--out", "out", "--write", "coco")[0] == 0
    results = facts(prosam, "out")
    assert (results["what"], results["images"]) == ("results of `prosam segment`", 5)
    lines = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()[1:]]
    assert results["images with the concept"] == {"cat": sum(line["found"][0]["present"] for line in lines)}
    assert facts(prosam, "out/results.jsonl") == results


@pytest.mark.parametrize(("name", "content"), [("a.safetensors", b"damaged"), ("a.bin", b"anything")])
def test_what_prosam_did_not_write_is_named_in_one_line(prosam: Prosam, tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path / name, tmp_path / "missing"):
        status, printed, error = prosam("info", path)
        assert (status, printed) == (2, "")
        assert error.startswith(f"error: {path}: ")
        assert error.count("\n") == 1
