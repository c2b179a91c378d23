"""SAM 2.1 against transformers' Sam2Model, with random weights; its true sizes; its checkpoints' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prosam.checkpoints.published import PUBLISHED_SAM
from prosam.checkpoints.sam import known_sam, load_sam, sam_state
from prosam.checkpoints.sam2_names import sam2_state
from prosam.checkpoints.weights import shapes_only, write_weights
from prosam.errors import InputError
from prosam.methods.parts.target_guided_attention import decode_guided
from prosam.models.embedding_details import embedding_channels
from prosam.models.many_prompts import decode_many
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import SAM_BUILDERS, build_tiny_sam, decode_candidates, decode_masks, embed_points, encode_images
from prosam.models.sam2 import HieraSize, build_sam2
from prosam.models.segment_anything import Sam
from tests.models.random_weights import imagenet_normalised, random_images, randomise, relative_difference
from tests.models.sam2_names import authors_names

SIZE, GRID = 256, 16  # px, cells; windows do not divide the grids of the last two stages
WIDTH = 16


@pytest.fixture(scope="module")
def hubs() -> Any:
    """transformers' model with a narrow trunk and the published decoder."""
    sam2 = pytest.importorskip("transformers.models.sam2")
    backbone = sam2.Sam2HieraDetConfig(
        hidden_size=WIDTH, embed_dim_per_stage=[WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH], image_size=[SIZE, SIZE]
    )
    vision = sam2.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH],
        backbone_feature_sizes=[[4 * GRID, 4 * GRID], [2 * GRID, 2 * GRID], [GRID, GRID]],
    )
    config = sam2.Sam2Config(
        vision_config=vision,
        prompt_encoder_config=sam2.Sam2PromptEncoderConfig(image_size=SIZE),
        mask_decoder_config=sam2.Sam2MaskDecoderConfig(dynamic_multimask_via_stability=False),
    )
    model = sam2.Sam2Model(config).eval().requires_grad_(False)
    randomise(model.state_dict())
    shared = model.shared_image_embedding.positional_embedding  # published with the same values twice
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
    return model


@pytest.fixture(scope="module")
def sam(hubs: Any) -> Sam:
    """Ours, with the weights of `hubs` under the hub's names."""
    ours = build_sam2(HieraSize(width=WIDTH), SIZE)
    ours.load_state_dict(sam2_state(hubs.state_dict()))
    return ours.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def embedding(sam: Sam) -> Tensor:
    """Of two images."""
    return encode_images(sam, random_images(2, SIZE))


def fine_features(hubs: Any) -> list[Tensor]:
    return hubs.get_image_embeddings(imagenet_normalised(random_images(2, SIZE)))


@torch.no_grad()
def test_the_embedding_with_its_details_is_the_hubs_three_feature_maps(hubs: Any, sam: Sam, embedding: Tensor):
    fourfold, twice, core = fine_features(hubs)
    assert embedding.shape == (2, 1024, GRID, GRID) == (2, embedding_channels(sam), GRID, GRID)
    assert relative_difference(embedding[:, :256], core) < 1e-4
    cell = embedding[:, 256:].flatten(2).transpose(1, 2)
    quarters, sixteenths = cell[..., :256].unflatten(-1, (4, 64)), cell[..., 256:].unflatten(-1, (16, 32))
    for row, column in ((0, 0), (3, 7), (15, 14)):
        place = row * GRID + column
        for part in range(4):
            y, x = divmod(part, 2)
            assert torch.allclose(
                quarters[:, place, part], twice[:, :, 2 * row + y, 2 * column + x], atol=1e-4 * float(twice.abs().max())
            )
            for within in range(4):
                below, beside = divmod(within, 2)
                expected = fourfold[:, :, 4 * row + 2 * y + below, 4 * column + 2 * x + beside]
                found = sixteenths[:, place, 4 * part + within]
                assert torch.allclose(found, expected, atol=1e-4 * float(fourfold.abs().max()))


def by_the_hub(hubs: Any, prompts: Tensor, dense: Tensor | None = None, *, multimask: bool = False) -> tuple[Any, ...]:
    """transformers' decoder with prompts (B, K, N, d) on the two images: masks, estimates, tokens, object scores."""
    fourfold, twice, core = fine_features(hubs)
    if dense is None:
        dense = hubs.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand_as(core)
    return hubs.mask_decoder(
        image_embeddings=core,
        image_positional_embeddings=hubs.get_image_wide_positional_embeddings().repeat(len(core), 1, 1, 1),
        sparse_prompt_embeddings=prompts,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
        high_resolution_features=[fourfold, twice],
    )


def test_mask_token_estimate_object_score_and_gradient_are_the_hubs(hubs: Any, sam: Sam, embedding: Tensor):
    prompts = noise(2, 3, 7, 256)
    theirs, ours = prompts.clone().requires_grad_(True), prompts.clone().requires_grad_(True)
    masks, quality, _, presence = by_the_hub(hubs, theirs)
    decoder = MaskTokenDecoder(sam)
    found, estimates = decoder.rated(embedding, ours)
    weights = noise(*found.shape, seed=2)
    (masks[:, :, 0] * weights).mean().backward()
    (found * weights).mean().backward()
    assert masks.std() > 0.01
    assert relative_difference(found.detach(), masks.detach()[:, :, 0]) < 1e-3
    masks, quality, presence, estimates = (x.detach() for x in (masks, quality, presence, estimates))
    assert relative_difference(decoder(embedding, prompts), masks[:, :, 0]) < 1e-3
    assert relative_difference(decode_masks(sam, embedding, prompts), masks[:, :, 0]) < 1e-3
    assert relative_difference(estimates, quality[:, :, 0]) < 1e-4
    assert ((estimates > 0) & (estimates < 1)).all()
    assert relative_difference(decoder.object_scores(embedding, prompts), presence[..., 0]) < 1e-3
    assert theirs.grad is not None
    assert ours.grad is not None
    assert theirs.grad.abs().max() > 0
    assert relative_difference(ours.grad, theirs.grad) < 1e-3


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("with_masks", [False, True])
@torch.no_grad()
def test_many_prompts_on_one_image_are_the_hubs(
    hubs: Any, sam: Sam, embedding: Tensor, multimask: bool, with_masks: bool
):
    prompts, drawn = noise(2, 1, 3, 256), noise(2, 1, 4 * GRID, 4 * GRID, seed=3)
    dense = hubs.prompt_encoder.mask_embed(drawn) if with_masks else None
    masks, quality, _, _ = by_the_hub(hubs, prompts, dense, multimask=multimask)
    given = sam.prompt_encoder(points=None, boxes=None, masks=drawn)[1] if with_masks else None
    for image in range(2):
        one = None if given is None else given[image, None]
        found, estimates = decode_many(sam, embedding[image], prompts[image], dense=one, multimask=multimask)
        assert relative_difference(found, masks[image]) < 1e-3
        assert relative_difference(estimates, quality[image]) < 1e-4
    four, _ = decode_candidates(sam, embedding, prompts[:, 0], dense=given)
    assert relative_difference(four[:, 1:] if multimask else four[:, :1], masks[:, 0]) < 1e-3


@torch.no_grad()
def test_points_and_boxes_are_the_hubs_prompts(hubs: Any, sam: Sam):
    points, labels = torch.tensor([[[30.0, 40.0], [200.0, 7.5]]]), torch.tensor([[1, 0]])
    boxes = torch.tensor([[[12.0, 20.0, 90.0, 130.0]]])
    expected = hubs.prompt_encoder(points[:, None], labels[:, None], None, None)[0][:, 0]
    padded = torch.cat([points, torch.zeros(1, 1, 2)], 1), torch.cat([labels, torch.tensor([[-1]])], 1)
    assert relative_difference(embed_points(sam, *padded), expected) < 1e-5
    expected = hubs.prompt_encoder(None, None, boxes, None)[0][:, 0]
    corners = torch.cat([boxes.reshape(1, 2, 2), torch.zeros(1, 1, 2)], 1)
    assert relative_difference(embed_points(sam, corners, torch.tensor([[2, 3, -1]])), expected) < 1e-5


@torch.no_grad()
def test_guided_attention_takes_the_token_of_the_object_along(sam: Sam, embedding: Tensor):
    """PerSAM's decoder; tests/methods compares it with its own on SAMs without this token."""
    inputs = noise(1, 2, 256), torch.zeros(GRID, GRID), torch.zeros(256)
    found = decode_guided(sam, embedding[0], *inputs)
    assert found.shape == (4 * GRID, 4 * GRID)
    token = sam.mask_decoder.obj_score_token.weight
    before = token.clone()
    token += 1
    assert relative_difference(decode_guided(sam, embedding[0], *inputs), found) > 1e-4
    token.copy_(before)


def test_only_sam_2_scores_the_object():
    tiny = build_tiny_sam().eval().requires_grad_(False)
    with pytest.raises(ValueError, match="only SAM 2"):
        MaskTokenDecoder(tiny).object_scores(torch.zeros(1, 64, 16, 16), torch.zeros(1, 1, 1, 64))


def test_the_authors_file_is_read_by_names(sam: Sam):
    ours = sam.state_dict()
    found = sam2_state(authors_names(ours))
    assert found.keys() == ours.keys()
    assert all(torch.equal(found[name], ours[name]) for name in ours)
    assert sam2_state(ours).keys() == ours.keys()


def zeros_in_one_place(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.items()}


@pytest.fixture(scope="module")
def authors_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the true names and shapes of sam2.1_hiera_tiny.pt."""
    with shapes_only():
        shapes = SAM_BUILDERS["sam2.1_t"]().state_dict()
    path = tmp_path_factory.mktemp("authors") / "sam2.1_hiera_tiny.pt"
    torch.save({"model": zeros_in_one_place(authors_names(shapes))}, path)
    return path


def test_a_published_file_is_known_checked_and_loaded_without_its_encoder(authors_file: Path):
    assert known_sam(authors_file) == "sam2.1_t"
    whole = sam_state("sam2.1_t", authors_file)
    decoder = load_sam("sam2.1_t", authors_file, image_encoder=False)
    assert not any(name.startswith("image_encoder") for name in decoder.state_dict())
    assert decoder.state_dict().keys() == {name for name in whole if not name.startswith("image_encoder.")}


def test_a_wrong_or_partial_file_is_refused_in_one_line(authors_file: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"sam2\.1_hiera_tiny\.pt: is not a checkpoint of SAM 'sam2\.1_s'") as caught:
        sam_state("sam2.1_s", authors_file)
    assert "\n" not in str(caught.value)
    state = torch.load(authors_file)["model"]
    del state["sam_mask_decoder.obj_score_token.weight"]
    torch.save({"model": state}, tmp_path / "partial.pt")
    with pytest.raises(
        InputError, match=r"partial\.pt: .*'sam2\.1_t': it lacks 'mask_decoder\.obj_score_token\.weight'"
    ):
        sam_state("sam2.1_t", tmp_path / "partial.pt")
    write_weights(build_tiny_sam(), tmp_path / "tiny.safetensors")
    with pytest.raises(InputError, match=r"tiny\.safetensors: is not a checkpoint of SAM 'sam2\.1_t'"):
        sam_state("sam2.1_t", tmp_path / "tiny.safetensors")


@pytest.mark.parametrize(
    ("name", "millions"), [("sam2.1_t", 38.9), ("sam2.1_s", 46.0), ("sam2.1_b+", 80.8), ("sam2.1_l", 224.4)]
)
def test_the_sizes_are_the_published_ones_less_the_memory(name: str, millions: float):
    """The authors print 38.9, 46, 80.8 and 224.4 M parameters, of which the memory has 7.5 M in each."""
    with shapes_only():
        sam = SAM_BUILDERS[name]()
    count = sum(p.numel() for p in sam.parameters())
    assert count / 1e6 == pytest.approx(millions - 7.5, abs=0.1)
    assert embedding_channels(sam) == 1024
    assert sam.image_encoder.img_size == 1024
    file = PUBLISHED_SAM[name]
    assert file.size is not None
    assert file.size / 4e6 == pytest.approx(millions, rel=0.01)
