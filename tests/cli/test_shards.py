"""`prosam shards`: the same results as `prosam segment`, and one line about what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Prosam, files_below

CUT = ("shards", "cut", "photos", "--concept", "cat.safetensors", "--model", "bundled:shapes", "--each", "2")


@pytest.fixture
def learned(work: Path, prosam: Prosam) -> Path:
    assert prosam("learn", "cat.safetensors", "--reference", "cat.jpg", "--mask", "cat.png")[0] == 0
    return work


def test_shards_have_the_results_of_segment(learned: Path, as_typed: Prosam, prosam: Prosam):
    (learned / "photos/bad.png").write_bytes(b"no picture")
    status, out, _ = as_typed(*CUT, "--out", "found")
    assert (status, out) == (0, "found: 6 images in 3 shards, of which 3 are to be done\n")
    first = next((learned / "found/lists").glob("000000-*")).stem
    assert as_typed("shards", "segment", "found", first)[0] == 0
    assert len(list((learned / "found/shards").iterdir())) == 1
    status, out, error = as_typed("shards", "segment", "found")
    assert status == 0
    assert "found: 1 of 3 shards are done" in out
    assert "1 images could not be read" in error
    assert as_typed("shards", "join", "found", "--write", "coco", "--write", "labels")[0] == 0

    words = ("--concept", "cat.safetensors", "--write", "coco", "--write", "labels", "--out", "plain")
    assert prosam("segment", "photos", *words)[0] == 1  # because of bad.png
    plain, shards = files_below(learned / "plain"), files_below(learned / "found")
    assert shards["coco.json"] == plain["coco.json"]
    labels = {name.replace(".png.png", ".png"): shards[name] for name in shards if name.startswith("labels/")}
    assert labels == {name: content for name, content in plain.items() if name.startswith("labels/")}
    assert len(labels) == 5


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("shards", "segment", "nowhere"), "nowhere/plan.json: not found; make the shards with `prosam shards cut`"),
        (("shards", "join", "nowhere", "--write", "voc"), "--write voc: unknown form 'voc'; choose from coco, labels"),
        ((*CUT[:3], "--concept", "none.safetensors", "--out", "x"), "none.safetensors: no such file"),
        ((*CUT[:2], "cat.jpg", *CUT[3:], "--out", "x"), "cat.jpg: is a file; name a folder, or a list of paths"),
        ((*CUT, "--out", "nothing://x"), "nothing://x: cannot be opened: Protocol not known"),
    ],
)
def test_what_is_wrong_is_one_line(words: tuple[str, ...], line: str, learned: Path, as_typed: Prosam):
    status, _, error = as_typed(*words)
    assert status == 2
    assert line in error
    assert error.count("\n") == 1


def test_a_concept_of_another_model_is_refused_before_anything_is_cut(learned: Path, as_typed: Prosam):
    status, _, error = as_typed(*CUT[:-4], "--out", "found")
    assert status == 2
    assert "was learned by another model" in error
    assert not (learned / "found").exists()
