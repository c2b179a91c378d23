"""What a user can get wrong, and what disks do to files: one line that says so, and nothing spoilt."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from prosam import layout
from prosam.data.formats.voc import VocDataset
from prosam.seals import SUMS, seal
from tests.pipeline.clone import DATASET, Clone, Done

pytestmark = pytest.mark.slow

WRONG_PARAMS = {
    "an unknown key": ({"train.learning_rate": 0.1}, ["train.learning_rate", "unknown key", "steps", "lr"]),
    "a wrong type": ({"train.lr": "fast"}, ["train.lr", "number", "'fast'"]),
    "an impossible value": ({"train.batch_size": 0}, ["train.batch_size", "greater than or equal to 1", "0"]),
    "an unknown run": ({"pipeline.runs": ["prosam", "vrp-samm"]}, ["pipeline.runs", "vrp-samm", "prosam, vrp-sam"]),
    "a key that no stage declares": ({"thread": 2}, ["thread", "unknown key", "did you mean 'threads'"]),
}


@pytest.fixture(scope="module")
def spoilt(quick: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose params.yaml is to be made wrong, and mended again."""
    return quick.copy(tmp_path_factory.mktemp("spoilt") / "clone")


def the_error(done: Done) -> str:
    """The one line with which a stage ended."""
    assert done.code != 0
    assert "Traceback" not in done.output
    (line,) = (line for line in done.output.splitlines() if line.startswith("error: "))
    return line


@pytest.mark.parametrize("name", WRONG_PARAMS)
def test_the_flow_refuses_a_wrong_params_file_before_any_work(spoilt: Clone, name: str):
    changes, words = WRONG_PARAMS[name]
    right, before = (spoilt.root / "params.yaml").read_bytes(), spoilt.outputs()
    spoilt.change(changes)
    done = spoilt.local(check=False)
    (spoilt.root / "params.yaml").write_bytes(right)
    assert all(word in the_error(done) for word in ["params.yaml", *words])
    assert done.output.count("\n") == 1
    assert spoilt.outputs() == before


@pytest.mark.parametrize("name", ["an unknown key", "a wrong type"])
def test_dvc_repro_stops_at_the_stage_that_a_wrong_parameter_belongs_to(spoilt: Clone, name: str):
    changes, words = WRONG_PARAMS[name]
    right, before = (spoilt.root / "params.yaml").read_bytes(), spoilt.outputs()
    spoilt.change(changes)
    done = spoilt.dvc("repro", check=False)
    assert all(word in the_error(done) for word in ["params.yaml", *words])
    (refusing,) = done.executed
    assert refusing.startswith("train@")
    lost = before.keys() - spoilt.outputs().keys()
    assert all(path.startswith("models/") for path in lost)  # DVC deletes a stage's outputs before it runs it

    (spoilt.root / "params.yaml").write_bytes(right)
    assert spoilt.dvc("repro").executed == set()
    assert spoilt.outputs() == before


def test_an_unknown_run_stops_dvc_repro_before_it_runs_anything(spoilt: Clone):
    right, before = (spoilt.root / "params.yaml").read_bytes(), spoilt.outputs()
    spoilt.change({"pipeline.runs": ["vrp-samm"]})
    done = spoilt.dvc("repro", check=False)
    (spoilt.root / "params.yaml").write_bytes(right)
    assert done.code != 0
    assert "'runs.vrp-samm.kind' are missing from 'params.yaml'" in done.output
    assert "Traceback" not in done.output
    assert done.executed == set()
    assert spoilt.outputs() == before


def test_a_truncated_image_is_named_and_leaves_no_embeddings(clone: Clone):
    image = VocDataset(clone.root / layout.raw(DATASET)).image_ids("train")[40]
    path = layout.raw(DATASET) / "JPEGImages" / f"{image}.jpg"
    truncate(clone.root / path)
    done = clone.dvc("repro", "--single-item", f"embeddings@{DATASET}", check=False)
    assert str(path) in the_error(done)
    assert not (clone.root / layout.embeddings(DATASET)).exists()
    assert partial_files(clone) == []


def test_a_mask_of_another_size_is_named_and_leaves_no_folds(clone: Clone):
    shutil.rmtree(clone.root / layout.folds(DATASET))
    path = next((clone.root / layout.raw(DATASET) / "SegmentationClass").iterdir())
    with Image.open(path) as mask:
        narrow = mask.crop((0, 0, 100, 128))
    narrow.save(path)
    reseal(clone.root / layout.raw(DATASET))
    line = the_error(clone.stage("folds", DATASET, check=False))
    assert f"{path.relative_to(clone.root)}: is 100x128 px, but its image is 128x128 px" in line
    assert not (clone.root / layout.folds(DATASET)).exists()
    assert partial_files(clone) == []


def test_an_empty_mask_is_named_and_leaves_no_folds(clone: Clone):
    shutil.rmtree(clone.root / layout.folds(DATASET))
    path = next((clone.root / layout.raw(DATASET) / "SegmentationClass").iterdir())
    Image.new("L", (128, 128)).save(path)
    reseal(clone.root / layout.raw(DATASET))
    assert f"{path.relative_to(clone.root)}: is empty" in the_error(clone.stage("folds", DATASET, check=False))
    assert not (clone.root / layout.folds(DATASET)).exists()


def test_a_truncated_shard_is_named_and_leaves_no_model(clone: Clone):
    shutil.rmtree(clone.root / "models")
    shard = layout.embeddings(DATASET) / "shard-00002.safetensors"
    truncate(clone.root / shard)
    assert str(shard) in the_error(clone.stage("train", DATASET, "prosam", "0", check=False))
    assert not [path for path in (clone.root / "models").rglob("*") if path.is_file()]
    assert partial_files(clone) == []


def test_a_truncated_shard_is_mended_as_the_message_says(clone: Clone):
    shard = layout.embeddings(DATASET) / "shard-00002.safetensors"
    whole = (clone.root / shard).read_bytes()
    truncate(clone.root / shard)
    clone.dvc("repro", "--force", "--single-item", f"embeddings@{DATASET}")
    assert (clone.root / shard).read_bytes() == whole


def test_embeddings_of_another_checkpoint_of_the_same_name_are_refused(clone: Clone):
    path = clone.root / layout.sam_weights() / "weights.json"
    origin = json.loads(path.read_text())
    path.unlink()  # its content may be shared with DVC's cache
    path.write_text(json.dumps(origin | {"sha256": "0" * 64}))
    reseal(path.parent)
    line = the_error(clone.stage("evaluate", DATASET, "prosam", "0", check=False))
    assert f"SHA-256 {origin['sha256'][:16]}..." in line
    assert f"SHA-256 {'0' * 16}..." in line
    assert f"run `dvc repro --glob 'embeddings*@{DATASET}'`" in line


def reseal(folder: Path) -> None:
    """Let what was changed count as what a stage wrote."""
    (folder / SUMS).unlink()  # its content may be shared with DVC's cache
    seal(folder)


def truncate(path: Path) -> None:
    """Cut a file in half; a new file, for the old one may share its content with DVC's cache."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def partial_files(clone: Clone) -> list[str]:
    """What is half-written, if anything."""
    found = (Path(folder) / name for folder, folders, files in os.walk(clone.root) for name in (*folders, *files))
    return [str(path) for path in found if path.name.endswith(".partial")]
