"""Training the bundled prompt encoder: ProSAM on all 20 classes of shapes-5i, references annotated in every kind.

The protocol of folds holds nothing out here, for nothing is measured on novel classes: it is what answers before one
has trained a model of one's own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.frozen_weights import Origin
from prosam.data.dataset import Split
from prosam.data.episodes import draw_episodes
from prosam.data.sampling import TrainingSampler
from prosam.data.shapes.scenes import shapes_classes
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.evaluation.metrics import miou
from prosam.files import sha256_of
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.models.prompt_encoder import PromptEncoder
from prosam.models.sam import BUNDLED_SAM
from prosam.params import RunParams, TrainParams
from prosam.params.models import BUNDLED_SIZE
from prosam.pretraining.annotated_shapes import BACKBONE, KINDS, AnnotatedShapes, annotated_shapes
from prosam.training.loop import Validation, train_prompt_encoder
from prosam.training.settings import TrainSettings

_DRAWINGS = 5  # of each image, class and kind


@dataclass(frozen=True)
class PromptEncoderPretraining:
    """Settings; the defaults made the bundled weights. They are those of params.yaml, but for more steps.

    Attributes:
        scenes: of the train split of shapes-5i.
        held_out: scenes of its val split.
        episodes: to measure on, of each kind of annotation.
    """

    steps: int = 320
    batch_size: int = 16
    samples: int = 2
    lr: float = 2e-3
    weight_decay: float = 1e-6
    clip_norm: float = 1.0
    warmup: int = 50
    scenes: int = 1000
    held_out: int = 300
    episodes: int = 300
    seed: int = 0


def pretrain_prompt_encoder(settings: PromptEncoderPretraining) -> tuple[PromptEncoder, dict[str, float]]:
    """Train the bundled prompt encoder.

    Returns:
        The encoder, and its mIoU in percent on held-out scenes of the same 20 classes, by kind of annotation.
    """
    counts: dict[Split, int] = {"train": settings.scenes, "val": settings.held_out}
    with annotated_shapes(counts, settings.seed) as shapes:
        optimisation = training_params(settings)
        method = build_prompt_method(run_params(), shapes.models, seed=settings.seed)
        sampler = TrainingSampler(
            shapes.train_images,
            batch_size=settings.batch_size,
            seed=settings.seed,
            sampling="class",
            variants=len(KINDS) * _DRAWINGS,
        )
        watched = draw_episodes(
            shapes.val_images, shapes.val_order, 50, targets="in-order", seed=settings.seed, fold=0, purpose="monitor"
        )
        train_prompt_encoder(
            method,
            shapes.train,
            sampler,
            TrainSettings(optimisation),
            validation=Validation(shapes.val_every_kind, watched, 50),
            checkpoint=shapes.folder / "checkpoint.pt",
            name="pretrain prompt-encoder",
        )
        return method.encoder, _measured(method, shapes, settings)


def run_params() -> RunParams:
    """The run: params.yaml's `prosam`."""
    return RunParams(method="prosam", kind="mask", backbone=BACKBONE, init="anchored")


def training_params(settings: PromptEncoderPretraining) -> TrainParams:
    """The settings as the training loop takes them."""
    return TrainParams.model_validate(
        {
            "steps": settings.steps,
            "batch_size": settings.batch_size,
            "samples": settings.samples,
            "lr": settings.lr,
            "weight_decay": settings.weight_decay,
            "clip_norm": settings.clip_norm,
            "schedule": {"kind": "cosine", "warmup": settings.warmup},
            "monitor_every": settings.steps,
            "checkpoint_every": settings.steps,
            "seed": settings.seed,
        }
    )


def describe_prompt_encoder(settings: PromptEncoderPretraining) -> dict[str, Any]:
    """The description that goes with it, as `save_model` has it."""
    run, backbone = run_params(), BACKBONE_WEIGHTS[BACKBONE]
    return {
        "name": "prosam",
        "method": run.method,
        "distribution": run.prompt_distribution,
        "backbone": run.backbone,
        "init": run.init,
        "dataset": "shapes-5i",
        "kinds": list(KINDS),
        "base_classes": shapes_classes(),
        "run": run.model_dump(mode="json"),
        "train": training_params(settings).model_dump(mode="json"),
        "image_size": BUNDLED_SIZE,
        "upsampling": "centres",
        "sam": asdict(Origin(BUNDLED_SAM, SAM_WEIGHTS.name, sha256_of(SAM_WEIGHTS))),
        "backbone_weights": asdict(Origin(BACKBONE, backbone.name, sha256_of(backbone))),
    }


def _measured(method: PromptMethod, shapes: AnnotatedShapes, settings: PromptEncoderPretraining) -> dict[str, float]:
    episodes = draw_episodes(
        shapes.val_images,
        shapes.val_order,
        settings.episodes,
        targets="in-order",
        seed=settings.seed,
        fold=0,
        purpose="test",
    )
    figures = {}
    for kind, tensors in shapes.val.items():
        outcomes = [o["run"].overlap for _, o in evaluate_episodes({"run": method}, tensors, episodes, 50)]
        class_ids = [episode.class_id for episode in episodes]
        figures[kind] = 100 * miou([o.intersection for o in outcomes], [o.union for o in outcomes], class_ids)
    return figures
