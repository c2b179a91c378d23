"""Published checkpoints become our state dicts, and wrong ones are refused in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prosam.checkpoints.backbone_conversion import backbone_state, known_backbone, read_checkpoint
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.efficientnet_lite import efficientnet_lite0_file
from prosam.checkpoints.frozen_given import given_backbone
from prosam.checkpoints.published import PUBLISHED_BACKBONES, PUBLISHED_SAM
from prosam.checkpoints.weights import load_state, shapes_only
from prosam.errors import InputError
from prosam.fetching.remote_file import RemoteFile
from prosam.models.backbones import BACKBONE_BUILDERS, BUNDLED_BACKBONES
from prosam.models.sam import SAM_BUILDERS
from tests.models.random_weights import random_backbone, randomise
from tests.models.test_backbone_resnet50 import semseg_shapes

State = dict[str, Tensor]


def torchvision_resnet50() -> State:
    from torchvision.models import resnet50

    return randomise(resnet50().state_dict())


def timm_resnet50s() -> State:
    from timm.models.resnet import resnet50s

    return randomise(resnet50s().state_dict())


def torchvision_vgg16_bn() -> State:
    from torchvision.models import vgg16_bn

    with torch.device("meta"):  # the classifier has 124 M
        state = vgg16_bn(init_weights=False).state_dict()
    features = {name: torch.empty_like(t, device="cpu") for name, t in state.items() if name.startswith("features.")}
    return state | randomise(features)


def dinov2() -> State:
    return {**random_backbone("dinov2-vitb14").state_dict(), "mask_token": torch.zeros(1, 768)}


def small_dinov2() -> State:
    return {**random_backbone("dinov2-vits14").state_dict(), "mask_token": torch.zeros(1, 384)}


def timm_dinov2() -> State:
    from timm.models.vision_transformer import vit_base_patch14_dinov2

    return vit_base_patch14_dinov2(img_size=518).state_dict()


def bundled_resnet() -> State:
    return load_state(BACKBONE_WEIGHTS["tiny-resnet"])


def bundled_vgg() -> State:
    return load_state(BACKBONE_WEIGHTS["tiny-vgg"])


FORMS: dict[str, tuple[str, Callable[[], State], str]] = {  # architecture, checkpoint, what of it is not ours
    "torchvision resnet50": ("resnet50", torchvision_resnet50, "fc."),
    "timm resnet50s": ("resnet50-deep-stem", timm_resnet50s, "fc."),
    "torchvision vgg16_bn": ("vgg16-bn", torchvision_vgg16_bn, "classifier."),
    "torchvision vgg16_bn as in VRP-SAM": ("vgg16-bn-vrp-sam", torchvision_vgg16_bn, "classifier."),
    "dinov2": ("dinov2-vitb14", dinov2, "mask_token"),
    "small dinov2": ("dinov2-vits14", small_dinov2, "mask_token"),
    "timm dinov2": ("dinov2-vitb14", timm_dinov2, "head"),
    "bundled resnet": ("tiny-resnet", bundled_resnet, "fc."),
    "bundled vgg": ("tiny-vgg", bundled_vgg, "fc."),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_published_checkpoint_loads_strictly_with_the_same_values(form: str):
    architecture, checkpoint, surplus = FORMS[form]
    published = checkpoint()
    expected = {name: tensor for name, tensor in published.items() if not name.startswith(surplus)}
    found = backbone_state(architecture, published)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with torch.device("meta"):
        backbone = BACKBONE_BUILDERS[architecture]()
    backbone.load_state_dict(found, strict=True, assign=True)


def test_a_prefix_of_parallel_training_half_precision_and_missing_counters_are_taken_in():
    published = torchvision_resnet50()
    saved = {f"module.{k}": t.half() for k, t in published.items() if not k.endswith("num_batches_tracked")}
    found = backbone_state("resnet50", saved)
    assert found.keys() == backbone_state("resnet50", published).keys()
    assert all(torch.equal(t, published[k].half().float()) for k, t in found.items() if t.ndim)
    assert {(int(t), t.dtype) for t in found.values() if not t.ndim} == {(0, torch.int64)}


@pytest.mark.parametrize(
    ("architecture", "checkpoint", "change", "message"),
    [
        (
            "resnet50-deep-stem",
            torchvision_resnet50,
            {},
            r"'resnet50-deep-stem': it lacks 'conv1\.0\.weight'; use semseg's .*resnet50_v2\.pth",
        ),
        (
            "resnet50",
            torchvision_resnet50,
            {"conv1.weight": torch.zeros(64, 3, 3, 3), "bn1.bias": torch.zeros(1)},
            r"'resnet50': 'conv1\.weight' has shape 64x3x3x3 instead of 64x3x7x7; use .*/resnet50-0676ba61\.pth",
        ),
        (
            "resnet50",
            torchvision_resnet50,
            {"layer5.0.weight": torch.zeros(1)},
            r"'resnet50': it has unknown 'layer5\.0\.weight'; use",
        ),
        ("vgg16-bn", torchvision_resnet50, {}, r"'vgg16-bn': it lacks 'features\.0\.weight'; use .*vgg16_bn-6c64b313"),
        (
            "dinov2-vitb14",
            dinov2,
            {"pos_embed": torch.zeros(1, 257, 768)},
            r"'pos_embed' has shape 1x257x768 instead of 1x1370x768; use https://.*/dinov2_vitb14_pretrain\.pth",
        ),
        (
            "tiny-resnet",
            bundled_vgg,
            {},
            r"'tiny-resnet': it lacks 'stem\.0\.weight'; use prosam/weights/backbone-tiny-resnet\.safetensors",
        ),
        (
            "tiny-vgg",
            torchvision_vgg16_bn,
            {},
            r"'tiny-vgg': it lacks 'block1\.0\.weight'; use prosam/weights/backbone-tiny-vgg\.safetensors",
        ),
        ("vgg16-bn", bundled_vgg, {}, r"'vgg16-bn': it lacks 'features\.0\.weight'; use .*vgg16_bn-6c64b313"),
    ],
)
def test_a_wrong_checkpoint_is_refused_in_one_line(
    architecture: str, checkpoint: Callable[[], State], change: State, message: str
):
    with pytest.raises(InputError, match=message) as caught:
        backbone_state(architecture, checkpoint() | change)
    assert "\n" not in str(caught.value)


def test_a_file_is_read_and_named_when_it_is_wrong(tmp_path: Path):
    path = tmp_path / "resnet50.pth"
    published = torchvision_resnet50()
    torch.save(published, path)
    assert torch.equal(read_checkpoint("resnet50", path)["conv1.weight"], published["conv1.weight"])
    with pytest.raises(InputError, match=r"resnet50\.pth: is not a checkpoint of backbone 'vgg16-bn': it lacks"):
        read_checkpoint("vgg16-bn", path)
    with pytest.raises(InputError, match=r"none\.pth: no such weight file"):
        read_checkpoint("vgg16-bn", tmp_path / "none.pth")


def written(state: State, folder: Path) -> Path:
    """A checkpoint of tensors that have the names and shapes given, and hold zeros in one place of memory."""
    torch.save({name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.items()}, folder / "given.pth")
    return folder / "given.pth"


@pytest.mark.parametrize("form", FORMS)
def test_the_architecture_of_a_published_checkpoint_is_known(form: str, tmp_path: Path):
    architecture, checkpoint, _ = FORMS[form]
    expected = {"vgg16-bn-vrp-sam": "vgg16-bn"}.get(architecture, architecture)  # which has the same tensors
    state = checkpoint()
    assert known_backbone(written(state, tmp_path)) == expected
    assert known_backbone(written({f"module.{name}": x for name, x in state.items()}, tmp_path)) == expected


@pytest.mark.parametrize("architecture", sorted(BACKBONE_BUILDERS))
def test_our_own_state_dict_of_every_architecture_is_known(architecture: str, tmp_path: Path):
    with shapes_only():
        own = BACKBONE_BUILDERS[architecture]().state_dict()
    expected = {"vgg16-bn-vrp-sam": "vgg16-bn"}.get(architecture, architecture)
    assert known_backbone(written(own, tmp_path)) == expected


def test_semsegs_and_efficientnets_published_files_are_known(tmp_path: Path):
    semseg = {name: torch.empty(shape, device="meta") for name, shape in semseg_shapes().items()}
    assert known_backbone(written(semseg, tmp_path)) == "resnet50-deep-stem"
    assert known_backbone(efficientnet_lite0_file()) == "efficientnet-lite0"


def test_a_file_of_no_known_backbone_is_refused_without_building_any(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("prosam.checkpoints.backbone_conversion.BACKBONE_BUILDERS", dict.fromkeys(BACKBONE_BUILDERS))
    with pytest.raises(InputError, match=r"sam-tiny\.safetensors: is not a checkpoint of a known backbone; known are"):
        known_backbone(SAM_WEIGHTS)


def test_a_known_but_partial_file_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROSAM_CACHE", str(tmp_path / "cache"))
    state = load_state(efficientnet_lite0_file())
    with pytest.raises(InputError, match="'efficientnet-lite0': it has unknown '_conv_stem2'"):
        backbone_state("efficientnet-lite0", state | {"_conv_stem2.weight": torch.zeros(1)})
    partial = {name: tensor for name, tensor in small_dinov2().items() if not name.startswith("norm.")}
    with pytest.raises(InputError, match=r"given\.pth: is not .* of backbone 'dinov2-vits14': it lacks 'norm\.weight'"):
        given_backbone(written(partial, tmp_path))


@pytest.mark.parametrize("file", [*PUBLISHED_BACKBONES.values(), *PUBLISHED_SAM.values()], ids=lambda file: file.name)
def test_published_files_agree_with_their_own_names(file: RemoteFile):
    """torchvision ends a name with the start of the SHA-256, segment-anything with that of the MD5.

    On timm's hub, the folder has the name.
    """
    stem = file.name.removesuffix(".safetensors")
    ends = (f"/{file.name}", f"/timm/{stem}/resolve/main/model.safetensors")
    assert all(url.startswith("https://") and url.endswith(ends) for url in file.urls)
    digits = re.search(r"[-_]([0-9a-f]{6,8})\.pth$", file.name)
    assert digits is None or (file.md5 or file.sha256 or "").startswith(digits[1])


def test_every_architecture_is_published_or_says_what_to_give():
    unpublished = {*BUNDLED_BACKBONES, "efficientnet-lite0", "resnet50-deep-stem"}
    assert set(BACKBONE_BUILDERS) - set(PUBLISHED_BACKBONES) == unpublished
    assert set(SAM_BUILDERS) - set(PUBLISHED_SAM) == {"tiny", "lite"}
