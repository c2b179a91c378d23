"""The frozen models for photographs, and the description of a prompt encoder trained on them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from prosam.checkpoints.efficientnet_lite import SHA256, efficientnet_lite0_file
from prosam.checkpoints.frozen import load_backbone, load_frozen_models
from prosam.checkpoints.frozen_weights import Origin
from prosam.files import sha256_of
from prosam.models.backbones import EfficientNetLite0
from prosam.models.frozen import FrozenModels
from prosam.models.sam import PHOTOGRAPH_SAM
from prosam.models.sam_lite import LITE_SIZE
from prosam.pretraining.photos.encoder import PHOTO_BACKBONE, PhotoEncoderPretraining, photo_run_params
from prosam.pretraining.photos.episodes import ANNOTATION_KINDS


def lite_trunk() -> EfficientNetLite0:
    """EfficientNet-Lite0 with its published weights, frozen."""
    trunk = load_backbone(PHOTO_BACKBONE, efficientnet_lite0_file())
    assert isinstance(trunk, EfficientNetLite0)
    return trunk


def lite_models(sam_file: Path) -> FrozenModels:
    """SAM `lite` and its backbone, on the CPU.

    Args:
        sam_file: weights of the SAM, without the trunk's.
    """
    return load_frozen_models(
        sam=PHOTOGRAPH_SAM,
        sam_checkpoint=sam_file,
        architecture=PHOTO_BACKBONE,
        backbone_checkpoint=efficientnet_lite0_file(),
        image_size=LITE_SIZE,
        upsampling="centres",
        device=torch.device("cpu"),
        image_encoder=True,
    )


def describe_photo_encoder(
    settings: PhotoEncoderPretraining, classes: tuple[str, ...], sam_file: Path
) -> dict[str, Any]:
    """The description that goes with it, as `save_model` has it."""
    run = photo_run_params(settings.distribution)
    train = {
        "steps": settings.steps,
        "batch_size": settings.batch_size,
        "samples": settings.samples,
        "lr": settings.lr,
        "weight_decay": settings.weight_decay,
        "clip_norm": settings.clip_norm,
        "schedule": {"kind": "cosine", "warmup": settings.warmup},
        "seed": settings.seed,
    }
    return {
        "name": run.method,
        "method": run.method,
        "distribution": run.prompt_distribution,
        "backbone": run.backbone,
        "init": run.init,
        "dataset": "photographs",
        "kinds": list(ANNOTATION_KINDS),
        "base_classes": list(classes),
        "run": run.model_dump(mode="json"),
        "train": train,
        "image_size": LITE_SIZE,
        "upsampling": "centres",
        "sam": asdict(Origin(PHOTOGRAPH_SAM, sam_file.name, sha256_of(sam_file))),
        "backbone_weights": asdict(Origin(PHOTO_BACKBONE, efficientnet_lite0_file().name, SHA256)),
    }
