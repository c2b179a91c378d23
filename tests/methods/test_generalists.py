"""SegGPT and Painter at a small size, against double precision and against transformers' own processor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from prosam.checkpoints.generalists import load_generalist
from prosam.features.seeing import Seeing
from prosam.features.seen import SeenImage, Shot
from prosam.methods.in_context import InContext
from prosam.methods.painter import Painter
from prosam.methods.rivals import build_rival
from prosam.methods.seggpt import SegGpt
from prosam.models.frozen_sam import FrozenSam
from prosam.models.generalist import Generalist
from prosam.models.sam import build_tiny_sam
from prosam.params.rivals import GeneralistName, SegGptRival
from tests.methods.generalist_formulas import PATCH, SIDE, authors_weights, normalised, painted

pytest.importorskip("transformers")

METHODS: list[GeneralistName] = ["seggpt", "painter"]
TOKENS = {"seggpt": "type_token_ins", "painter": None}
SIZE = (45, 70)


def weights(method: GeneralistName) -> dict[str, Tensor]:
    return authors_weights(tokens=method == "seggpt")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Generalist]:
    folder, loaded = tmp_path_factory.mktemp("networks"), {}
    for method in METHODS:
        torch.save({"model": weights(method), "epoch": 14}, folder / f"{method}.pth")
        loaded[method] = load_generalist(method, folder / f"{method}.pth")
    return loaded


@pytest.fixture
def methods(networks: dict[str, Generalist]) -> dict[str, InContext]:
    return {"seggpt": SegGpt(networks["seggpt"]), "painter": Painter(networks["painter"])}


def image(seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (5, 8, 3), dtype=np.uint8))
    return np.asarray(small.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def disc(seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    rows, columns = np.indices(size)
    return (rows - 20 - 3 * seed) ** 2 + (columns - 30 - 5 * seed) ** 2 < 180


def seen(method: InContext, pixels: NDArray[np.uint8]) -> SeenImage:
    sam = build_tiny_sam().eval().requires_grad_(False)
    models = FrozenSam.of(sam, image_size=128, upsampling="centres", device=torch.device("cpu"))
    return Seeing.of(method.needs, models)(pixels)


def shots(method: InContext, count: int) -> list[Shot]:
    return [Shot(seen(method, image(n)), torch.from_numpy(disc(n))) for n in range(count)]


def expected_colours(method: GeneralistName, references: list[int], target: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W, 3): what the authors' programs write, but for SegGPT's rounding."""

    def square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))

    def square_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        places = [[int((n + 0.5) * side / SIDE) for n in range(SIDE)] for side in mask.shape]
        return mask[np.ix_(*places)]

    pairs = [(square(image(n)), square_mask(disc(n))) for n in references]
    state, height, width = weights(method), target.shape[0], target.shape[1]
    if method == "seggpt":
        small = painted(state, pairs, square(target), TOKENS[method])
        return small[np.arange(height) * SIDE // height][:, np.arange(width) * SIDE // width]
    small = np.mean([painted(state, [pair], square(target), None) for pair in pairs], axis=0)
    large = F.interpolate(torch.from_numpy(small).permute(2, 0, 1)[None], (height, width), mode="bilinear")
    return np.floor(large[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("method", METHODS)
def test_masks_score_and_presence_follow_the_published_code(
    methods: dict[str, InContext], method: GeneralistName, count: int
):
    target = image(9)
    found = methods[method].find(methods[method].learn(shots(methods[method], count)), seen(methods[method], target))
    colours = expected_colours(method, list(range(count)), target)
    to_white, to_black = (((colours - end) ** 2).sum(-1) for end in (255.0, 0.0))
    mask = to_white < to_black
    assert 0.1 < mask.mean() < 0.9
    sure = np.abs(colours.mean(-1) - 127.5) > 0.01 if method == "seggpt" else np.full(mask.shape, True)
    predicted = (found.logits > 0).numpy()
    assert found.logits.shape == SIZE
    assert (predicted == mask)[sure].mean() == 1 if method == "seggpt" else (predicted == mask).mean() > 0.999
    assert found.score == pytest.approx((colours.mean(-1)[mask] / 127.5 - 1).mean(), abs=2e-3)


@pytest.mark.parametrize("token", ["instance", "semantic"])
def test_the_type_token_is_the_one_of_the_settings(networks: dict[str, Generalist], token: str):
    method = SegGpt(networks["seggpt"], SegGptRival.model_validate({"method": "seggpt", "token": token}))
    found = method.find(method.learn(shots(method, 1)), seen(method, image(9)))
    name = {"instance": "type_token_ins", "semantic": "type_token_cls"}[token]
    small = np.asarray(Image.fromarray(image(9)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    reference = np.asarray(Image.fromarray(image(0)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    mask = np.asarray(Image.fromarray(disc(0)).resize((SIDE, SIDE), Image.Resampling.NEAREST))
    colours = painted(weights("seggpt"), [(reference, mask)], small, name)
    patches = colours.mean(-1).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH).mean((1, 3))
    assert found.presence == pytest.approx(patches.max() / 255, abs=1e-5)


def test_inputs_and_masks_are_those_of_transformers_processor(networks: dict[str, Generalist]):
    from transformers import SegGptImageProcessorPil

    network, method = networks["seggpt"], SegGpt(networks["seggpt"])
    processor: Any = SegGptImageProcessorPil(size={"height": SIDE, "width": SIDE})
    given = processor(
        images=Image.fromarray(image(9)),
        prompt_images=Image.fromarray(image(0)),
        prompt_masks=disc(0).astype(np.uint8),
        num_labels=1,
        return_tensors="pt",
    )
    concept, target = method.learn(shots(method, 1)), seen(method, image(9))
    assert target.picture is not None
    for ours, theirs in (
        (target.picture, given["pixel_values"][0]),
        (concept.pictures[0], given["prompt_pixel_values"][0]),
        (concept.colours[0], given["prompt_masks"][0]),
    ):
        torch.testing.assert_close(normalised(ours.permute(1, 2, 0).numpy()), theirs.double(), atol=1e-6, rtol=0)
    with torch.no_grad():
        output = network.network(**given)
    (mask,) = processor.post_process_semantic_segmentation(output, target_sizes=[SIZE], num_labels=1)
    found = method.find(concept, target)
    assert torch.equal((found.logits > 0).int(), mask.int())


@pytest.mark.parametrize("method", METHODS)
def test_a_reference_that_vanishes_is_left_out_and_none_gives_an_empty_mask(
    methods: dict[str, InContext], method: GeneralistName
):
    one = np.zeros((200, 300), bool)
    one[7, 11] = True
    tiny = Shot(seen(methods[method], image(3, (200, 300))), torch.from_numpy(one))
    (good,) = shots(methods[method], 1)
    target = seen(methods[method], image(9))
    alone = methods[method].find(methods[method].learn([good]), target)
    together = methods[method].find(methods[method].learn([tiny, good]), target)
    assert torch.equal(alone.logits, together.logits)
    nothing = methods[method].find(methods[method].learn([tiny, tiny]), target)
    assert not (nothing.logits > 0).any()
    assert (nothing.score, nothing.presence) == (0.0, 0.0)


def test_a_mask_that_is_painted_black_has_score_0(networks: dict[str, Generalist]):
    network = networks["painter"]
    head: Any = network.network.decoder.decoder_pred.head
    before = head.bias.clone()
    try:
        head.bias -= 100
        method = Painter(network)
        found = method.find(method.learn(shots(method, 1)), seen(method, image(9)))
    finally:
        head.bias.copy_(before)
    assert not (found.logits > 0).any()
    assert torch.isfinite(found.logits).all()
    assert (found.score, found.presence) == (0.0, 0.0)


def test_without_transformers_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from prosam import InputError

    torch.save({"model": weights("seggpt")}, tmp_path / "seggpt.pth")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"need transformers; install it with: pip install 'prosam\[generalists\]'$"):
        load_generalist("seggpt", tmp_path / "seggpt.pth")


def test_a_rival_is_built_with_its_network(networks: dict[str, Generalist]):
    sam = build_tiny_sam().eval()
    models = FrozenSam.of(sam, image_size=128, upsampling="centres", device=torch.device("cpu"))
    assert isinstance(build_rival(SegGptRival(method="seggpt"), models, networks["seggpt"]), SegGpt)
