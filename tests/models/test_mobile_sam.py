"""MobileSAM: its published file, and its encoder against timm's TinyViT and against loops in double precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.checkpoints.sam import known_sam, load_sam, sam_state
from prosam.checkpoints.weights import shapes_only
from prosam.errors import InputError
from prosam.models.mobile_sam import TinyViT, WindowAttention, WindowBlock, build_mobile_sam
from prosam.models.sam import SAM_BUILDERS, encode_images
from prosam.models.segment_anything import MaskDecoder, PromptEncoder, TwoWayTransformer
from tests.models.mobile_sam_names import image_encoder_shapes, timm_name
from tests.models.random_weights import random_images, random_module, randomise, relative_difference

State = dict[str, Tensor]

CLASSIFIER = {f"image_encoder.{name}" for name in ("norm_head.weight", "norm_head.bias", "head.weight", "head.bias")}


@pytest.fixture(scope="module")
def published() -> State:
    """Random weights with all names and shapes of mobile_sam.pt; its decoder is ViT-H's."""
    encoder = {
        f"image_encoder.{name}": torch.zeros(shape, dtype=torch.int64 if name.endswith("tracked") else torch.float32)
        for name, shape in image_encoder_shapes().items()
    }
    prompts = PromptEncoder(256, (64, 64), (1024, 1024), 16)
    decoder = MaskDecoder(transformer_dim=256, transformer=TwoWayTransformer(2, 256, 8, 2048))
    others = nn.ModuleDict({"prompt_encoder": prompts, "mask_decoder": decoder}).state_dict()
    return randomise({**encoder, **others})


@pytest.fixture(scope="module")
def file(published: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "mobile_sam.pt"
    torch.save(published, path)
    return path


def test_the_file_has_about_as_many_bytes_as_the_published_one(file: Path):
    assert file.stat().st_size == pytest.approx(40_728_226, rel=0.002)  # the rest is names and numbers in a zip archive


def test_the_published_file_is_read_with_every_tensor_but_the_classifier(published: State, file: Path):
    state = sam_state("vit_t", file)
    assert published.keys() - state.keys() == CLASSIFIER
    assert all(torch.equal(published[name], x) for name, x in state.items())
    assert known_sam(file) == "vit_t"
    assert published.keys() - CLASSIFIER == build_mobile_sam(64).state_dict().keys()


CHANGES: dict[str, tuple[dict[str, Tensor], str | None, str]] = {
    "a part is missing": ({}, "image_encoder.layers.2.", "it lacks 'image_encoder.layers.2.blocks.0.attn.attention"),
    "a larger TinyViT": ({"image_encoder.neck.0.weight": torch.zeros(256, 448, 1, 1)}, None, "another shape for"),
    "something else is inside": (
        {"image_encoder.pos_embed": torch.zeros(1)},
        None,
        "it has unknown 'image_encoder.pos",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_or_partial_file_is_one_line(published: State, tmp_path: Path, change: str):
    added, removed, message = CHANGES[change]
    state = {name: x for name, x in published.items() if removed is None or not name.startswith(removed)} | added
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt: is not a checkpoint of SAM 'vit_t'") as caught:
        sam_state("vit_t", tmp_path / "other.pt")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_decoder_alone_is_read_without_the_encoder(file: Path):
    sam = load_sam("vit_t", file, image_encoder=False)
    assert isinstance(sam.image_encoder, nn.Identity)
    assert sam.prompt_encoder.input_image_size == (1024, 1024)
    assert sam.prompt_encoder.image_embedding_size == (64, 64)


def timm_encoder(state: State) -> Any:
    """timm's TinyViT with the weights of an image encoder, and MobileSAM's stride in the last merge."""
    from timm.models.tiny_vit import tiny_vit_5m_224

    vit = tiny_vit_5m_224(num_classes=0)
    vit.stages[3].downsample.conv2.conv.stride = (1, 1)
    own = vit.state_dict()
    renamed = {timm_name(name): x for name, x in state.items()}
    vit.load_state_dict({name: renamed[name] for name in own if not name.startswith("head.")}, strict=False)
    assert all(name in renamed or name.startswith("head.") for name in own)
    return vit.eval()


def neck(state: State, x: Tensor) -> Tensor:
    """MobileSAM's neck by its formulas: 1 x 1, norm over channels, 3 x 3, norm over channels."""
    for convolution, norm in (("neck.0", "neck.1"), ("neck.2", "neck.3")):
        x = F.conv2d(x, state[f"{convolution}.weight"], padding="same")
        centred = x - x.mean(1, keepdim=True)
        x = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        x = x * state[f"{norm}.weight"][:, None, None] + state[f"{norm}.bias"][:, None, None]
    return x


@torch.no_grad()
def test_the_encoder_is_timms_tinyvit_and_the_neck(published: State):
    size, prefix = 240, "image_encoder."  # grids of 30 and 15 cells, which no window divides
    state = {name.removeprefix(prefix): x for name, x in published.items() if name.startswith(prefix)}
    encoder = TinyViT(size)
    encoder.load_state_dict({name: x for name, x in state.items() if prefix + name not in CLASSIFIER})
    encoder.eval().double()
    images = torch.randn(1, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = neck(
        {name: x.double() for name, x in state.items()}, timm_encoder(state).double().forward_features(images)
    )
    assert expected.shape == (1, 256, 15, 15)
    assert relative_difference(encoder(images), expected) < 1e-9


@torch.no_grad()
def test_a_block_by_its_formulas_cell_by_cell():
    """Attention in padded windows, whose zeros are keys too, then the local convolution, then the network."""
    width, heads, w, side = 8, 2, 3, 5
    block: Any = random_module(WindowBlock(width, heads, w).double())
    x = torch.randn(1, width, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = x[0].permute(1, 2, 0).clone()
    padded = torch.zeros(6, 6, width, dtype=torch.float64)
    padded[:side, :side] = x[0].permute(1, 2, 0)
    for top in (0, 3):
        for left in (0, 3):
            cells = [(top + i, left + j) for i in range(w) for j in range(w)]
            for row, column in cells:
                if row < side and column < side:
                    expected[row, column] += _attended(block.attn, padded, cells, (row, column), heads)
    local = block.local_conv
    mixed = local.bn(F.conv2d(expected.permute(2, 0, 1)[None], local.c.weight, padding=1, groups=width))
    cells = mixed[0].permute(1, 2, 0)
    inner = F.layer_norm(cells, (width,), *_norm(block.mlp.norm)) @ block.mlp.fc1.weight.T + block.mlp.fc1.bias
    inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    expected = cells + inner @ block.mlp.fc2.weight.T + block.mlp.fc2.bias
    assert relative_difference(block(x)[0].permute(1, 2, 0), expected) < 1e-9


def _norm(norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    return norm.weight, norm.bias


def _attended(
    attention: WindowAttention, padded: Tensor, cells: list[tuple[int, int]], at: tuple[int, int], heads: int
) -> Tensor:
    """What one cell reads of its window: the bias of a pair is numbered by rows apart, then by columns apart."""
    width, w = padded.shape[-1], round(len(cells) ** 0.5)
    d = width // heads
    joined = {}
    for cell in cells:
        normed = F.layer_norm(padded[cell], (width,), *_norm(attention.norm))
        joined[cell] = (attention.qkv.weight @ normed + attention.qkv.bias).view(heads, 3 * d)
    read = []
    for head in range(heads):
        scores = []
        for cell in cells:
            bias = attention.attention_biases[head, abs(cell[0] - at[0]) * w + abs(cell[1] - at[1])]
            scores.append(joined[at][head, :d] @ joined[cell][head, d : 2 * d] / d**0.5 + bias)
        weights = torch.stack(scores).softmax(0)
        read.append(sum(weight * joined[cell][head, 2 * d :] for weight, cell in zip(weights, cells, strict=True)))
    return attention.proj.weight @ torch.cat([torch.as_tensor(part) for part in read]) + attention.proj.bias


@torch.no_grad()
def test_a_loaded_one_has_no_batch_norms_and_computes_the_same(published: State, file: Path):
    loaded = load_sam("vit_t", file)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in loaded.image_encoder.modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    plain = build_mobile_sam()
    plain.load_state_dict({name: x for name, x in published.items() if name not in CLASSIFIER})
    images = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    expected = plain.eval().image_encoder(images)
    assert relative_difference(loaded.image_encoder(images), expected) < 1e-4


@torch.no_grad()
def test_images_of_any_size_get_an_embedding_of_a_sixteenth():
    sam = build_mobile_sam(64)
    random_module(sam)
    one = encode_images(sam, random_images(2, 96))
    assert one.shape == (2, 256, 4, 4)
    assert relative_difference(encode_images(sam, random_images(2, 96)[1:])[0], one[1]) < 1e-5


def test_its_decoder_and_square_are_those_of_sam_vit_h():
    with shapes_only():
        mobile, huge = SAM_BUILDERS["vit_t"](), SAM_BUILDERS["vit_h"]()
    assert mobile.image_encoder.img_size == huge.image_encoder.img_size == 1024
    for part in ("prompt_encoder", "mask_decoder"):
        ours, theirs = (dict(getattr(sam, part).state_dict()) for sam in (mobile, huge))
        assert {name: x.shape for name, x in ours.items()} == {name: x.shape for name, x in theirs.items()}
    expected = torch.tensor([123.675, 116.28, 103.53])
    assert torch.equal(build_mobile_sam(64).pixel_mean.flatten(), expected)
