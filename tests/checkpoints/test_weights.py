"""Weight files: reading and writing, and what is wrong with one in one line."""

from __future__ import annotations

import errno
import gzip
import pickle
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from prosam.checkpoints import weights
from prosam.checkpoints.weights import read_weights, shapes_only, write_weights
from prosam.errors import InputError
from prosam.models.backbones import BACKBONE_BUILDERS
from prosam.models.sam import SAM_BUILDERS


def a_module(seed: int = 0, width: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_weights_read_as_they_were_written(tmp_path: Path):
    path, written, read = tmp_path / "a.safetensors", a_module(), a_module(1)
    write_weights(written, path)
    read_weights(read, path, what="a net")
    assert all(torch.equal(v, read.state_dict()[k]) for k, v in written.state_dict().items())


def test_a_torch_file_reads_too(tmp_path: Path):
    path, written, read = tmp_path / "a.pth", a_module(), a_module(1)
    torch.save(written.state_dict(), path)
    read_weights(read, path, what="a net")
    assert all(torch.equal(v, read.state_dict()[k]) for k, v in written.state_dict().items())


def test_the_same_weights_give_the_same_bytes(tmp_path: Path):
    one, two = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    write_weights(a_module(), one, {"made": "here"})
    write_weights(a_module(), two, {"made": "here"})
    assert one.read_bytes() == two.read_bytes()


def test_a_torch_file_cannot_run_code(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil\.pth: cannot be read as weights"):
        read_weights(a_module(), tmp_path / "evil.pth", what="a net")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "lacks '0.bias' and 6 more"),
        (a_module().state_dict() | {"2.weight": torch.zeros(1)}, "has unknown '2.weight'"),
        (a_module(width=4).state_dict(), "has another shape for '0.bias'"),
        ([torch.zeros(1)], "does not hold a plain state dict"),
        ({"model": a_module().state_dict()}, "does not hold a plain state dict"),
    ],
)
def test_a_checkpoint_of_something_else_is_one_line_that_names_the_file(content, message: str, tmp_path: Path):
    path, module = tmp_path / "other.pth", a_module()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    torch.save(content, path)
    with pytest.raises(InputError) as caught:
        read_weights(module, path, what="a net")
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(v, module.state_dict()[k]) for k, v in before.items())


def torch_file() -> bytes:
    buffer = BytesIO()
    torch.save(a_module().state_dict(), buffer)
    return buffer.getvalue()


CONTENT = {
    "a.pth HTML": (b"<html>404</html>", ": it is an HTML page, so the download failed; fetch it again"),
    "a.safetensors HTML": (b"<!doctype html>", ": it is an HTML page, so the download failed; fetch it again"),
    "a.pth LFS": (b"version https://git-lfs.github.com/spec/v1\n", ": it is a Git LFS pointer; run `git lfs pull`"),
    "a.safetensors LFS": (b"version https://git-lfs.github.com/spec/v1\n", ": it is a Git LFS pointer; run `git lfs"),
    "a.pth empty": (b"", ": it is empty"),
    "a.pth JSON": (b'{"error": "no such model"}', ": it is JSON text, perhaps a server's error message"),
    "a.pth gzip": (gzip.compress(b"weights"), ": it is gzip-compressed; unpack it first"),
    "a.pth pickle": (pickle.dumps(Path("a")), " (it holds pickled objects, not only tensors)"),
    "a.pth JPEG": (b"\xff\xd8\xff\xe0", ": it is a JPEG image; replace it with an intact copy"),
    "a.pth noise": (bytes([7, 251, 3, 200] * 99), ": it is damaged, or of another format"),
    "a.safetensors torch": (torch_file(), ": it is a torch file; rename it to .pth"),
    "a.pth safetensors": (safetensors.torch.save({"a": torch.zeros(1)}), ": it is a safetensors file; rename it to"),
}


@pytest.mark.parametrize("case", CONTENT)
def test_a_file_that_is_no_weights_is_called_what_it_is(case: str, tmp_path: Path):
    content, told = CONTENT[case]
    path = tmp_path / case.split()[0]
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_weights(a_module(), path, what="a net")
    assert str(caught.value).startswith(f"{path}: cannot be read as weights{told}")
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_an_error_of_the_system_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_weights(a_module(), tmp_path / "a.safetensors")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a.safetensors"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("build", [SAM_BUILDERS["tiny"], *(BACKBONE_BUILDERS[f"tiny-{n}"] for n in ("resnet", "vgg"))])
def test_built_for_its_shapes_a_model_has_those_of_the_whole_one_and_draws_nothing(build: Callable[[], nn.Module]):
    before = torch.get_rng_state()
    with shapes_only():
        hollow = build()
    assert torch.equal(torch.get_rng_state(), before)
    assert {parameter.device.type for parameter in hollow.parameters()} == {"meta"}
    with torch.random.fork_rng():
        whole = build()
    assert [(name, value.shape, value.dtype) for name, value in hollow.state_dict().items()] == [
        (name, value.shape, value.dtype) for name, value in whole.state_dict().items()
    ]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_one_line_that_names_it(suffix: str, tmp_path: Path):
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(a_module().state_dict(), path)
    else:
        write_weights(a_module(), path)
    whole = path.read_bytes()
    for share in (0, 0.01, 0.3, 0.7, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=rf"cut\{suffix}: cannot be read as weights") as caught:
            read_weights(a_module(), path, what="a net")
        assert "\n" not in str(caught.value)
