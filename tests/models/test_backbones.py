"""Backbones: what every one of them keeps to."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from prosam.checkpoints.bundled import BACKBONE_WEIGHTS
from prosam.checkpoints.frozen import load_backbone
from prosam.checkpoints.weights import write_weights
from prosam.errors import InputError
from prosam.models.backbones import BACKBONE_BUILDERS, BUNDLED_BACKBONES, Backbone, TinyVgg, for_inference
from prosam.models.pseudo_mask import annotated_features
from tests.models.random_weights import random_backbone, random_images, randomise, relative_difference

REACH = {  # of level 4, cells: the sum of the dilations of its 3x3 convolutions; EfficientNet-Lite's is strided
    "tiny-resnet": 2 + 2,
    "tiny-vgg": 2 + 2,
    "resnet50": 2 + 4 + 4,
    "resnet50-deep-stem": 2 + 4 + 4,
    "vgg16-bn": 2 + 2 + 2,
    "vgg16-bn-vrp-sam": 1 + 1 + 1,
    "dinov2-vits14": 0,
    "dinov2-vitb14": 0,
    "dinov2-reg-vits14": 0,
    "dinov3-vits16": 0,
}
LARGER = {"dinov2-vitl14", "dinov2-reg-vitb14", "dinov2-reg-vitl14", "dinov3-vitb16", "dinov3-vitl16"}
LARGER |= {"dinov3-convnext-small"}  # up to 1.2 GB, each of the structure of a smaller one


@pytest.fixture(params=sorted(BACKBONE_BUILDERS.keys() - LARGER))
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def backbone(architecture: str) -> Backbone:
    return (
        load_backbone(architecture, BACKBONE_WEIGHTS[architecture])
        if architecture in BACKBONE_WEIGHTS
        else random_backbone(architecture)
    )


@pytest.mark.parametrize("size", [64, 128])
def test_levels_have_the_declared_channels_and_stride(backbone: Backbone, size: int):
    level2, level3 = backbone.levels(random_images(1, size))
    levels = (level2, level3, backbone.level4(level3))
    assert tuple(x.shape[1] for x in levels) == backbone.level_channels
    assert {tuple(x.shape[2:]) for x in levels} == {(size // backbone.stride, size // backbone.stride)}
    assert backbone.mid_channels == level2.shape[1] + level3.shape[1]
    assert all(x.dtype == torch.float32 and x.isfinite().all() and x.std() > 0 for x in levels)


def test_all_but_the_one_of_vrp_sam_have_stride_8(architecture: str, backbone: Backbone):
    assert backbone.stride == (16 if architecture == "vgg16-bn-vrp-sam" else 8)


def test_it_is_frozen_even_under_a_parent_that_trains(backbone: Backbone):
    parent = nn.Sequential(backbone).train()
    assert parent.training
    assert not any(module.training for module in backbone.modules())
    assert not any(p.requires_grad for p in backbone.parameters())
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert not backbone.level4(backbone.levels(random_images())[1]).requires_grad
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_every_embedded_one_is_bundled():
    assert BACKBONE_WEIGHTS.keys() == BUNDLED_BACKBONES.keys()
    assert all(path.is_file() for path in BACKBONE_WEIGHTS.values())


@pytest.mark.parametrize("architecture", sorted(BUNDLED_BACKBONES))
def test_the_embedded_ones_train_until_they_are_frozen(architecture: str):
    backbone = BACKBONE_BUILDERS[architecture]()
    assert all(module.training for module in backbone.train().modules())
    assert not any(module.training for module in backbone.freeze().train().modules())


@pytest.mark.parametrize("convolution", [f"block{block}.{place}" for block in (1, 2, 3, 4, 5) for place in (0, 3)])
def test_nothing_passes_around_a_convolution_of_the_plain_network(convolution: str):
    backbone = TinyVgg().freeze()
    randomise(backbone.state_dict())

    def differing_cells() -> int:
        one, other = backbone.level4(backbone.levels(random_images())[1])
        return int((one != other).sum())

    assert differing_cells() > 0
    backbone.get_parameter(f"{convolution}.weight").zero_()
    assert differing_cells() == 0


def test_an_image_does_not_depend_on_its_neighbours(backbone: Backbone):
    together = backbone.levels(random_images())
    alone = backbone.levels(random_images()[1:])
    assert all(relative_difference(a[0], t[1]) < 1e-5 for a, t in zip(alone, together, strict=True))


def test_level_4_can_be_run_apart_on_masked_level_3(backbone: Backbone):
    _, level3 = backbone.levels(random_images())
    h = level3.shape[-1]
    assert torch.equal(backbone.level4(level3 * torch.ones(2, 1, h, h)), backbone.level4(level3))
    mask = torch.zeros(2, 1, h, h)
    mask[..., 1 : h // 2, 1 : h // 2] = 1
    masked = backbone.level4(level3 * mask)
    assert not torch.allclose(masked, backbone.level4(level3))
    elsewhere = level3 + 5 * (1 - mask)  # what the mask hides has no influence
    assert torch.equal(backbone.level4(elsewhere * mask), masked)


@pytest.mark.parametrize("architecture", sorted(REACH), indirect=True)
def test_level_4_sees_as_far_as_the_architecture_says(architecture: str, backbone: Backbone):
    channels, h, at = backbone.level_channels[1], 25, 12
    level3 = torch.rand(1, channels, h, h, generator=torch.Generator().manual_seed(0))
    changed = level3.clone()
    changed[..., at, at] += torch.randn(channels, generator=torch.Generator().manual_seed(1))
    differs = (backbone.level4(level3) - backbone.level4(changed)).abs().amax((0, 1)) > 1e-6
    rows, columns = differs.nonzero(as_tuple=True)
    assert (rows - at).abs().max() == REACH[architecture] == backbone.level4_reach
    assert (columns - at).abs().max() == REACH[architecture]


def test_ready_for_inference_it_computes_the_same_without_batch_norms(architecture: str):
    trained = copy.deepcopy(random_backbone(architecture)).double()
    folded = for_inference(copy.deepcopy(trained))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert not folded.train().training
    before, after = trained.levels(random_images()), folded.levels(random_images())
    pairs = [*zip(after, before, strict=True), (folded.level4(before[1]), trained.level4(before[1]))]
    assert all(relative_difference(found, expected) < 1e-12 for found, expected in pairs)


@pytest.mark.parametrize("architecture", sorted(REACH), indirect=True)
def test_windows_about_annotations_give_what_the_whole_of_level_4_gives(architecture: str, backbone: Backbone):
    side, noise = 32, torch.Generator().manual_seed(0)
    annotation = torch.zeros(4, 1, side, side)
    annotation[0, 0, 0, 0] = 1  # a corner; then the middle, an edge in two pieces, and nothing
    annotation[1, 0, 14:18, 13:16] = 1
    annotation[2, 0, 31, (9, 12)] = 1
    level3 = torch.rand(4, backbone.level_channels[1], side, side, generator=noise) + 1
    seen = torch.rand(annotation.shape, generator=noise) < 0.9
    annotation[1] *= seen[1]  # with holes
    whole = backbone.level4(level3 * annotation)
    found = annotated_features(backbone, level3, annotation)
    assert [one.shape[1] for one in found] == annotation.sum((1, 2, 3)).tolist()
    for row, features in enumerate(found[:3]):
        rows, columns = annotation[row, 0].nonzero(as_tuple=True)
        assert relative_difference(features, whole[row][:, rows, columns]) < 1e-5


@pytest.mark.parametrize("architecture", ["resnet50-deep-stem", "dinov2-vitb14"])
def test_own_weights_are_read_back(tmp_path: Path, architecture: str):
    path = tmp_path / "backbone.safetensors"
    write_weights(random_backbone(architecture), path)
    read, written = load_backbone(architecture, path), for_inference(copy.deepcopy(random_backbone(architecture)))
    assert all(
        torch.equal(a, b) for a, b in zip(read.levels(random_images()), written.levels(random_images()), strict=True)
    )


def test_a_damaged_or_foreign_checkpoint_names_the_file(tmp_path: Path):
    path = tmp_path / "backbone.safetensors"
    with pytest.raises(InputError, match=r"backbone\.safetensors: no such weight file"):
        load_backbone("tiny-resnet", path)
    bundled = BACKBONE_WEIGHTS["tiny-resnet"].read_bytes()
    path.write_bytes(bundled[:100_000])
    with pytest.raises(InputError, match=r"backbone\.safetensors: cannot be read as weights") as caught:
        load_backbone("tiny-resnet", path)
    assert "\n" not in str(caught.value)
    path.write_bytes(bundled)
    with pytest.raises(
        InputError, match=r"backbone\.safetensors: is not a checkpoint of backbone 'resnet50': it lacks"
    ):
        load_backbone("resnet50", path)
    with pytest.raises(
        InputError, match=r"backbone\.safetensors: is not a checkpoint of backbone 'tiny-vgg': it lacks 'block1\.0\.w"
    ):
        load_backbone("tiny-vgg", path)


def test_importing_the_backbones_imports_neither_torchvision_nor_timm():
    program = "import sys; import prosam.models.backbones; print({'torchvision', 'timm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
