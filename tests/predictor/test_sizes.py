"""`size` picks a pair of published models for a method that trains nothing: fetched once, verified, and told before."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from prosam import Predictor
from prosam.checkpoints import sizes
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.published import PUBLISHED_BACKBONES, PUBLISHED_SAM
from prosam.checkpoints.sizes import LEAST_GPU_BYTES, SIZES, checkpoints_of, size_for, to_fetch
from prosam.checkpoints.weights import load_state
from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from tests.fetching.conftest import Server, server  # noqa: F401 - a fixture


@dataclass(frozen=True)
class Offered:
    """Small models that stand for those of the size small.

    Attributes:
        contents: of the files that a server offers, by name.
    """

    contents: dict[str, bytes]


@pytest.fixture
def offered(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Offered:  # noqa: F811
    """The size small consists of the bundled models for shapes, published on a server of this test."""
    monkeypatch.chdir(tmp_path)
    contents = {
        "mobile.pth": as_torch_file(load_state(SAM_WEIGHTS)),
        "dino.pth": as_torch_file(load_state(BACKBONE_WEIGHTS["tiny-resnet"])),
    }
    files = {
        name: RemoteFile(
            name,
            (server.offer(f"/{name}", content),),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        for name, content in contents.items()
    }
    monkeypatch.setitem(SIZES, "small", ("tiny", "tiny-resnet"))
    monkeypatch.setitem(PUBLISHED_SAM, "tiny", files["mobile.pth"])
    monkeypatch.setitem(PUBLISHED_BACKBONES, "tiny-resnet", files["dino.pth"])
    return Offered(contents)


def as_torch_file(state: dict[str, Tensor]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def test_the_pairs_are_mobilesam_with_dinov2_s_and_vit_h_with_dinov2_l():
    architectures = {size: [one.architecture for one in checkpoints_of(size, backbone=True)] for size in SIZES}
    assert architectures == {"small": ["vit_t", "dinov2-vits14"], "large": ["vit_h", "dinov2-vitl14"]}
    assert [one.architecture for one in checkpoints_of("small", backbone=False)] == ["vit_t"]
    assert all(len(one.origin.sha256) == 64 for size in SIZES for one in checkpoints_of(size, backbone=True))


@pytest.mark.parametrize(
    ("device", "memory", "expected"),
    [("cpu", 0, "small"), ("cuda", LEAST_GPU_BYTES - 1, "small"), ("cuda", LEAST_GPU_BYTES, "large")],
)
def test_auto_is_large_on_a_gpu_with_enough_memory(
    device: str, memory: int, expected: str, monkeypatch: pytest.MonkeyPatch
):
    properties = SimpleNamespace(total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert size_for("auto", torch.device(device)) == expected
    assert size_for("large", torch.device(device)) == "large"


def test_bytes_and_an_estimate_of_the_time_are_told_before_the_first_fetch(tmp_path: Path):
    """40,728,226 and 88,283,115 bytes at 12.5 MB a second; 2,564,550,879 and 1,217,586,395 bytes likewise."""
    told = to_fetch(checkpoints_of("small", backbone=True))
    assert told == "mobile_sam.pt and dinov2_vits14_pretrain.pth, 129.0 MB, about 10 s at 100 Mbit/s"
    assert to_fetch(checkpoints_of("small", backbone=False)) == "mobile_sam.pt, 40.7 MB, about 3 s at 100 Mbit/s"
    told = to_fetch(checkpoints_of("large", backbone=True))
    assert told == "sam_vit_h_4b8939.pth and dinov2_vitl14_pretrain.pth, 3.8 GB, about 5 min at 100 Mbit/s"


def test_a_size_is_fetched_once_into_the_cache_and_used(
    offered: Offered,
    server: Server,  # noqa: F811
    cache: Path,
    capsys: pytest.CaptureFixture[str],
):
    predictor = Predictor.load(method="gf-sam", size="small", device="cpu")
    (line,) = capsys.readouterr().out.splitlines()
    total = sum(map(len, offered.contents.values())) / 1e6
    assert line.startswith(f"size small: fetching mobile.pth and dino.pth, {total:.1f} MB, about ")
    assert line.endswith(f", into {cache / 'weights'}")
    assert "gf-sam, which trains nothing, with SAM tiny and tiny-resnet" in str(predictor.model)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in offered.contents.items()}
    assert predictor.model.description["sam"]["sha256"] == digests["mobile.pth"]
    assert predictor.model.description["backbone_weights"]["sha256"] == digests["dino.pth"]
    requests = len(server.requests)
    again = Predictor.load(method="gf-sam", size="auto", device="cpu")
    assert (len(server.requests), capsys.readouterr().out) == (requests, "")
    assert again.model.digest == predictor.model.digest
    given = Predictor.load(
        method="gf-sam", device="cpu", sam=cache / "weights/mobile.pth", backbone=cache / "weights/dino.pth"
    )
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    mask = np.zeros((60, 90), bool)
    mask[10:40, 20:60] = True
    masks = [one.segment(image, one.learn([(image, mask)])).mask for one in (predictor, given)]
    assert given.model.digest == predictor.model.digest
    assert np.array_equal(masks[0], masks[1])


def test_a_method_without_a_backbone_fetches_sam_alone(offered: Offered, cache: Path):
    assert Predictor.load(method="persam", size="small", device="cpu").model.description["backbone_weights"] is None
    assert sorted(path.name for path in (cache / "weights").glob("*.pth")) == ["mobile.pth"]


def test_files_that_the_pipeline_fetched_are_used(
    offered: Offered,
    server: Server,  # noqa: F811
    tmp_path: Path,
):
    folder = tmp_path / "data/sources/weights"
    folder.mkdir(parents=True)
    for name, content in offered.contents.items():
        (folder / name).write_bytes(content)
    Predictor.load(method="gf-sam", size="small", device="cpu")
    assert server.requests == []


def test_a_forged_file_is_not_used(offered: Offered, server: Server, cache: Path):  # noqa: F811
    (cache / "weights").mkdir(parents=True)
    (cache / "weights/mobile.pth").write_bytes(b"forged")
    Predictor.load(method="persam", size="small", device="cpu")
    assert (cache / "weights/mobile.pth").read_bytes() == offered.contents["mobile.pth"]


def test_offline_one_line_says_what_to_fetch_and_where_to_put_it(
    offered: Offered, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    urls = ["http://127.0.0.1:9/mobile.pth", "http://127.0.0.1:9/dino.pth"]  # the port of "discard", where none listens
    monkeypatch.setitem(PUBLISHED_SAM, "tiny", RemoteFile("mobile.pth", (urls[0],), size=5, sha256="a" * 64))
    monkeypatch.setitem(PUBLISHED_BACKBONES, "tiny-resnet", RemoteFile("dino.pth", (urls[1],), size=5, sha256="b" * 64))
    monkeypatch.setattr(sizes, "_ATTEMPTS", 1)
    with pytest.raises(InputError) as caught:
        Predictor.load(method="gf-sam", size="small", device="cpu")
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("size 'small': mobile.pth: could not be fetched from http://127.0.0.1:9/mobile.pth (")
    assert f"fetch {urls[0]} and {urls[1]} elsewhere, put what you fetched into {cache}/weights, and" in line


def test_what_a_size_does_not_go_with_is_one_line(cache: Path):
    wrong = [
        ({"size": "small"}, "size 'small': chooses SAM and backbone for a method that trains nothing, but a trained"),
        ({"size": "small", "method": "gf-sam", "sam": SAM_WEIGHTS}, "is given together with size 'small'"),
        ({"size": "large", "method": "gf-sam", "backbone": SAM_WEIGHTS}, "is given together with size 'large'"),
        ({"size": "smal", "method": "gf-sam"}, "size 'smal': "),
    ]
    for options, message in wrong:
        with pytest.raises(InputError) as caught:
            Predictor.load(device="cpu", **options)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not cache.exists()
