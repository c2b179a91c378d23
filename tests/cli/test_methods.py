"""The commands with methods that train nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.cli.main import app
from prosam.errors import InputError
from tests.scenes import pair

METHOD = ["--method", "persam", "--sam", str(SAM_WEIGHTS), "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    reference, target, class_id = pair()
    (tmp_path / "photos").mkdir()
    Image.fromarray(reference.image).save(tmp_path / "cat.png")
    Image.fromarray(reference.mask(class_id)).save(tmp_path / "mask.png")
    Image.fromarray(target.image).resize((100, 70)).save(tmp_path / "photos/one.png")
    return tmp_path


def run(*arguments: object) -> str:
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_a_folder_is_segmented_by_a_method_and_by_its_saved_concept(photos: Path):
    given = ["--reference", photos / "cat.png", "--mask", photos / "mask.png"]
    printed = run("segment", photos / "photos", *METHOD, *given, "--out", photos / "found", "--refine")
    assert "persam, which trains nothing, with SAM tiny" in printed
    assert np.asarray(Image.open(photos / "found/masks/cat/one.png")).shape == (70, 100)
    header, line = (json.loads(text) for text in (photos / "found/results.jsonl").read_text().splitlines())
    assert header["model"].startswith("persam, which trains nothing")
    assert 0 <= line["found"][0]["presence"] <= 1
    run("learn", photos / "cat.safetensors", *METHOD, *given)
    run("segment", photos / "photos", *METHOD, "--concept", photos / "cat.safetensors", "--out", photos / "again")
    plain = ["segment", photos / "photos", *METHOD, *given, "--out", photos / "plain"]
    run(*plain)
    names = ("again/masks/cat/one.png", "plain/masks/cat/one.png")
    assert len({(photos / name).read_bytes() for name in names}) == 1
    assert "persam, which trains nothing" in run("info", photos / "cat.safetensors")


def test_a_method_is_described(photos: Path):
    facts = json.loads(run("info", "--method", "gf-sam", "--json"))
    assert facts["what"] == "a method that trains nothing"
    assert facts["SAM"].startswith("lite (sam-lite.safetensors")
    assert facts["backbone"].startswith("efficientnet-lite0 (")
    assert facts["parameters"]["most_points"] == 128
    assert facts["trainable parameters"] == 0
    assert json.loads(run("info", "--method", "persam", "--json"))["backbone"] == "none"


def test_a_size_is_described_without_fetching_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    facts = json.loads(run("info", "--method", "gf-sam", "--size", "large", "--json"))
    assert facts["SAM"].startswith("vit_h (sam_vit_h_4b8939.pth, SHA-256 a7bf3b02")
    assert facts["backbone"].startswith("dinov2-vitl14 (dinov2_vitl14_pretrain.pth, SHA-256 ")
    assert (facts["size"], "3.8 GB" in facts["to fetch"]) == ("large", True)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["segment", "photos", "--out", "found", "--reference", "cat.png", "--mask", "mask.png"],
        ["learn", "cat.safetensors", "--reference", "cat.png", "--mask", "mask.png"],
        ["info"],
    ],
    ids=lambda words: words[0],
)
def test_a_size_without_a_method_is_refused(photos: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]):
    monkeypatch.chdir(photos)
    with pytest.raises(InputError, match=r"size '?small'?: .*method that trains nothing"):
        CliRunner().invoke(app, [*words, "--size", "small"], catch_exceptions=False)
