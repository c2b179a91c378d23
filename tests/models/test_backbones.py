"""Backbones: what every one of them keeps to."""

from __future__ import annotations

import pytest
import torch

from prosam.embedded import BACKBONE_WEIGHTS
from prosam.errors import InputError
from prosam.models.backbones import BACKBONE_BUILDERS, Backbone, load_backbone

CHECKPOINTS = {"tiny-resnet": BACKBONE_WEIGHTS}


def images(count: int = 2, size: int = 128) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(params=sorted(BACKBONE_BUILDERS))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return load_backbone(request.param, CHECKPOINTS[request.param])


@pytest.mark.parametrize("size", [64, 128])
def test_levels_have_the_declared_channels_at_stride_8(backbone: Backbone, size: int):
    level2, level3 = backbone.levels(images(size=size))
    levels = (level2, level3, backbone.level4(level3))
    assert tuple(x.shape[1] for x in levels) == backbone.level_channels
    assert {tuple(x.shape[2:]) for x in levels} == {(size // 8, size // 8)}
    assert backbone.mid_channels == level2.shape[1] + level3.shape[1]
    assert all(x.dtype == torch.float32 and x.isfinite().all() and x.std() > 0 for x in levels)


def test_it_is_frozen(backbone: Backbone):
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert not backbone.level4(backbone.levels(images())[1]).requires_grad
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_an_image_does_not_depend_on_its_neighbours(backbone: Backbone):
    together = backbone.levels(images())
    alone = backbone.levels(images()[1:])
    assert all(torch.allclose(a[0], t[1], atol=1e-4) for a, t in zip(alone, together, strict=True))


def test_level_4_can_be_run_apart_on_masked_level_3(backbone: Backbone):
    _, level3 = backbone.levels(images())
    assert torch.equal(backbone.level4(level3 * torch.ones(2, 1, 16, 16)), backbone.level4(level3))
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., 4:9, 4:9] = 1
    masked = backbone.level4(level3 * mask)
    assert not torch.allclose(masked, backbone.level4(level3))
    elsewhere = level3 + 5 * (1 - mask)  # what the mask hides has no influence
    assert torch.equal(backbone.level4(elsewhere * mask), masked)


def test_a_damaged_or_foreign_checkpoint_names_the_file(tmp_path, backbone: Backbone):
    path = tmp_path / "backbone.safetensors"
    with pytest.raises(InputError, match=r"backbone\.safetensors: no such weight file"):
        load_backbone("tiny-resnet", path)
    path.write_bytes(BACKBONE_WEIGHTS.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"backbone\.safetensors: cannot be read as weights") as caught:
        load_backbone("tiny-resnet", path)
    assert "\n" not in str(caught.value)
