"""A step of training in two forms: a plain one for reading and comparison, and ours.

The plain form works like VRP-SAM's code, with the same mathematics: SAM's own decoder runs once for each of the K
samples, all samples are in one loss, and the pseudo mask uses all pairs of positions. The frozen models have random
weights, which are enough for time and gradients.

Shape letters: B pairs, K samples, N prompts, d prompt dimension, g side of SAM's grid, h of the backbone's, S of the
square image, px.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.features.pairs import References, Targets
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.models.backbones import BACKBONE_BUILDERS, for_inference
from prosam.models.distributions import PromptDistribution
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.pseudo_mask import annotated_features, annotation_grid
from prosam.models.sam import build_tiny_sam, decode_masks
from prosam.models.segment_anything import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from prosam.params import RunParams
from prosam.training.samples import LossOf, SampleLoss
from prosam.training.settings import Execution

TINY_GRID = 16  # the bundled SAM's grid
_PIXELS_A_CELL = 8  # stride of the backbones


@dataclass(frozen=True)
class Pairs:
    """B pairs of a reference and a target.

    Attributes:
        references: (B, 3, S, S) uint8.
        annotation: (B, S, S) bool, whole cells of the backbone's grid.
        targets: (B, 3, S, S) uint8.
        embedding: (B, d, g, g), SAM's embeddings of the targets.
        truth: (B, 1, S, S) 0 or 1.
    """

    references: Tensor
    annotation: Tensor
    targets: Tensor
    embedding: Tensor
    truth: Tensor


def build_sam(grid: int) -> Sam:
    """A SAM with random weights: the bundled one, or one with the real decoder behind the smallest encoder."""
    if grid == TINY_GRID:
        return build_tiny_sam().eval()
    size = grid * 16
    return Sam(
        image_encoder=ImageEncoderViT(img_size=size, embed_dim=16, depth=1, num_heads=1),
        prompt_encoder=PromptEncoder(256, (grid, grid), (size, size), 16),
        mask_decoder=MaskDecoder(transformer_dim=256, transformer=TwoWayTransformer(2, 256, 8, 2048)),
    ).eval()


def build_methods(grid: int, device: torch.device) -> tuple[PromptMethod, PromptMethod]:
    """ProSAM on random frozen models, with the backbone as published and as we run it. Both share the trained weights.

    Args:
        grid: g. 16 for the bundled default; otherwise SAM's decoder and a ResNet-50 at 8 g px, so 64 for the paper's.
        device: where all weights are.
    """
    architecture = "tiny-resnet" if grid == TINY_GRID else "resnet50"
    sam = build_sam(grid).requires_grad_(False).to(device)
    backbone = BACKBONE_BUILDERS[architecture]().freeze()
    models = FrozenModels(
        sam=sam,
        decoder=MaskTokenDecoder(sam),
        backbone=for_inference(copy.deepcopy(backbone)).to(device),
        image_size=_PIXELS_A_CELL * grid,
        align_corners=True,
        device=device,
    )
    run = RunParams.model_validate({"method": "prosam", "kind": "mask", "backbone": architecture})
    ours = build_prompt_method(run, models, seed=0)
    as_published = replace(models, backbone=backbone.to(device))
    return PromptMethod(ours.encoder, as_published, normalised_pseudo_mask=True), ours


def random_pairs(models: FrozenModels, count: int) -> Pairs:
    """Pairs of noise images. A fifth of each reference is annotated, and the object fills a quarter of each target."""
    noise, size, grid = torch.Generator().manual_seed(0), models.image_size, models.grid
    prompts = models.sam.prompt_encoder
    cells = torch.zeros(count, grid, grid, dtype=torch.bool)
    cells.flatten(1)[:, : grid * grid // 5] = True
    truth = torch.zeros(count, 1, size, size)
    truth[..., size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1

    def images() -> Tensor:
        return torch.randint(0, 256, (count, 3, size, size), generator=noise, dtype=torch.uint8)

    embedding = torch.randn(count, prompts.embed_dim, *prompts.image_embedding_size, generator=noise)
    made = images(), cells.repeat_interleave(size // grid, 1).repeat_interleave(size // grid, 2), images()
    return Pairs(*(tensor.to(models.device) for tensor in (*made, embedding, truth)))


# -------------------------------------------------------------------------------------------------------- plain


def plain_prompts(method: PromptMethod, pairs: Pairs) -> PromptDistribution:
    """Run backbone, pseudo mask and prompt encoder."""
    backbone, encoder = method.models.backbone, method.encoder
    annotation = pairs.annotation[:, None, ::_PIXELS_A_CELL, ::_PIXELS_A_CELL].float()
    with torch.no_grad():
        reference2, reference3 = backbone.levels(pairs.references)
        target2, target3 = backbone.levels(pairs.targets)
        reference4 = backbone.level4(reference3 * annotation) * annotation
        similarity = plain_pseudo_mask(reference4, backbone.level4(target3))
    code = encoder.encode_reference(torch.cat([reference2, reference3], 1), annotation)
    return encoder.encode_target(code, torch.cat([target2, target3], 1), similarity)


def plain_pseudo_mask(reference4: Tensor, target4: Tensor) -> Tensor:
    """The pseudo mask, (B, 1, h, h), normalised to [0, 1] for each target.

    Args:
        reference4: (B, C4, h, h), zero outside the annotation.
        target4: (B, C4, h, h).
    """
    reference, target = reference4.flatten(2).transpose(1, 2), target4.flatten(2)
    lengths = reference.norm(dim=2, keepdim=True) * target.norm(dim=1, keepdim=True)
    best = (reference @ target / (lengths + 1e-7)).amax(1)
    low, high = best.amin(1, keepdim=True), best.amax(1, keepdim=True)
    return ((best - low) / (high - low + 1e-7)).view(-1, 1, *target4.shape[2:])


def plain_loss(models: FrozenSam, embedding: Tensor, truth: Tensor, samples: Tensor) -> Tensor:
    """Run SAM's own decoder and the loss, sample by sample.

    Args:
        models: the models whose SAM is run.
        embedding: (B, d, g, g).
        truth: (B, 1, S, S).
        samples: (B, K, N, d).
    """
    losses = []
    for k in range(samples.shape[1]):
        masks = decode_masks(models.sam, embedding, samples[:, k : k + 1])
        logits = F.interpolate(masks, truth.shape[-2:], mode="bilinear", align_corners=models.align_corners)
        p = logits.sigmoid()
        dice = 1 - (2 * (p * truth).sum((2, 3)) + 1) / (p.sum((2, 3)) + truth.sum((2, 3)) + 1)
        losses.append(F.binary_cross_entropy_with_logits(logits, truth) + dice.mean())
    return torch.stack(losses).mean()


# ---------------------------------------------------------------------------------------------------------- ours


class OurPrompts:
    """Computes the same as `plain_prompts`, in the way of a training."""

    def __init__(self, method: PromptMethod, execution: Execution):
        self._method, self._execution, self._models = method, execution, method.models
        self._levels, self._level4 = self._models.backbone.levels, self._models.backbone.level4
        if execution.compiled:
            self._method = method.compiled()
            self._levels = torch.compile(self._levels, dynamic=False)
            self._level4 = torch.compile(self._level4, dynamic=False)

    def __call__(self, pairs: Pairs) -> PromptDistribution:
        """Run backbone, pseudo mask and prompt encoder."""
        with self._execution.autocast(self._models.device):
            references, targets = self.features(pairs)
            return self._method.prompts(self._method.learn(references), targets)

    @torch.no_grad()
    def features(self, pairs: Pairs) -> tuple[References, Targets]:
        """Run the backbone as `EpisodeTensors` does without a feature table."""
        drawn = list(pairs.annotation.cpu())
        levels = self._levels(torch.cat([pairs.references, pairs.targets]))
        (reference2, target2), (reference3, target3) = (level.chunk(2) for level in levels)
        cells = torch.stack([annotation_grid(one, self._models.grid, thin=False) for one in drawn])
        foreground = annotated_features(self._models.backbone, reference3, cells)
        mid = torch.cat([reference2, reference3], 1), torch.cat([target2, target3], 1)
        return (
            References(mid[0], cells.to(self._models.device), foreground, drawn),
            Targets(mid[1], self._level4(target3), pairs.embedding),
        )


def our_loss(models: FrozenSam, embedding: Tensor, truth: Tensor, execution: Execution) -> LossOf:
    """The loss of samples, the same as `plain_loss`, in the way of a training."""
    return partial(SampleLoss(models, execution), embedding=embedding, truth=truth)
