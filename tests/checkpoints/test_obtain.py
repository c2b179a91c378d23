"""Where the checkpoint of a frozen model comes from, and the stages that put its weights in place."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from prosam import layout
from prosam.checkpoints import published as published_sam
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.frozen_weights import read_origin, weights_file
from prosam.checkpoints.obtain import obtain_checkpoint
from prosam.errors import InputError
from prosam.params import SamParams
from tasks.backbone import backbone
from tasks.sam import sam
from tests.conftest import bundled_params, write_params
from tests.fetching.conftest import Server, described, server  # noqa: F401 - a fixture


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def obtained(settings: dict[str, Any], folder: Path, **others: Any) -> Path:
    """The checkpoint of a SAM named so."""
    chosen = {"bundled": None, "published": None} | others
    parsed = SamParams.model_validate({"name": "vit_b"} | settings)
    return obtain_checkpoint(parsed, what="models.sam", folder=folder, **chosen)


def test_ones_own_file_comes_before_the_bundled_one_and_that_before_the_published(
    server: Server,  # noqa: F811
    tmp_path: Path,
):
    (tmp_path / "own.pth").write_bytes(b"own")
    published = described("sam.pth", b"published", server.offer("/sam.pth", b"published"))
    both = {"bundled": SAM_WEIGHTS, "published": published}
    assert obtained({"checkpoint": str(tmp_path / "own.pth")}, tmp_path, **both) == tmp_path / "own.pth"
    assert obtained({}, tmp_path, **both) == SAM_WEIGHTS
    assert server.requests == []
    fetched = obtained({}, tmp_path / "fetched", published=published)
    assert fetched == tmp_path / "fetched" / "sam.pth"
    assert fetched.read_bytes() == b"published"


def test_a_url_is_fetched_and_held_to_its_digest(server: Server, tmp_path: Path):  # noqa: F811
    digest = hashlib.sha256(b"weights").hexdigest()
    url = server.offer("/models/ours.pth", b"weights")
    assert obtained({"checkpoint": url, "sha256": digest}, tmp_path).read_bytes() == b"weights"
    assert obtained({"checkpoint": url, "sha256": digest}, tmp_path).name == "ours.pth"
    assert len(server.requests) == 1
    with pytest.raises(InputError, match=r"other\.pth"):
        obtained({"checkpoint": server.offer("/other.pth", b"forged"), "sha256": digest}, tmp_path)


def test_another_file_than_its_digest_says_is_refused(tmp_path: Path):
    path = tmp_path / "own.pth"
    path.write_bytes(b"own")
    digest = hashlib.sha256(b"own").hexdigest()
    assert obtained({"checkpoint": str(path), "sha256": digest[:8]}, tmp_path) == path
    path.write_bytes(b"changed")
    with pytest.raises(InputError, match=rf"own\.pth: its SHA-256 is .*models\.sam\.sha256 says {digest}"):
        obtained({"checkpoint": str(path), "sha256": digest}, tmp_path)


def test_no_file_at_all_is_one_line_that_names_the_key(tmp_path: Path):
    with pytest.raises(InputError, match=r"models\.sam\.checkpoint: is missing"):
        obtained({}, tmp_path)
    with pytest.raises(InputError, match=r"gone\.pth: no such file; params\.yaml names it as models\.sam\.checkpoint"):
        obtained({"checkpoint": "gone.pth"}, tmp_path)


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The bundled parameters; the current folder is an empty one."""
    monkeypatch.chdir(tmp_path)
    return bundled_params()


def test_the_bundled_models_weights_are_those_that_are_bundled(params: dict[str, Any], tmp_path: Path):
    params["runs"]["vrp-sam"]["backbone"] = "tiny-vgg"
    write_params(tmp_path, params)
    sam()
    backbone("prosam")
    backbone("vrp-sam")
    for folder, bundled, model in (
        (layout.sam_weights(), SAM_WEIGHTS, "tiny"),
        (layout.backbone_weights("prosam"), BACKBONE_WEIGHTS["tiny-resnet"], "tiny-resnet"),
        (layout.backbone_weights("vrp-sam"), BACKBONE_WEIGHTS["tiny-vgg"], "tiny-vgg"),
    ):
        origin = read_origin(folder, stage="")
        assert (origin.model, origin.checkpoint, origin.sha256) == (model, bundled.name, sha256(bundled))
        written, expected = load_file(weights_file(folder)), load_file(bundled)
        assert written.keys() == expected.keys()
        assert all(torch.equal(written[name], expected[name]) for name in expected)


def test_a_run_without_a_change_of_its_backbone_keeps_its_bytes(params: dict[str, Any], tmp_path: Path):
    write_params(tmp_path, params)
    backbone("prosam")
    before = {path.name: sha256(path) for path in layout.backbone_weights("prosam").iterdir()}
    params["models"]["backbones"]["another"] = {"architecture": "resnet50"}
    write_params(tmp_path, params)
    backbone("prosam")
    assert {path.name: sha256(path) for path in layout.backbone_weights("prosam").iterdir()} == before


def test_a_checkpoint_of_another_sam_is_refused_and_nothing_is_left(params: dict[str, Any], tmp_path: Path):
    params["models"]["sam"] = {"name": "vit_b", "checkpoint": str(SAM_WEIGHTS)}
    write_params(tmp_path, params)
    with pytest.raises(InputError, match=r"sam-tiny\.safetensors: is not a checkpoint of SAM 'vit_b'"):
        sam()
    assert not layout.sam_weights().exists()


def test_one_bundled_backbone_is_refused_as_the_other_and_nothing_is_left(params: dict[str, Any], tmp_path: Path):
    params["models"]["backbones"]["tiny-vgg"]["checkpoint"] = str(BACKBONE_WEIGHTS["tiny-resnet"])
    params["runs"]["prosam"]["backbone"] = "tiny-vgg"
    write_params(tmp_path, params)
    with pytest.raises(InputError, match=r"tiny-resnet\.safetensors: is not a checkpoint of backbone 'tiny-vgg': it"):
        backbone("prosam")
    assert not layout.backbone_weights("prosam").exists()


def test_a_published_sam_is_fetched_by_its_name_alone(
    params: dict[str, Any],
    server: Server,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    content = b"no checkpoint, but the file that is asked for"
    url = server.offer("/sam_vit_b.pth", content)
    monkeypatch.setitem(published_sam.PUBLISHED_SAM, "vit_b", described("sam_vit_b.pth", content, url))
    params["models"]["sam"] = {"name": "vit_b"}
    write_params(tmp_path, params)
    with pytest.raises(InputError, match=r"sam_vit_b\.pth: cannot be read as weights"):
        sam()
    assert (layout.sources("weights") / "sam_vit_b.pth").read_bytes() == content


def test_weights_of_another_sam_than_params_names_are_not_read(params: dict[str, Any], tmp_path: Path):
    write_params(tmp_path, params)
    sam()
    assert read_origin(layout.sam_weights(), stage="sam", model="tiny").model == "tiny"
    with pytest.raises(InputError, match=r"weights/sam: holds tiny, but params\.yaml names vit_b; run `dvc"):
        read_origin(layout.sam_weights(), stage="sam", model="vit_b")


def test_damaged_provenance_is_one_line_that_names_the_remedy(params: dict[str, Any], tmp_path: Path):
    write_params(tmp_path, params)
    with pytest.raises(InputError, match=r"weights\.json: not found; run `dvc repro sam`"):
        read_origin(layout.sam_weights(), stage="sam")
    sam()
    (layout.sam_weights() / "weights.json").write_text(json.dumps({"model": "tiny"}))
    with pytest.raises(InputError, match=r"weights\.json: is damaged: .*; run `dvc repro --force sam`"):
        read_origin(layout.sam_weights(), stage="sam")
