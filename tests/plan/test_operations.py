"""Counts of operations against formulas and the literature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from prosam.methods.prompting import build_prompt_method
from prosam.models.backbones import TinyResNet
from prosam.models.frozen import FrozenModels
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import build_tiny_sam, encode_images
from prosam.params import ModelsParams, RunParams
from prosam.plan.operations import Operation, add, count_operations, flops_of
from prosam.plan.weightless import WeightlessModels

CPU = torch.device("cpu")


def models(sam: str) -> WeightlessModels:
    backbones = {name: {"architecture": name} for name in ("tiny-resnet", "tiny-vgg", "resnet50")}
    return WeightlessModels(ModelsParams.model_validate({"sam": {"name": sam}, "backbones": backbones}), CPU)


def test_a_linear_layer_takes_two_m_n_k():
    with torch.device("meta"):
        layer, x = nn.Linear(30, 40), torch.empty(50, 30)
    assert flops_of(count_operations(lambda: layer(x))) == 2 * 50 * 30 * 40


def test_a_convolution_takes_two_operations_a_weight_and_place():
    with torch.device("meta"):
        layer, x = nn.Conv2d(8, 16, 3, stride=2, padding=1), torch.empty(5, 8, 32, 32)
    work = count_operations(lambda: layer(x))
    assert flops_of(work) == 2 * 5 * 16 * 16 * 16 * 8 * 9
    assert {operation.kind for operation in work} == {"convolution"}


def test_backward_takes_twice_the_forward_when_input_and_weights_have_gradients():
    with torch.device("meta"):
        layer, x = nn.Linear(30, 40, bias=False), torch.empty(50, 30, requires_grad=True)
    assert flops_of(count_operations(lambda: layer(x).sum().backward())) == 3 * 2 * 50 * 30 * 40


def test_what_only_moves_memory_counts_its_bytes():
    with torch.device("meta"):
        x = torch.empty(10, 10)
    assert count_operations(lambda: x.T + 1) == {Operation("memory", 0, 2 * 400): 1}  # the transposition is a view


def test_works_add_up():
    one, other = Operation("matrix", 10, 1), Operation("memory", 0, 5)
    assert add(({one: 2, other: 1}, 3), ({one: 1}, 0.5)) == {one: 6.5, other: 3}


@pytest.mark.parametrize(("sam", "gmacs"), [("vit_b", 486), ("vit_h", 2976)])  # published for 1024 px
def test_sams_encoders_do_what_the_literature_says(sam: str, gmacs: float):
    assert flops_of(models(sam).encoding(1)) / 2e9 == pytest.approx(gmacs, rel=0.03)


def test_mobilesams_encoder_does_what_its_layers_sum_to():
    """Multiplications; attention works on grids padded to whole windows, 133 cells for 128 and 70 for 64."""

    def bottleneck(cells: int, width: int) -> int:
        return cells * (8 * width**2 + 4 * width * 9)

    def merge(before: int, after: int, width: int, wider: int) -> int:
        return before * width * wider + after * (wider * 9 + wider**2)

    def block(cells: int, padded: int, width: int, window: int) -> int:
        return padded * (4 * width**2 + 2 * window**2 * width) + cells * (9 * width + 8 * width**2)

    layers = [
        512**2 * 32 * 27 + 256**2 * 64 * 32 * 9,
        2 * bottleneck(256**2, 64) + merge(256**2, 128**2, 64, 128),
        2 * block(128**2, 133**2, 128, 7) + merge(128**2, 64**2, 128, 160),
        6 * block(64**2, 70**2, 160, 14) + merge(64**2, 64**2, 160, 320),
        2 * block(64**2, 70**2, 320, 7) + 64**2 * (320 * 256 + 256 * 256 * 9),
    ]
    assert flops_of(models("vit_t").encoding(1)) == 2 * sum(layers)
    assert models("vit_t").embedding_shape == (256, 64, 64)  # as ViT-H's


def test_the_count_is_that_of_torchs_counter_on_the_real_model():
    sam, images = build_tiny_sam(), torch.zeros(2, 3, 128, 128, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        encode_images(sam, images)
    assert flops_of(models("tiny").encoding(2)) == counter.get_total_flops()


def test_resnet50_at_512_px_takes_what_its_layers_sum_to():
    """Stride 8 throughout: layer 3 has 16, layer 4 has 64 times the places of the usual network at stride 32."""
    shape = models("vit_h").backbone("resnet50", 2)
    bottlenecks = [
        (64, 128, 64, 3),
        (256, 64, 128, 4),
        (512, 64, 256, 6),
        (1024, 64, 512, 3),
    ]  # in, side, width, blocks
    total = 3 * 64 * 49 * 256**2
    for number, (channels, side, width, blocks) in enumerate(bottlenecks):
        entry = 128 if number == 1 else side  # its first 1x1 convolution comes before the stride
        first = channels * width * entry**2 + (9 * width**2 + 4 * width**2 + 4 * channels * width) * side**2
        total += first + (blocks - 1) * 17 * width**2 * side**2
    assert flops_of(shape.mid_levels) + flops_of(shape.level4) == 2 * 2 * total  # two images
    assert shape.feature_bytes == 4 * (512 + 1024 + 2048) * 64 * 64
    assert 2 * flops_of(shape.masked_level4) == flops_of(shape.level4)


def test_the_plain_backbone_takes_what_its_ten_convolutions_sum_to():
    """A pooling after each of the first three blocks halves the side; blocks 4 and 5 stay on the grid."""
    shape = models("tiny").backbone("tiny-vgg", 3)
    blocks = [(3, 16, 128), (16, 32, 64), (32, 64, 32), (64, 96, 16), (96, 128, 16)]  # in, out, side
    operations = [2 * 3 * 9 * (c_in * c_out + c_out**2) * side**2 for c_in, c_out, side in blocks]  # three images
    assert (flops_of(shape.mid_levels), flops_of(shape.level4)) == (sum(operations[:4]), operations[4])
    assert shape.feature_bytes == 4 * (64 + 96 + 128) * 16 * 16


def test_embeddings_take_two_mebibytes_an_image():
    assert models("vit_h").embedding_shape == (256, 64, 64)
    assert models("tiny").embedding_shape == (64, 16, 16)


def test_a_run_has_as_many_parameters_as_the_one_that_is_built():
    sam = build_tiny_sam()
    frozen = FrozenModels(
        sam=sam,
        decoder=MaskTokenDecoder(sam),
        backbone=TinyResNet(),
        image_size=128,
        align_corners=False,
        device=CPU,
    )
    for run in (
        RunParams(method="prosam", kind="mask", backbone="auto"),
        RunParams(method="vrp-sam", kind="mask", backbone="auto", num_prompts=20, appended_linear=2),
    ):
        built = build_prompt_method(run, frozen, seed=0).encoder
        assert models("tiny").trainable_parameters(run, "tiny-resnet") == sum(p.numel() for p in built.parameters())


def test_a_steps_decoder_grows_with_the_samples_and_vrp_sam_needs_one():
    shapes, prosam, vrp_sam = (
        models("tiny"),
        RunParams(method="prosam", kind="mask", backbone="auto"),
        RunParams(method="vrp-sam", kind="mask", backbone="auto"),
    )
    two, four = (flops_of(shapes.step(prosam, "tiny-resnet", 2, samples)) for samples in (2, 4))
    assert 1.3 < four / two < 2
    vrp_sams = flops_of(shapes.step(vrp_sam, "tiny-resnet", 2, 10))
    assert vrp_sams < two
    assert flops_of(shapes.prediction(vrp_sam, "tiny-resnet", 2)) < vrp_sams / 2  # no backward pass


def test_dinov3s_blocks_take_what_their_layers_sum_to():
    """On 64 x 64 patches of a 512 px image at 16 px a cell, beside a class token and four registers."""
    params = {"sam": {"name": "vit_h"}, "backbones": {"one": {"architecture": "dinov3-vits16"}}}
    shape = WeightlessModels(ModelsParams.model_validate(params), CPU).backbone("one", 2)
    patches, width = 64 * 64, 384
    tokens = patches + 5
    block = tokens * 12 * width**2 + 2 * tokens**2 * width
    assert flops_of(shape.mid_levels) == 2 * 2 * (patches * 3 * 16**2 * width + 12 * block)  # two images
    assert flops_of(shape.level4) == 0  # a norm
    assert shape.feature_bytes == 4 * 3 * width * patches
    parameters = 12 * (12 * width**2 + 12 * width) + (768 + 1) * width + 7 * width
    assert shape.weight_bytes == pytest.approx(4 * parameters, rel=0.001)


def test_sam2s_embedding_has_its_details():
    """256 channels at 64 x 64, 64 at 128 x 128 and 32 at 256 x 256."""
    assert math.prod(models("sam2.1_t").embedding_shape) == 256 * 64**2 + 64 * 128**2 + 32 * 256**2
    assert flops_of(models("sam2.1_t").asked(2)) > flops_of(models("vit_h").asked(2))  # it has one token more
