"""The authors' checkpoints of DINOv3 and of DINOv2 with registers become what timm makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from prosam.checkpoints.backbone_conversion import backbone_state
from prosam.errors import InputError
from prosam.models.backbones import BACKBONE_BUILDERS
from tests.models.random_weights import randomise

State = dict[str, Tensor]


def drawn(shapes: dict[str, tuple[int, ...]]) -> State:
    return randomise({name: torch.empty(shape) for name, shape in shapes.items()})


def authors_vit(width: int = 384, depth: int = 12) -> State:
    """Names and shapes of dinov3_vits16_pretrain_lvd1689m.pth."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "storage_tokens": (1, 4, width),
        "mask_token": (1, width),
        "rope_embed.periods": (16,),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for block in range(depth):
        layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        layers |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
        for name, shape in layers.items():
            shapes |= {f"blocks.{block}.{name}.weight": shape, f"blocks.{block}.{name}.bias": shape[:1]}
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{block}.{norm}.{part}": (width,) for part in ("weight", "bias")}
        shapes |= {f"blocks.{block}.{scale}.gamma": (width,) for scale in ("ls1", "ls2")}
        shapes[f"blocks.{block}.attn.qkv.bias_mask"] = (3 * width,)
    state = drawn(shapes)
    for name, tensor in state.items():
        if name.endswith("attn.qkv.bias"):
            tensor.zero_()[width : 2 * width] = 3  # of the keys, which the mask takes away
    return state


def authors_convnext(depths: tuple[int, ...] = (3, 3, 9, 3), widths: tuple[int, ...] = (96, 192, 384, 768)) -> State:
    """Names and shapes of dinov3_convnext_tiny_pretrain_lvd1689m.pth."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, width: int) -> None:
        shapes.update({f"{name}.{part}": (width,) for part in ("weight", "bias")})

    def layer(name: str, *shape: int) -> None:
        shapes.update({f"{name}.weight": shape, f"{name}.bias": shape[:1]})

    layer("downsample_layers.0.0", widths[0], 3, 4, 4)
    norm("downsample_layers.0.1", widths[0])
    for i, (a, b) in enumerate(pairwise(widths), 1):
        norm(f"downsample_layers.{i}.0", a)
        layer(f"downsample_layers.{i}.1", b, a, 2, 2)
    for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for j in range(depth):
            block = f"stages.{i}.{j}"
            shapes[f"{block}.gamma"] = (width,)
            layer(f"{block}.dwconv", width, 1, 7, 7)
            norm(f"{block}.norm", width)
            layer(f"{block}.pwconv1", 4 * width, width)
            layer(f"{block}.pwconv2", width, 4 * width)
    norm("norm", widths[-1])
    norm("norms.3", widths[-1])
    return drawn(shapes)


def authors_registers(width: int = 384) -> State:
    """Names of dinov2_vits14_reg4_pretrain.pth; blocks have timm's."""
    state = {name: torch.empty(x.shape) for name, x in BACKBONE_BUILDERS["dinov2-reg-vits14"]().state_dict().items()}
    state["register_tokens"] = state.pop("reg_token")
    state |= {"pos_embed": torch.empty(1, 1 + 37 * 37, width), "mask_token": torch.empty(1, width)}
    return randomise(state)


def by_eva(state: State) -> State:
    from timm.models.eva import checkpoint_filter_fn, vit_small_patch16_dinov3

    return checkpoint_filter_fn(state, vit_small_patch16_dinov3())  # pyright: ignore[reportArgumentType]


def by_convnext(state: State) -> State:
    from timm.models.convnext import checkpoint_filter_fn, convnext_tiny

    return checkpoint_filter_fn(state, convnext_tiny(num_classes=0))


def by_vision_transformer(state: State) -> State:
    from timm.models.vision_transformer import checkpoint_filter_fn, vit_small_patch14_reg4_dinov2

    model: Any = vit_small_patch14_reg4_dinov2(num_classes=0, img_size=518)
    return checkpoint_filter_fn(state, model)


AUTHORS: dict[str, tuple[Callable[[], State], Callable[[State], State]]] = {
    "dinov3-vits16": (authors_vit, by_eva),
    "dinov3-convnext-tiny": (authors_convnext, by_convnext),
    "dinov2-reg-vits14": (authors_registers, by_vision_transformer),
}


@pytest.mark.parametrize("architecture", AUTHORS)
def test_authors_names_become_timms(architecture: str):
    checkpoint, by_timm = AUTHORS[architecture]
    found, expected = backbone_state(architecture, checkpoint()), by_timm(checkpoint())
    assert found.keys() == {name for name in expected if name != "fc_norm.weight"}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


@pytest.mark.parametrize("architecture", AUTHORS)
def test_our_own_names_which_are_those_of_timms_hub_stay_as_they_are(architecture: str):
    state = randomise(BACKBONE_BUILDERS[architecture]().state_dict())
    found = backbone_state(architecture, dict(state))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("architecture", "lost", "message"),
    [
        (
            "dinov3-vits16",
            "storage_tokens",
            r"it lacks 'reg_token'; use https://huggingface\.co/timm/vit_small_patch16",
        ),
        (
            "dinov3-convnext-tiny",
            "norm.bias",
            r"it lacks 'head\.norm\.bias'; use https://huggingface\.co/timm/convnext",
        ),
        ("dinov2-reg-vits14", "pos_embed", r"it lacks 'reg_token'; use https://dl\.fbaipublicfiles\.com/dinov2/"),
    ],
)
def test_a_partial_file_is_refused_in_one_line(architecture: str, lost: str, message: str):
    state = AUTHORS[architecture][0]()
    del state[lost]
    with pytest.raises(InputError, match=f"{re.escape(repr(architecture))}: {message}") as caught:
        backbone_state(architecture, state)
    assert "\n" not in str(caught.value)


def test_biases_of_attention_that_are_not_zero_are_refused():
    state = authors_vit()
    state["blocks.3.attn.qkv.bias"][-1] = 0.5
    with pytest.raises(InputError, match=r"it has unknown 'blocks\.3\.attn\.qkv\.bias'"):
        backbone_state("dinov3-vits16", state)


def test_another_size_is_refused():
    with pytest.raises(InputError, match="has shape 1x1x384 instead of 1x1x768"):
        backbone_state("dinov3-vitb16", authors_vit())
