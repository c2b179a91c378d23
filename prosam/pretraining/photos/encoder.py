"""Training the prompt encoder for photographs: all categories, references annotated in every kind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.files import atomic_path
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.models.distributions import Dirac
from prosam.models.embedding_details import as_tokens, split_details
from prosam.models.frozen import FrozenModels
from prosam.params import RunParams
from prosam.params.schema import DistributionName, MethodName
from prosam.pretraining.photos.decoding import decode_at
from prosam.pretraining.photos.episodes import ANNOTATION_KINDS, Categories, Shown, annotated_cells, references, targets
from prosam.pretraining.photos.views import View
from prosam.progress import Progress
from prosam.training.schedule import cosine_with_warmup

PHOTO_BACKBONE = "efficientnet-lite0"
_SAVED_EVERY = 50  # steps


@dataclass(frozen=True)
class PhotoEncoderPretraining:
    """Settings; the defaults made the bundled weights.

    Attributes:
        distribution: of the prompts: `t3` makes it ProSAM, `dirac` VRP-SAM.
        samples: of the prompts, a target; one of a point mass.
        kept: the share of the embedding's cells at which the loss looks; drawn anew each step.
        reference_shares: of the steps whose targets have one, two and three references each, whose prompts are
            averaged; a step has as many references in all as one with a single reference has.
        kind_shares: of the kinds of annotation.
        clothing: how often a `ccp` category (Clothing Co-Parsing) is drawn, against any other with as many photos.
        same_photo: the share of references that are another view of the target.
        single_object: the share of references with several objects of which one alone is annotated.
    """

    distribution: DistributionName = "t3"
    steps: int = 1400
    batch_size: int = 8
    samples: int = 2
    kept: float = 0.5
    lr: float = 1e-3
    weight_decay: float = 1e-6
    clip_norm: float = 1.0
    warmup: int = 50
    reference_shares: tuple[float, ...] = (0.7, 0.2, 0.1)
    kind_shares: tuple[float, ...] = (0.4, 0.25, 0.2, 0.15)
    clothing: float = 0.45
    same_photo: float = 0.15
    single_object: float = 0.4
    seed: int = 0


def photo_run_params(distribution: DistributionName) -> RunParams:
    """The run, as params.yaml would have it."""
    method: MethodName = "vrp-sam" if distribution == "dirac" else "prosam"
    return RunParams(
        method=method,
        kind="mask",
        backbone=PHOTO_BACKBONE,
        distribution=None if method == "vrp-sam" else distribution,
        init="labelled",
    )


def pretrain_photo_encoder(
    models: FrozenModels,
    views: list[View],
    classes: tuple[str, ...],
    settings: PhotoEncoderPretraining,
    checkpoint: Path,
    *,
    without: Collection[int] = (),
) -> PromptMethod:
    """Train; killed and started again with the same checkpoint it goes on, and ends the same.

    Args:
        models: SAM `lite` and EfficientNet-Lite0.
        views: of the training photos.
        classes: names of the categories.
        settings: of the training.
        checkpoint: file for the unfinished state.
        without: class ids; photos that show one of them are left out.
    """
    method = build_prompt_method(photo_run_params(settings.distribution), models, seed=settings.seed)
    encoder = method.encoder
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    done = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        encoder.load_state_dict(saved["encoder"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["step"]
    draw = _Drawing([Categories(view, without=without) for view in views], classes, settings, models.grid)
    with Progress(f"pretrain prompt encoder, {settings.distribution}", settings.steps, "step", done=done) as progress:
        for step in range(done, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * cosine_with_warmup(step, settings.steps, settings.warmup)
            encoder.train()
            loss = _step_loss(method, draw, step)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), settings.clip_norm)
            optimizer.step()
            encoder.eval()
            progress.advance(loss=loss.item())
            if (step + 1) % _SAVED_EVERY == 0:
                state = {"encoder": encoder.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
                with atomic_path(checkpoint) as temporary:
                    torch.save(state, temporary)
    return method


@dataclass(frozen=True)
class _Batch:
    count: int  # k, references a target; those of a target follow one another
    references: list[tuple[View, int]]
    cells: Tensor
    targets: list[tuple[View, int]]
    truth: Tensor


class _Drawing:
    """Draws pairs: a category as often as the root of its photos' number, at most 40, then two photos of it."""

    def __init__(
        self, categories: list[Categories], classes: tuple[str, ...], settings: PhotoEncoderPretraining, grid: int
    ):
        self.settings, self._views, self._grid = settings, categories, grid
        self.class_ids = [
            class_id
            for class_id in sorted(categories[0].shown)
            if all(len(view.shown.get(class_id, ())) > 1 for view in categories)
        ]
        weights = [
            (settings.clothing if classes[class_id - 1].startswith("ccp ") else 1.0)
            * min(len(categories[0].shown[class_id]), 40) ** 0.5
            for class_id in self.class_ids
        ]
        self._weights = np.array(weights) / sum(weights)

    def batch(self, rng: np.random.Generator) -> _Batch:
        shares = self.settings.reference_shares
        count = 1 + int(rng.choice(len(shares), p=shares))
        of_references, cells, of_targets, truth = [], [], [], []
        for _ in range(max(1, self.settings.batch_size // count)):
            class_id = int(rng.choice(self.class_ids, p=self._weights))
            here = self._views[int(rng.integers(len(self._views)))]
            target = _any(here.shown[class_id], rng)
            kind = ANNOTATION_KINDS[int(rng.choice(len(ANNOTATION_KINDS), p=self.settings.kind_shares))]
            for _ in range(count):
                there = self._views[int(rng.integers(len(self._views)))]
                reference = self._reference(there, here, class_id, target.photo, rng)
                objects = reference.objects
                if len(objects) > 1 and rng.random() < self.settings.single_object:
                    large = [index for index in objects if there.view.cells[index] >= 100]
                    objects = [int(rng.choice(large))] if large else objects
                cells.append(annotated_cells(there.view.union(objects), kind, rng, self._grid, training=True))
                of_references.append((there.view, reference.photo))
            of_targets.append((here.view, target.photo))
            truth.append(torch.from_numpy(here.mask(target)))
        return _Batch(count, of_references, torch.stack(cells), of_targets, torch.stack(truth))

    def _reference(
        self, there: Categories, here: Categories, class_id: int, target: int, rng: np.random.Generator
    ) -> Shown:
        shown = there.shown[class_id]
        if there is not here and rng.random() < self.settings.same_photo:
            same = [reference for reference in shown if reference.photo == target]
            if same:
                return same[0]
        return _any([reference for reference in shown if reference.photo != target], rng)


def _any(shown: list[Shown], rng: np.random.Generator) -> Shown:
    return shown[int(rng.integers(len(shown)))]


def _step_loss(method: PromptMethod, draw: _Drawing, step: int) -> Tensor:
    """BCE and Dice of `prosam.training.losses`, at the kept cells."""
    settings, sam = draw.settings, method.models.sam
    rng = np.random.default_rng([settings.seed, step])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    batch = draw.batch(rng)
    seen = targets(method.models, batch.targets)
    concept = method.learn(references(method.models, batch.references, batch.cells), generator)
    prompts = method.episode_prompts(concept, seen, batch.count, generator=generator)
    count = 1 if isinstance(prompts.each, Dirac) else settings.samples
    side = sam.prompt_encoder.image_embedding_size[0]
    kept = torch.from_numpy(np.sort(rng.permutation(side**2)[: int(side**2 * settings.kept)]))
    embedding, details = split_details(sam, seen.embedding)
    assert details is not None  # SAM lite has them
    with torch.autocast("cpu", torch.bfloat16):
        found = decode_at(
            sam,
            embedding.flatten(2).transpose(1, 2),
            details,
            torch.arange(len(embedding)).repeat_interleave(count),
            prompts.sample(count, generator).flatten(0, 1),
            kept=kept,
        )
    logits = found.single.float().flatten(1)
    truth = as_tokens(batch.truth[:, None], side)[:, kept, :, 0].flatten(1).float().repeat_interleave(count, 0)
    p = logits.sigmoid()
    dice = 1 - (2 * (p * truth).sum(-1) + 1) / (p.sum(-1) + truth.sum(-1) + 1)
    return F.binary_cross_entropy_with_logits(logits, truth) + dice.mean()
