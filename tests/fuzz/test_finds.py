"""Inputs that were found by fuzzing or by reading, made small: each is refused in one line."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from prosam.checkpoints.exported import read_exported_description
from prosam.checkpoints.frozen_search import find_frozen
from prosam.checkpoints.model_source import open_model
from prosam.checkpoints.trained import read_description
from prosam.data.sources.coco_json import read_instances
from prosam.data.sources.coco_masks import BadOutlinesError, class_masks
from prosam.errors import InputError
from prosam.fetching.part import PartialFile
from prosam.fetching.remote_file import RemoteFile
from prosam.params import load_params
from prosam.predictor.concept import Concept
from prosam.seals import line_content

DEEP = "[" * 20_000


def tensors(key: str, text: str) -> bytes:
    header = json.dumps({"__metadata__": {key: text}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    ("read", "name", "content"),
    [
        (Concept.load, "c.safetensors", tensors("prosam_concept", DEEP)),
        (read_exported_description, "m.safetensors", tensors("prosam_model", DEEP)),
        (load_params, "params.yaml", DEEP.encode()),
        (load_params, "params.yaml", b"pipeline: {datasets: 0x}"),
    ],
)
def test_what_is_nested_too_deeply_is_refused(tmp_path: Path, read: Any, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_description_and_a_line_that_are_nested_too_deeply_are_refused(tmp_path: Path):
    (tmp_path / "model.json").write_text(DEEP)
    with pytest.raises(InputError, match=r"model\.json: is damaged"):
        read_description(tmp_path)
    with pytest.raises(ValueError, match="too deeply"):
        line_content(DEEP)


@pytest.mark.parametrize(
    "changes", [{"sha256": [1]}, {"sha256": "0"}, {"checkpoint": None}, {"checkpoint": "../../a"}, {"model": 5}]
)
def test_a_model_that_names_odd_weights_is_refused(tmp_path: Path, changes: dict[str, Any]):
    sam = {"model": "vit_b", "checkpoint": "sam.pth", "sha256": "0" * 64}
    description = {"format": 1, "run": {}, "sam": sam | changes, "backbone_weights": sam}
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="its description's 'sam' is damaged"):
        find_frozen(open_model(tmp_path))


@pytest.mark.parametrize("memory", [b"[]", b'{"url": 5, "etag": 7, "last_modified": []}', b"\xff"])
def test_a_damaged_memory_of_a_transfer_is_forgotten(tmp_path: Path, memory: bytes):
    (tmp_path / ".a.bin.part").write_bytes(b"half")
    (tmp_path / ".a.bin.part.json").write_bytes(memory)
    with PartialFile(RemoteFile("a.bin", ("http://localhost/a.bin",)), tmp_path) as part:
        assert part.request_headers("http://localhost/a.bin") == {}
        assert not part.has_changed("http://localhost/a.bin", {"ETag": "x"})


@pytest.mark.parametrize(
    ("height", "width", "segmentation", "told"),
    [
        (24, 1 << 31, [[2, 2, 20, 2, 20, 20]], "larger than any image"),
        (24, 1 << 31, {"size": [24, 1 << 31], "counts": [24 << 31]}, "larger than any image"),
        (1, 178_000_000, [[0, 0, 178_000_000, 1, 0, 1]], "px long"),  # 356 million px, of which 5 points each are kept
        (4000, 3000, [[0, 0, 3000, 4000] * 1000], "px long"),
        (24, 24, [[[1, 1], [9, 1], [9, 9]], [1, 1, 3, 1, 3, 3]], "neither a list of polygons nor"),
        (24, 24, [[[1, 1], 9, [9, 9]]], "neither a list of polygons nor"),
    ],
)
def test_outlines_that_pycocotools_cannot_compute_with_are_refused(
    tmp_path: Path, height: int, width: int, segmentation: Any, told: str
):
    annotation = {"id": 5, "image_id": 1, "category_id": 1, "area": 9, "segmentation": segmentation, "iscrowd": 0}
    images = [{"id": 1, "file_name": "1.png", "height": height, "width": width}]
    content = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": [annotation]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    (image,) = read_instances(tmp_path / "coco.json").images
    with pytest.raises(BadOutlinesError, match=rf"annotation 5: .*{told}"):
        class_masks(image, "exact", "class")
