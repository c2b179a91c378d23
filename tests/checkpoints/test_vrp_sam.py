"""Converted checkpoints of the public VRP-SAM code: their prompts against VRP-SAM's formulas written out in float64."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.frozen import load_backbone
from prosam.checkpoints.sam import load_sam
from prosam.checkpoints.trained import load_model, read_description
from prosam.checkpoints.vrp_sam import convert_checkpoint
from prosam.errors import InputError
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.levels import ComputedLevels
from prosam.features.pairs import AnnotatedReference, References, Targets
from prosam.features.reference_masks import DrawnMasks, GridRule
from prosam.features.resized_images import DecodedImages
from prosam.features.source import FeatureSource
from prosam.methods.prompting import PromptMethod
from prosam.models.frozen import FrozenModels
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.pseudo_mask import annotation_grid
from tests.checkpoints.vrp_sam_files import Backbone, hollow_checkpoint, random_checkpoint, write_checkpoint
from tests.checkpoints.vrp_sam_formulas import Levels, State, features, vrp_sam_prompts
from tests.models.conftest import published_decoder_sam

Pixels = NDArray[np.uint8]
GRID, PROMPTS = 8, 9
SIZES: dict[Backbone, int] = {"resnet50": 64, "vgg16": 128}  # strides 8 and 16
H, W = 90, 120  # of the reference, px


# ------------------------------------------------------------------------------------------------------------ episodes


def normalised(image: Pixels, size: int) -> Tensor:
    """(3, S, S) float32, as torchvision's Resize, ToTensor and Normalize give it."""
    square = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    pixels = (square / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return torch.from_numpy(pixels).float().permute(2, 0, 1)


def scene(seed: int, height: int, width: int) -> Pixels:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@cache
def images() -> tuple[Pixels, Pixels]:
    """A reference, and a target that shows a part of it."""
    reference, target = scene(0, H, W), scene(1, 130, 100).copy()
    target[20:80, 30:90] = reference[20:80, 40:100]
    return reference, target


def mask(*parts: tuple[slice, slice]) -> NDArray[np.bool_]:
    drawn = np.zeros((H, W), bool)
    for part in parts:
        drawn[part] = True
    return drawn


def sampled_pixel(i: int, length: int, size: int) -> int:
    """Which row (or column) of the image the nearest neighbour takes for the i-th cell of the grid."""
    return i * (size // GRID) * length // size


MASKS: dict[str, Callable[[int], NDArray[np.bool_]]] = {
    "little": lambda size: mask((slice(20, 45), slice(50, 85))),
    "much": lambda size: ~mask((slice(0, 5), slice(0, W)), (slice(0, H), slice(100, W))),
    "everything": lambda size: ~mask(),
    "one pixel that counts": lambda size: mask((slice(i := sampled_pixel(3, H, size), i + 1), slice(0, 1))),
    "one pixel that vanishes": lambda size: mask((slice(47, 48), slice(61, 62))),
}


@dataclass(frozen=True)
class Converted:
    """A checkpoint in float64, what its backbone sees of target and reference, and what became of it."""

    state: State
    seen: tuple[Levels, Levels]
    models: FrozenModels
    method: PromptMethod
    folder: Path

    def episode(
        self, drawn: NDArray[np.bool_], how: Literal["covered", "nearest"] = "nearest"
    ) -> tuple[References, Targets]:
        """The episode of `images` as the pipeline's tensors."""
        named = dict(zip(("reference", "target"), images(), strict=True))
        source = FeatureSource(
            self.models,
            ComputedLevels(
                self.models, DecodedImages(cast(Any, SimpleNamespace(image=named.get)), self.models.image_size)
            ),
            lambda wanted: torch.zeros(len(wanted), 256, 64, 64),
        )
        annotations = cast(Any, SimpleNamespace(get=lambda *_: drawn))
        tensors = EpisodeTensors(
            source, cast(Any, None), DrawnMasks(annotations, "mask", GridRule.of(self.models, how))
        )
        return tensors.references([AnnotatedReference("reference", 1)]), tensors.targets(["target"])

    @torch.no_grad()
    def prompts(self, drawn: NDArray[np.bool_]) -> Tensor:
        """Ours, (N, 256)."""
        references, targets = self.episode(drawn)
        return self.method.prompts(self.method.learn(references), targets).mean[0]

    @torch.no_grad()
    def expected(self, drawn: NDArray[np.bool_]) -> Tensor:
        """VRP-SAM's, (N, 256)."""
        rows, columns = (np.arange(self.models.image_size) * length // self.models.image_size for length in (H, W))
        return vrp_sam_prompts(self.state, *self.seen, torch.from_numpy(drawn[rows[:, None], columns]))


@pytest.fixture(scope="module", params=["resnet50", "vgg16"])
def converted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """A random checkpoint as DistributedDataParallel leaves it, converted and opened without the pipeline."""
    backbone: Backbone = request.param
    folder = tmp_path_factory.mktemp(backbone)
    state = random_checkpoint(backbone, 0, PROMPTS)
    found = convert_checkpoint(write_checkpoint(folder / "best_model.pt", state, prefix="module."), folder / "out")
    sam = published_decoder_sam()
    models = FrozenModels(
        sam=sam,
        decoder=MaskTokenDecoder(sam),
        backbone=load_backbone(found.backbone, folder / "out" / "backbone.safetensors"),
        image_size=SIZES[backbone],
        align_corners=True,
        device=torch.device("cpu"),
    )
    exact = {name: tensor.double() for name, tensor in state.items()}
    reference, target = (features(exact, normalised(image, models.image_size)) for image in images())
    return Converted(exact, (target, reference), models, load_model(folder / "out", models), folder / "out")


# ------------------------------------------------------------------------------------------------------------- prompts


@pytest.mark.parametrize("name", MASKS)
def test_prompts_equal_vrp_sams(converted: Converted, name: str):
    drawn = MASKS[name](converted.models.image_size)
    expected = converted.expected(drawn)
    assert expected.shape == (PROMPTS, 256)
    assert (converted.prompts(drawn) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("size", SIZES.values())
def test_masks_reach_the_grid_as_their_names_say(size: int):
    drawn = {name: torch.from_numpy(make(size)) for name, make in MASKS.items()}
    counts = {k: int(annotation_grid(v, GRID, thin=False, nearest_in=size).sum()) for k, v in drawn.items()}
    assert 2 < counts.pop("little") < 10
    assert 40 < counts.pop("much") < 64
    assert counts == {"everything": 64, "one pixel that counts": 1, "one pixel that vanishes": 0}


def test_the_comparison_would_notice_another_annotation_or_pseudo_mask(converted: Converted):
    drawn = MASKS["little"](converted.models.image_size)
    method, expected = converted.method, converted.expected(drawn)
    normalising = PromptMethod(method.encoder, converted.models, normalised_pseudo_mask=True)
    with torch.no_grad():
        for other, episode in (
            (normalising, converted.episode(drawn)),
            (method, converted.episode(drawn, "covered")),
            (method, converted.episode(mask((slice(25, 50), slice(50, 85))))),
        ):
            found = other.prompts(other.learn(episode[0]), episode[1]).mean[0]
            assert (found - expected).abs().max() > 1e-3


def test_a_converted_model_predicts_masks(converted: Converted):
    references, targets = converted.episode(MASKS["little"](converted.models.image_size))
    with torch.no_grad():
        logits = converted.method.predict(converted.method.learn(references), targets)
    assert logits.shape == (1, 256, 256)
    assert logits.isfinite().all()


# --------------------------------------------------------------------------------------------------------- the folder


def test_the_folder_says_what_it_holds_and_where_it_came_from(converted: Converted):
    assert {path.name for path in converted.folder.iterdir()} == {
        "prompt_encoder.safetensors",
        "backbone.safetensors",
        "model.json",
        "prosam.sha256",
    }
    description = read_description(converted.folder)
    assert description["method"] == "vrp-sam"
    assert description["converted_from"]["file"] == "best_model.pt"
    backbone = (converted.folder / "backbone.safetensors").read_bytes()
    assert description["backbone_weights"]["sha256"] == hashlib.sha256(backbone).hexdigest()
    wanted = {"num_prompts": PROMPTS, "pseudo_mask": "raw", "annotation_grid": "nearest", "init": "paper"}
    assert description["run"].items() >= wanted.items()
    assert "module" not in json.dumps(description)


@pytest.mark.parametrize(
    ("backbone", "architecture", "trainable"),
    [("resnet50", "resnet50-deep-stem", 1_592_064), ("vgg16", "vgg16-bn-vrp-sam", 1_395_456)],
)
def test_the_backbone_and_the_number_of_prompts_follow_from_the_tensors(
    tmp_path: Path, backbone: Backbone, architecture: str, trainable: int
):
    checkpoint = write_checkpoint(tmp_path / "best_model.pt", hollow_checkpoint(backbone))
    (tmp_path / "empty").mkdir()
    found = convert_checkpoint(checkpoint, tmp_path / "empty")
    assert (found.backbone, found.num_prompts, found.trainable_parameters) == (architecture, 50, trainable)
    description = read_description(tmp_path / "empty")
    assert description["trainable_parameters"] == trainable
    assert description["run"]["backbone"] == architecture
    assert description["converted_from"]["sha256"] == found.sha256


def test_the_prefix_makes_no_difference(tmp_path: Path):
    noise = torch.Generator().manual_seed(0)
    state = hollow_checkpoint("vgg16")
    for name in ("merge_1.0.weight", "layer4.6.weight", "layer0.1.running_mean"):
        state[name] = torch.randn(state[name].shape, generator=noise)
    for prefix in ("", "module."):
        checkpoint = write_checkpoint(tmp_path / f"{prefix}pt", state, prefix=prefix)
        convert_checkpoint(checkpoint, tmp_path / f"out{prefix}")
    for name in ("prompt_encoder.safetensors", "backbone.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "outmodule." / name).read_bytes()


# --------------------------------------------------------------------------------------------------------- wrong files


def without(name: str) -> State:
    state = hollow_checkpoint("resnet50")
    del state[name]
    return state


def reshaped(name: str, *shape: int) -> State:
    return hollow_checkpoint("resnet50") | {name: torch.zeros(()).expand(shape)}


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "SAM's": (
        lambda: load_sam("tiny", SAM_WEIGHTS).state_dict(),
        "the queries, 'transformer_decoder.supp_q_feat.weight'",
    ),
    "ResNet-101": (lambda: hollow_checkpoint("resnet101"), "only ResNet-50 and VGG-16"),
    "no backbone": (
        lambda: {k: v for k, v in hollow_checkpoint("resnet50").items() if not k.startswith("layer")},
        "has neither a ResNet-50 nor a VGG-16",
    ),
    "a layer is missing": (lambda: without("merge_1.0.weight"), "it lacks 'merge_1.0.weight'"),
    "a norm is missing": (lambda: without("layer0.7.running_var"), "it lacks 'layer0.7.running_var'"),
    "a tensor too many": (
        lambda: hollow_checkpoint("vgg16") | {"sam_model.x": torch.zeros(1)},
        "unknown 'sam_model.x'",
    ),
    "another width": (lambda: reshaped("downsample_query.0.weight", 256, 768, 1, 1), "shape [256, 768, 1, 1]"),
    "no queries": (lambda: reshaped("transformer_decoder.supp_q_feat.weight"), "it lacks the queries"),
    "a module": (lambda: nn.Conv2d(1, 1, 1), "cannot be read as weights"),
    "a training's state": (
        lambda: {"model": hollow_checkpoint("vgg16"), "epoch": 3},
        "does not hold a plain state dict",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_file_is_refused_in_one_line_and_leaves_nothing(tmp_path: Path, name: str):
    make, message = WRONG[name]
    checkpoint, out = tmp_path / "best_model.pt", tmp_path / "parent" / "out"
    torch.save(make(), checkpoint)
    with pytest.raises(InputError) as caught:
        convert_checkpoint(checkpoint, out)
    assert str(caught.value).startswith(f"{checkpoint}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not out.parent.exists()


def test_a_truncated_checkpoint_is_refused(tmp_path: Path):
    checkpoint = write_checkpoint(tmp_path / "best_model.pt", hollow_checkpoint("vgg16"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cannot be read as weights"):
        convert_checkpoint(checkpoint, tmp_path / "out")
    checkpoint.unlink()
    with pytest.raises(InputError, match="no such weight file"):
        convert_checkpoint(checkpoint, tmp_path / "out")


def test_what_is_already_there_is_not_overwritten(tmp_path: Path):
    checkpoint = write_checkpoint(tmp_path / "best_model.pt", hollow_checkpoint("vgg16"))
    for out in (tmp_path, checkpoint):
        with pytest.raises(InputError, match="already exists; name a new or an empty folder"):
            convert_checkpoint(checkpoint, out)
    assert checkpoint.is_file()
