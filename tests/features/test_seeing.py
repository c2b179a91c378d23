"""What methods that train nothing see of an image: SAM's and the backbone's own ways, from the original libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from segment_anything.utils.transforms import ResizeLongestSide
from torch.nn import functional as F

from prosam.features.seeing import Seeing
from prosam.features.seen import Needs
from prosam.models.backbones import Backbone, EfficientNetLite0
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.models.sam import build_tiny_sam
from tests.models.random_weights import randomise, relative_difference

SIDE = 128


@pytest.fixture(scope="module")
def models() -> FrozenModels:
    sam, backbone = build_tiny_sam(), EfficientNetLite0()
    randomise(sam.state_dict())
    randomise(backbone.state_dict())
    sam.eval().requires_grad_(False)
    frozen = FrozenSam.of(sam, image_size=SIDE, upsampling="centres", device=torch.device("cpu"))
    return FrozenModels.of_both(frozen, backbone.freeze())


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (9, 14, 3), dtype=np.uint8))
    return np.asarray(small.resize((210, 135), Image.Resampling.BICUBIC))


@torch.no_grad()
def test_the_padded_embedding_is_the_original_librarys(models: FrozenModels, image: NDArray[np.uint8]):
    seen = Seeing.of(Needs("padded", None), models)(image)
    resized = torch.from_numpy(ResizeLongestSide(SIDE).apply_image(image)).permute(2, 0, 1)[None]
    expected = models.sam.image_encoder(models.sam.preprocess(resized))
    assert seen.embedding is not None
    assert seen.tokens is None
    assert seen.size == (135, 210)
    assert relative_difference(seen.embedding, expected[0]) < 2e-3  # which is rounded to float16


@torch.no_grad()
def test_squashed_the_second_square_is_made_of_the_first(models: FrozenModels, image: NDArray[np.uint8]):
    class Larger(EfficientNetLite0):
        token_square = 160

    backbone = Larger()
    backbone.load_state_dict(models.backbone.state_dict())
    seeing = [Seeing(Needs("squashed", "last", first), models, backbone.freeze()) for first in ("sam", "tokens")]
    of_sam, of_tokens = (each(image) for each in seeing)
    square = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    as_tensor = torch.from_numpy(square.copy()).permute(2, 0, 1)[None]
    assert of_sam.embedding is not None
    assert of_sam.tokens is not None
    assert relative_difference(of_sam.embedding, models.embed(as_tensor)[0]) < 1e-6
    enlarged = F.interpolate(as_tensor.float(), (160, 160), mode="bilinear", align_corners=False)
    assert relative_difference(of_sam.tokens, last_tokens(backbone, enlarged)) < 1e-4

    large = np.asarray(Image.fromarray(image).resize((160, 160), Image.Resampling.BILINEAR))
    shrunk = np.asarray(Image.fromarray(large).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    assert of_tokens.embedding is not None
    assert of_tokens.tokens is not None
    expected = models.embed(torch.from_numpy(shrunk.copy()).permute(2, 0, 1)[None])[0]
    assert relative_difference(of_tokens.embedding, expected) < 1e-6
    large_tensor = torch.from_numpy(large.copy()).permute(2, 0, 1)[None]
    assert relative_difference(of_tokens.tokens, last_tokens(backbone, large_tensor)) < 1e-4


def last_tokens(backbone: Backbone, square: torch.Tensor) -> torch.Tensor:
    return backbone.level4(backbone.levels(square)[1])[0]


def test_a_known_embedding_is_not_computed_again(models: FrozenModels, image: NDArray[np.uint8]):
    known = torch.full((64, 16, 16), 3.0)
    seen = Seeing.of(Needs("squashed", "last"), models)(image, known)
    assert seen.embedding is known


@pytest.mark.parametrize(
    ("needs", "size", "expected"),
    [
        (Needs("squashed", None), SIDE, True),
        (Needs("squashed", None), 96, False),  # the store's images were squashed to another size first
        (Needs("padded", None), SIDE, False),
        (Needs(None, "normed"), SIDE, False),
        (Needs("squashed", "last", "sam"), SIDE, True),
        (Needs("squashed", "last", "tokens"), SIDE, True),  # this backbone takes the same square
    ],
)
def test_stored_embeddings_are_taken_only_if_they_are_the_same(
    models: FrozenModels, needs: Needs, size: int, expected: bool
):
    assert Seeing.of(needs, models).takes_squashed(size) == expected


def test_an_embedding_of_an_enlarged_square_is_not_the_stored_one(models: FrozenModels):
    class Other(EfficientNetLite0):
        token_square = 96

    assert not Seeing(Needs("squashed", "last", "tokens"), models, Other().freeze()).takes_squashed(SIDE)
