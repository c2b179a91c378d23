"""Training SAM `lite` on photographs, class-agnostically: its neck, prompt encoder and mask decoder, not its trunk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.checkpoints.bundled import SAM_WEIGHTS
from prosam.checkpoints.weights import load_state
from prosam.files import atomic_path
from prosam.models.embedding_details import Details, as_image, as_tokens
from prosam.models.sam_lite import LITE_SIZE, build_lite_sam
from prosam.models.segment_anything import Sam
from prosam.pretraining.photos.decoding import Candidates, decode_at
from prosam.pretraining.photos.prompts import (
    PHOTO_PROMPT_KINDS,
    PhotoPrompt,
    draw_photo_prompt,
    embed_mask_inputs,
    embed_places,
)
from prosam.pretraining.photos.views import View, together
from prosam.progress import Progress
from prosam.training.schedule import cosine_with_warmup

TRAINED = ("image_encoder.neck.", "prompt_encoder.", "mask_decoder.")  # the rest is the trunk
SIZE = LITE_SIZE  # of the photos, px
_SAVED_EVERY = 200  # steps


@dataclass(frozen=True)
class PhotoSamPretraining:
    """Settings; the defaults made the bundled weights.

    Attributes:
        images: a step.
        prompts: an image.
        mask_share: the share of the prompts that are asked twice, the second time with SAM's own mask as an input.
        kept: the share of the embedding's cells at which the loss looks; drawn anew each step.
        kind_shares: of PHOTO_PROMPT_KINDS.
        clothing: how often an object of a `ccp` category (Clothing Co-Parsing) is drawn, against any other.
        smallest: cells of the smallest object that is asked for, of 128 x 128.
        average: of the weights, exponential; the average is the result.
    """

    steps: int = 12000
    images: int = 6
    prompts: int = 4
    mask_share: float = 0.15
    kept: float = 0.5
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.02
    kind_shares: tuple[float, ...] = (0.27, 0.16, 0.25, 0.32)
    clothing: float = 0.6
    smallest: int = 50
    average: float = 0.998
    seed: int = 0


def pretrain_photo_sam(
    views: list[View], classes: tuple[str, ...], settings: PhotoSamPretraining, checkpoint: Path
) -> Sam:
    """Train; killed and started again with the same checkpoint it goes on, and ends the same.

    Prompt encoder and decoder start from those of the bundled SAM for shapes: from random ones hundreds of steps pass
    before there is any mask.

    Args:
        views: of the training photos.
        classes: names of the categories.
        settings: of the training.
        checkpoint: file for the unfinished state.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        sam = build_lite_sam()
    state = load_state(SAM_WEIGHTS, without="image_encoder.")
    sam.load_state_dict({name: x for name, x in state.items() if not name.startswith("pixel")}, strict=False)
    sam.requires_grad_(False)
    trained = {name: p.requires_grad_() for name, p in sam.named_parameters() if name.startswith(TRAINED)}
    average = {name: p.detach().clone() for name, p in trained.items()}
    groups = [
        {"params": [p for p in trained.values() if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained.values() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98))
    done = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        sam.load_state_dict(saved["sam"], strict=False)
        optimizer.load_state_dict(saved["optimizer"])
        average, done = saved["average"], saved["step"]
    draw = _Drawing(views, classes, settings)
    with Progress("pretrain sam-lite", settings.steps, "step", done=done) as progress:
        for step in range(done, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * cosine_with_warmup(step, settings.steps, settings.warmup)
            loss, iou = _step_loss(sam, draw, step)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
            optimizer.step()
            share = min(settings.average, (step + 2) / (step + 31))
            for name, mean in average.items():
                mean.lerp_(trained[name].detach(), 1 - share)
            progress.advance(loss=loss.item(), iou=iou)
            if (step + 1) % _SAVED_EVERY == 0:
                own = {name: p.detach() for name, p in trained.items()}
                _save(
                    checkpoint, {"sam": own, "optimizer": optimizer.state_dict(), "average": average, "step": step + 1}
                )
    sam.load_state_dict(average, strict=False)
    return sam.eval().requires_grad_(False)


def _save(path: Path, state: dict[str, object]) -> None:
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


class _Drawing:
    """Draws photos and prompts: a photo as often as the root of its objects' weight, then its objects by weight."""

    def __init__(self, views: list[View], classes: tuple[str, ...], settings: PhotoSamPretraining):
        self.views, self.settings = views, settings
        self._weights, self._photos = [], []
        for view in views:
            clothing = np.array([classes[number - 1].startswith("ccp ") for number in view.class_of])
            usable = (view.cells >= settings.smallest) & ~view.crowd & (view.visible > 0.35)
            weights = np.where(clothing, settings.clothing, 1.0) * usable
            photos = np.array([math.sqrt(weights[objects].sum()) if objects else 0.0 for objects in view.objects])
            self._weights.append(weights)
            self._photos.append(photos / photos.sum())

    def batch(self, rng: np.random.Generator) -> tuple[list[tuple[View, int]], list[PhotoPrompt], list[str]]:
        photos, prompts, kinds = [], [], []
        for _ in range(self.settings.images):
            number = int(rng.integers(len(self.views)))
            view, probabilities = self.views[number], self._photos[number]
            photo = int(rng.choice(len(probabilities), p=probabilities))
            photos.append((view, photo))
            objects = np.array(view.objects[photo])
            weights = self._weights[number][objects]
            for index in rng.choice(objects, self.settings.prompts, p=weights / weights.sum()):
                kind = PHOTO_PROMPT_KINDS[int(rng.choice(len(PHOTO_PROMPT_KINDS), p=self.settings.kind_shares))]
                prompts.append(draw_photo_prompt(view, int(index), kind, rng, smallest=self.settings.smallest))
                kinds.append(kind)
        return photos, prompts, kinds


def _step_loss(sam: Sam, draw: _Drawing, step: int) -> tuple[Tensor, float]:
    settings = draw.settings
    rng = np.random.default_rng([settings.seed, step])
    photos, prompts, kinds = draw.batch(rng)
    stages = together([view.stages([photo]) for view, photo in photos])
    cells = math.prod(sam.prompt_encoder.image_embedding_size)
    kept = torch.from_numpy(np.sort(rng.permutation(cells)[: int(cells * settings.kept)]))
    with_mask = np.sort(rng.permutation(len(prompts))[: round(len(prompts) * settings.mask_share)])
    without = np.setdiff1d(np.arange(len(prompts)), with_mask)
    with torch.autocast("cpu", torch.bfloat16):
        embedding, twice, fourfold = sam.image_encoder.neck.parts(stages)
    details = Details(twice, fourfold)
    loss, iou = torch.zeros(()), 0.0
    for group in (without, with_mask):
        if not len(group):
            continue
        chosen = [prompts[i] for i in group]
        places = torch.from_numpy(np.stack([prompt.places for prompt in chosen]))
        labels = torch.from_numpy(np.stack([prompt.labels for prompt in chosen]))
        used = min(int((labels >= 0).sum(1).max()) + 1, labels.shape[1])  # one padding is SAM's own way with points
        ambiguous = [i for i, number in enumerate(group) if group is without and kinds[number] == "one point"]
        single_points = torch.tensor(ambiguous, dtype=torch.long)
        image_of = torch.from_numpy(group // settings.prompts)
        with torch.autocast("cpu", torch.bfloat16):
            sparse = embed_places(sam, places[:, :used], labels[:, :used])
            dense = None
            if group is with_mask:
                with torch.no_grad():
                    first = decode_at(sam, embedding, details, image_of, sparse).single
                dense = embed_mask_inputs(sam, as_image(first[..., None])[:, 0].float())
            found = decode_at(sam, embedding, details, image_of, sparse, dense=dense, kept=kept, multiple=single_points)
        masks = torch.from_numpy(np.stack([prompt.mask for prompt in chosen]))
        truth = as_tokens(masks[:, None], sam.prompt_encoder.image_embedding_size[0])[:, kept, :, 0]
        of_group, reached = _candidates_loss(found, truth.flatten(1), single_points)
        loss = loss + of_group * (len(group) / len(prompts))
        iou = reached if group is without else iou
    return loss, iou


def _candidates_loss(found: Candidates, truth: Tensor, single_points: Tensor) -> tuple[Tensor, float]:
    # mask 0 answers alone; for a single point, which may mean a part or a whole, the best of masks 1 to 3 is taught
    # too; the estimates of the IoU learn what the masks reach (as in SAM)
    single, quality = found.single.float().flatten(1), found.quality.float()
    reached = _iou(single.detach() > 0, truth)
    loss = _each(single, truth.float()).mean() + 0.2 * F.mse_loss(quality[:, 0], reached)
    if len(single_points):
        several, of_points = found.multiple.float().flatten(2), truth[single_points][:, None]
        each = _each(several, of_points.float().expand_as(several)).amin(1)
        error = (quality[single_points, 1:] - _iou(several.detach() > 0, of_points)).square().mean(1)
        loss = loss + (0.3 * each + 0.2 * error).sum() / len(truth)
    return loss, reached.mean().item()


def _each(logits: Tensor, truth: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(-1)
    p = logits.sigmoid()
    dice = 1 - (2 * (p * truth).sum(-1) + 1) / (p.sum(-1) + truth.sum(-1) + 1)
    return 2 * bce + 2 * dice


def _iou(a: Tensor, b: Tensor) -> Tensor:
    return (a & b).sum(-1) / (a | b).sum(-1).clamp_min(1)
