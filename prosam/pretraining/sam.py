"""Training the small promptable SAM from scratch, class-agnostically."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from prosam.data.shapes.draw import promptable_scene
from prosam.models.sam import build_tiny_sam, decode_candidates, decode_masks, embed_points, preprocess
from prosam.models.segment_anything import Sam
from prosam.pretraining.click_prompts import PROMPT_KINDS, draw_prompt
from prosam.training.schedule import cosine_with_warmup

TRAINING, HELD_OUT = 0, 1  # the streams of scenes


@dataclass(frozen=True)
class SamPretraining:
    """Settings; the defaults made the bundled weights."""

    steps: int = 4000
    images: int = 8
    prompts: int = 4  # an image
    lr: float = 1.5e-3
    warmup: int = 200
    weight_decay: float = 0.02
    kind_shares: tuple[float, ...] = (0.2, 0.15, 0.2, 0.45)  # of PROMPT_KINDS
    seed: int = 0


@dataclass(frozen=True)
class PromptedBatch:
    """M prompts on B images: images (B, 3, S, S) uint8, then M of each, `image_of` telling on which image."""

    images: Tensor
    coordinates: Tensor
    labels: Tensor
    masks: Tensor
    image_of: Tensor


def prompted_batch(kinds: list[list[str]], rng: np.random.Generator) -> PromptedBatch:
    """Fresh scenes, one for each entry of `kinds`, with prompts of the kinds that the entry lists."""
    images, prompts, image_of = [], [], []
    for index, scene_kinds in enumerate(kinds):
        scene = promptable_scene(rng)
        images.append(scene.image.transpose(2, 0, 1))
        for kind in scene_kinds:
            prompt = draw_prompt(scene.instances, kind, rng)
            if prompt is not None:
                prompts.append(prompt)
                image_of.append(index)
    return PromptedBatch(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.stack([p.coordinates for p in prompts])),
        torch.from_numpy(np.stack([p.labels for p in prompts])),
        torch.from_numpy(np.stack([p.mask for p in prompts])),
        torch.tensor(image_of),
    )


def pretrain_sam(settings: SamPretraining) -> Sam:
    """Train the small SAM; a progress bar tells the loss and the running IoU."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        sam = build_tiny_sam()
    decayed = [p for p in sam.parameters() if p.ndim > 1]
    plain = [p for p in sam.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98))
    rng = np.random.default_rng([settings.seed, TRAINING])
    running = 0.0
    progress = tqdm(range(settings.steps), desc="pretrain sam", mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * cosine_with_warmup(step, settings.steps, settings.warmup)
        drawn = rng.choice(len(PROMPT_KINDS), (settings.images, settings.prompts), p=settings.kind_shares)
        batch = prompted_batch([[PROMPT_KINDS[k] for k in row] for row in drawn], rng)
        embedding = sam.image_encoder(preprocess(sam, batch.images))[batch.image_of]
        prompts = embed_points(sam, batch.coordinates, batch.labels)
        loss, iou = _candidates_loss(*decode_candidates(sam, embedding, prompts), batch.masks)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(sam.parameters(), 1.0)
        optimizer.step()
        running += (iou - running) * max(0.01, 1 / (step + 1))
        progress.set_postfix(loss=f"{loss.item():.3f}", iou=f"{running:.3f}", refresh=False)
    return sam.eval().requires_grad_(False)


def _candidates_loss(logits: Tensor, estimates: Tensor, masks: Tensor) -> tuple[Tensor, float]:
    # token 0 answers alone; of tokens 1 to 3 the best is taught; the IoU head learns what they reach (as in SAM)
    target = F.interpolate(masks[:, None].float(), logits.shape[-2:], mode="area").expand_as(logits)
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((2, 3))
    p = logits.sigmoid()
    dice = 1 - (2 * (p * target).sum((2, 3)) + 1) / (p.sum((2, 3)) + target.sum((2, 3)) + 1)
    each = 2 * bce + dice
    reached = mask_iou(logits.detach() > 0, target > 0.5)
    loss = each[:, 0].mean() + 0.3 * each[:, 1:].amin(1).mean() + 0.2 * F.mse_loss(estimates, reached)
    return loss, reached[:, 0].mean().item()


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boolean masks (..., H, W); 0 for two empty ones."""
    return (a & b).sum((-2, -1)) / (a | b).sum((-2, -1)).clamp_min(1)


@torch.no_grad()
def measure_sam(sam: Sam, scenes: int = 400, batch: int = 50) -> dict[str, float]:
    """Mean IoU of the single-mask output on held-out scenes, for each kind of prompt, at full resolution."""
    figures = {}
    for index, kind in enumerate(PROMPT_KINDS):
        rng = np.random.default_rng([index, HELD_OUT])
        ious = []
        for _ in range(0, scenes, batch):
            drawn = prompted_batch([[kind]] * batch, rng)
            embedding = sam.image_encoder(preprocess(sam, drawn.images))[drawn.image_of]
            prompts = embed_points(sam, drawn.coordinates, drawn.labels)
            logits = decode_masks(sam, embedding, prompts[:, None])
            full = F.interpolate(logits, drawn.masks.shape[-2:], mode="bilinear", align_corners=False)
            ious.append(mask_iou(full[:, 0] > 0, drawn.masks))
        figures[kind] = torch.cat(ious).mean().item()
    return figures
