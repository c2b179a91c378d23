"""Checkpoints of SegGPT and Painter: which are read, and what is said of others."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from prosam import InputError
from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.frozen_weights import Origin, write_frozen_weights
from prosam.checkpoints.generalists import given_generalist, has_published, load_generalist, read_generalist
from prosam.params.rivals import GeneralistName, SegGptRival
from tests.methods.generalist_formulas import CHANNELS, authors_weights

pytest.importorskip("transformers")

State = dict[str, Tensor]


def saved(path: Path, state: State) -> Path:
    torch.save({"model": state, "optimizer": {}, "args": argparse.Namespace(lr=1.0)}, path)
    return path


def values(method: GeneralistName, file: Path) -> State:
    return dict(load_generalist(method, file).network.state_dict())


def same(first: State, second: State) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_network_is_read_from_the_authors_file_the_hubs_folder_and_the_pipelines(tmp_path: Path):
    authors = saved(tmp_path / "seggpt_vit_large.pth", authors_weights(tokens=True))
    expected = values("seggpt", authors)
    (tmp_path / "hub").mkdir()
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, tmp_path / "hub/model.safetensors")
    origin = Origin("seggpt", authors.name, "0" * 64)
    write_frozen_weights(tmp_path / "stage", read_generalist("seggpt", authors), origin)
    for given in (tmp_path / "hub", tmp_path / "hub/model.safetensors", tmp_path / "stage"):
        file, found = given_generalist("seggpt", given)
        assert found.model == "seggpt"
        assert same(values("seggpt", file), expected)
    assert given_generalist("seggpt", tmp_path / "stage")[1] == origin


def test_painters_type_tokens_are_zeros_and_survive_the_pipeline(tmp_path: Path):
    file = saved(tmp_path / "painter_vit_large.pth", authors_weights(tokens=False))
    state = values("painter", file)
    for token in ("semantic", "instance"):
        assert torch.equal(state[f"model.embeddings.type_token_{token}"], torch.zeros(1, 1, 1, CHANNELS))
    write_frozen_weights(tmp_path / "stage", read_generalist("painter", file), Origin("painter", file.name, "0" * 64))
    assert same(values("painter", given_generalist("painter", tmp_path / "stage")[0]), state)


def without(name: str) -> Callable[[State], State]:
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


def with_shape(name: str, *shape: int) -> Callable[[State], State]:
    return lambda state: state | {name: torch.zeros(shape)}


@pytest.mark.parametrize(
    ("method", "tokens", "changed", "why"),
    [
        ("painter", True, dict, "has type tokens, so it is SegGPT's and not Painter's; use --method seggpt"),
        ("seggpt", False, dict, "has no type tokens, so it is Painter's and not SegGPT's; use --method painter"),
        ("seggpt", True, without("type_token_cls"), "is not a checkpoint of SegGPT: it lacks 'model.embeddings.type_"),
        ("painter", False, without("mask_token"), "is not a checkpoint of Painter: it has no mask token"),
        ("painter", False, without("pos_embed"), "is not a whole checkpoint of Painter: it lacks 'model"),
        ("painter", False, without("blocks.7.norm2.bias"), "is not a checkpoint of Painter: it lacks 'model.enc"),
        ("seggpt", True, with_shape("blocks.3.mlp.fc1.bias", 5), "is not a checkpoint of SegGPT: it has another shape"),
        ("seggpt", True, with_shape("extra", 5), "is not a checkpoint of SegGPT: it has unknown 'extra'"),
        ("seggpt", True, with_shape("blocks.0.attn.rel_pos_h", 5), "is not a checkpoint of SegGPT: its shapes do not"),
        ("seggpt", True, with_shape("pos_embed", 1), "is not a checkpoint of SegGPT: its shapes do not fit"),
    ],
)
def test_a_wrong_or_partial_checkpoint_is_one_line(
    tmp_path: Path, method: GeneralistName, tokens: bool, changed: Callable[[State], State], why: str
):
    file = saved(tmp_path / "given.pth", changed(authors_weights(tokens=tokens)))
    with pytest.raises(InputError) as raised:
        load_generalist(method, file)
    assert str(raised.value).startswith(f"{file}: {why}")
    assert "\n" not in str(raised.value)


def test_other_files_are_refused_in_one_line(tmp_path: Path):
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"text\.pth: cannot be read as weights"):
        load_generalist("painter", tmp_path / "text.pth")
    with pytest.raises(InputError, match=r"is not a checkpoint of SegGPT: it has no mask token"):
        load_generalist("seggpt", SAM_WEIGHTS)
    for missing in (tmp_path / "gone.pth", tmp_path / "empty"):
        with pytest.raises(InputError, match=r": no such file; name SegGPT's checkpoint, or omit --backbone"):
            given_generalist("seggpt", missing)


def test_the_published_file_is_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROSAM_CACHE", str(tmp_path))
    assert not has_published("painter")
    (tmp_path / "weights").mkdir()
    put = saved(tmp_path / "weights/painter_vit_large.pth", authors_weights(tokens=False))
    assert has_published("painter")
    assert given_generalist("painter", None)[0] == put


def test_a_url_needs_a_digest():
    with pytest.raises(ValidationError, match="a checkpoint from a URL needs its sha256 beside it"):
        SegGptRival(method="seggpt", checkpoint="https://example.org/seggpt.pth")
