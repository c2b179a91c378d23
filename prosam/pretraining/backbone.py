"""Training the small backbones: which of 64 pool kinds does a crop show?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from prosam.data.shapes.draw import ShapeKind, class_kinds, object_crop, pool_kinds
from prosam.models.backbones import BUNDLED_BACKBONES, KindClassifier
from prosam.training.schedule import cosine_with_warmup

TRAINING, HELD_OUT, SHOTS = 0, 1, 2  # the streams of crops


@dataclass(frozen=True)
class BackbonePretraining:
    """Settings; SETTINGS made the bundled weights."""

    steps: int = 1500
    crops: int = 48  # a step
    lr: float = 3e-3
    warmup: int = 100
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    seed: int = 0


SETTINGS = {  # by architecture
    "tiny-resnet": BackbonePretraining(),
    "tiny-vgg": BackbonePretraining(steps=1000),
}


def crops(kinds: list[ShapeKind], rng: np.random.Generator) -> tuple[Tensor, NDArray[np.bool_]]:
    """Fresh crops, one of each given kind: (B, 3, 64, 64) uint8 and the objects' masks (B, 64, 64)."""
    scenes = [object_crop(rng, kind) for kind in kinds]
    images = np.stack([scene.image.transpose(2, 0, 1) for scene in scenes])
    return torch.from_numpy(images), np.stack([scene.labels == 1 for scene in scenes])


def pretrain_backbone(architecture: str, settings: BackbonePretraining) -> KindClassifier:
    """Train a small backbone; a progress bar tells loss and running accuracy.

    Args:
        architecture: a key of BUNDLED_BACKBONES; all of them see the same crops.
        settings: of the training.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        net = BUNDLED_BACKBONES[architecture]()
    pool = pool_kinds()
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    rng = np.random.default_rng([settings.seed, TRAINING])
    running = 0.0
    progress = tqdm(range(settings.steps), desc=f"pretrain {architecture}", mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * cosine_with_warmup(step, settings.steps, settings.warmup)
        kinds = rng.integers(len(pool), size=settings.crops)
        images, _ = crops([pool[k] for k in kinds], rng)
        target = torch.from_numpy(kinds)
        logits = net(images)
        loss = F.cross_entropy(logits, target, label_smoothing=settings.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        accuracy = (logits.argmax(1) == target).float().mean().item()
        running += (accuracy - running) * max(0.01, 1 / (step + 1))
        progress.set_postfix(loss=f"{loss.item():.3f}", accuracy=f"{running:.3f}", refresh=False)
    return net.eval().requires_grad_(False)


@torch.no_grad()
def measure_backbone(net: KindClassifier, *, crops_measured: int = 1280, tasks: int = 400) -> dict[str, float]:
    """Accuracy on held-out crops of the 64 kinds, and how well masked features tell *unseen* kinds apart.

    Returns:
        `64-way accuracy`: of the classifier. `5-way one-shot accuracy`: five of the twenty classes of shapes-5i, one
        crop of each shown; a further crop is given the class with the most similar masked mean of levels 3 and 4.
    """
    pool, classes = pool_kinds(), class_kinds()
    rng = np.random.default_rng([0, HELD_OUT])
    right = 0
    for _ in range(0, crops_measured, len(pool)):
        images, _ = crops(list(pool), rng)
        right += int((net(images).argmax(1) == torch.arange(len(pool))).sum())
    accuracy = right / (-(-crops_measured // len(pool)) * len(pool))

    rng = np.random.default_rng([0, SHOTS])
    hits = 0
    for _ in range(tasks):
        ways = [classes[i] for i in rng.choice(len(classes), 5, replace=False)]
        asked = int(rng.integers(5))
        images, masks = crops([*ways, ways[asked]], rng)
        vectors = F.normalize(_masked_means(net, images, torch.from_numpy(masks)), dim=1)
        hits += int((vectors[:5] @ vectors[5]).argmax()) == asked
    return {"64-way accuracy": accuracy, "5-way one-shot accuracy": hits / tasks}


def _masked_means(net: KindClassifier, images: Tensor, masks: Tensor) -> Tensor:
    _, level3 = net.levels(images)
    weight = F.interpolate(masks[:, None].float(), level3.shape[-2:], mode="area")
    levels = (level3, net.level4(level3))
    means = [(x * weight).sum((2, 3)) / weight.sum((2, 3)) for x in levels]
    return torch.cat([F.normalize(m, dim=1) for m in means], 1)
