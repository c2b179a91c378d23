"""The commands with SegGPT, a network of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prosam.checkpoints.bundled import SAM_WEIGHTS
from tests.cli.conftest import Prosam
from tests.methods.generalist_formulas import authors_weights

pytest.importorskip("transformers")

CAT = ("--reference", "cat.jpg", "--mask", "cat.png")


@pytest.fixture
def given(work: Path) -> tuple[str | Path, ...]:
    torch.save({"model": authors_weights(tokens=True)}, work / "seggpt.pth")
    return ("--method", "seggpt", "--backbone", "seggpt.pth", "--sam", SAM_WEIGHTS, "--device", "cpu")


def test_photos_are_segmented_and_a_saved_concept_gives_the_same(
    work: Path, as_typed: Prosam, given: tuple[str | Path, ...]
):
    status, out, error = as_typed("segment", "photos", *given, *CAT, "--out", "found", "--write", "masks")
    assert status == 0, error
    assert "seggpt, which trains nothing, with SAM tiny and seggpt (" in out
    assert as_typed("learn", "cat.safetensors", *given, *CAT)[0] == 0
    concept = ("--concept", "cat.safetensors", "--write", "masks")
    assert as_typed("segment", "photos", *given, *concept, "--out", "again")[0] == 0
    for photo in ("0.png", "deep/4.png"):
        masks = [np.asarray(Image.open(work / folder / "masks/cat" / photo)) for folder in ("found", "again")]
        assert masks[0].shape == (96, 128)
        assert np.array_equal(masks[0], masks[1])
    status, _, error = as_typed("segment", "photos", "--method", "persam", *concept, "--out", "other")
    assert status == 2
    assert "was learned by another model, seggpt, which trains nothing" in error


def test_what_another_method_saved_is_told_apart(work: Path, as_typed: Prosam, given: tuple[str | Path, ...]):
    assert as_typed("learn", "cat.safetensors", *given, *CAT)[0] == 0
    status, out, _ = as_typed("info", "cat.safetensors")
    assert status == 0
    assert "seggpt, which trains nothing" in out
    torch.save({"model": authors_weights(tokens=False)}, work / "painter.pth")
    painter = ("--method", "painter", "--backbone", "painter.pth", "--sam", SAM_WEIGHTS, "--device", "cpu")
    status, _, error = as_typed("segment", "photos", *painter, "--concept", "cat.safetensors", "--out", "found")
    assert status == 2
    assert error.startswith("error: the concept 'cat' was learned by another model, seggpt")


def test_the_network_is_named_without_fetching_it(as_typed: Prosam):
    status, out, _ = as_typed("info", "--method", "painter", "--json")
    assert status == 0
    facts = json.loads(out)
    assert facts["network"] == "https://huggingface.co/BAAI/Painter/resolve/main/painter_vit_large.pth"
    assert "checkpoint" not in facts["parameters"]


def test_compare_takes_seggpt_from_the_cache(work: Path, as_typed: Prosam):
    (work / "cache/weights").mkdir(parents=True)
    torch.save({"model": authors_weights(tokens=True)}, work / "seggpt.pth")
    from prosam.checkpoints.generalists import load_generalist
    from prosam.checkpoints.weights import write_state

    network = load_generalist("seggpt", work / "seggpt.pth").network
    write_state(network.state_dict(), work / "cache/weights/seggpt-vit-large.safetensors")
    two = ("--methods", "seggpt,persam", "--sam", SAM_WEIGHTS, "--device", "cpu")
    status, out, error = as_typed("compare", "photos/0.png", *CAT, *two, "--out", "page.html")
    assert status == 0, error
    assert out.startswith("seggpt: found in ")
