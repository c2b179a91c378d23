"""Training the shipped prompt encoder: ProSAM on all 20 classes of shapes-5i, references annotated in every kind.

The protocol of folds holds nothing out here, for nothing is measured on novel classes: it is what answers before one
has trained a model of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from prosam.data.annotating import annotate
from prosam.data.annotations import Annotations, write_annotations
from prosam.data.dataset import Dataset, Split
from prosam.data.episodes import draw_episodes
from prosam.data.folds import ClassImages, ImageClass, image_classes
from prosam.data.formats.voc import VocDataset, write_voc
from prosam.data.images import square_image
from prosam.data.sampling import TrainingSampler
from prosam.data.shapes_scenes import LabelledImage, shapes_classes, shapes_scenes
from prosam.embedded import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.embeddings.build import Source, build_store
from prosam.embeddings.store import EmbeddingStore
from prosam.episode_tensors import AnnotatedReference, EpisodeTensors, References
from prosam.evaluation import evaluate_episodes
from prosam.feature_table import FeatureTable, open_feature_table
from prosam.files import sha256_of
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.models.backbones import EMBEDDED_BACKBONE, load_backbone
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_weights import Origin
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.prompt_encoder import PromptEncoder
from prosam.models.sam import EMBEDDED_SAM, encode_images, load_sam
from prosam.params import AnnotationKind, AnnotationsParams, RunParams, TrainParams
from prosam.params.models import EMBEDDED_SIZE
from prosam.statistics import miou
from prosam.training.loop import Watch, train

KINDS: tuple[AnnotationKind, ...] = ("mask", "box", "scribble", "point")  # of a variant, by its number modulo 4
_DRAWINGS = 5  # of each image, class and kind
_MIN_AREA = 64  # px, as the protocol of shapes-5i has it


@dataclass(frozen=True)
class PromptEncoderPretraining:
    """Settings; the defaults made the shipped weights. They are those of params.yaml, but for more steps.

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


class EveryKind(EpisodeTensors):
    """Reads references annotated in any kind: the number of the variant says which, and which drawing."""

    def __init__(
        self,
        models: FrozenModels,
        dataset: Dataset,
        annotations: Mapping[AnnotationKind, Annotations],
        embeddings: EmbeddingStore,
        table: FeatureTable | None,
    ):
        """Open; see `EpisodeTensors`. There are annotations of all KINDS."""
        super().__init__(models, dataset, annotations[KINDS[0]], embeddings, table, kind=KINDS[0])
        self.of_kind = {
            kind: EpisodeTensors(models, dataset, of_kind, embeddings, table, kind=kind)
            for kind, of_kind in annotations.items()
        }
        self._variants = {kind: of_kind.variants for kind, of_kind in annotations.items()}

    def references(self, wanted: Sequence[AnnotatedReference]) -> References:
        """See `EpisodeTensors.references`; variant v is drawing v // 4 of kind v modulo 4."""
        each = [self._reference(reference) for reference in wanted]
        return References(
            torch.cat([r.features for r in each]),
            torch.cat([r.annotation for r in each]),
            [features for r in each for features in r.foreground],
            [drawn for r in each for drawn in r.drawn],
        )

    def _reference(self, wanted: AnnotatedReference) -> References:
        drawing, number = divmod(wanted.variant, len(KINDS))
        kind = KINDS[number]
        variant = drawing % self._variants[kind]
        return self.of_kind[kind].references([AnnotatedReference(wanted.image, wanted.class_id, variant)])


def embedded_models() -> FrozenModels:
    """The embedded default's SAM, with its image encoder, and backbone, on the CPU."""
    sam = load_sam(EMBEDDED_SAM, SAM_WEIGHTS)
    backbone = load_backbone(EMBEDDED_BACKBONE, BACKBONE_WEIGHTS)
    return FrozenModels(sam, MaskTokenDecoder(sam), backbone, EMBEDDED_SIZE, False, torch.device("cpu"))


def pretrain_prompt_encoder(settings: PromptEncoderPretraining) -> tuple[PromptEncoder, dict[str, float]]:
    """Train the shipped prompt encoder.

    Returns:
        The encoder, and its mIoU in percent on held-out scenes of the same 20 classes, by kind of annotation.
    """
    with _shapes(settings) as shapes:
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
        train(
            method,
            shapes.train,
            sampler,
            optimisation,
            watch=Watch(shapes.val, shapes.dataset, watched, 50),
            checkpoint=shapes.folder / "checkpoint.pt",
            name="pretrain prompt-encoder",
        )
        return method.encoder, _measured(method, shapes, settings)


def run_params() -> RunParams:
    """The run: params.yaml's `prosam`."""
    return RunParams(method="prosam", backbone=EMBEDDED_BACKBONE)


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
    run = run_params()
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
        "image_size": EMBEDDED_SIZE,
        "upsampling": "centres",
        "sam": asdict(Origin(EMBEDDED_SAM, SAM_WEIGHTS.name, sha256_of(SAM_WEIGHTS))),
        "backbone_weights": asdict(Origin(EMBEDDED_BACKBONE, BACKBONE_WEIGHTS.name, sha256_of(BACKBONE_WEIGHTS))),
    }


@dataclass(frozen=True)
class _Shapes:
    """The data set in a temporary folder, with what reads it."""

    folder: Path
    models: FrozenModels
    dataset: VocDataset
    train: EveryKind
    val: EveryKind
    train_images: ClassImages
    val_images: ClassImages
    val_order: list[str]


@contextmanager
def _shapes(settings: PromptEncoderPretraining) -> Iterator[_Shapes]:
    counts: dict[Split, int] = {"train": settings.scenes, "val": settings.held_out}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        root, models = folder / "shapes", embedded_models()
        root.mkdir()
        scenes: dict[Split, Iterable[LabelledImage]] = {
            split: shapes_scenes(split, count, size=EMBEDDED_SIZE, seed=settings.seed)
            for split, count in counts.items()
        }
        write_voc(root, shapes_classes(), scenes)
        dataset = VocDataset(root)
        ids = [image for split in counts for image in dataset.image_ids(split)]

        def encode(images: Sequence[str]) -> torch.Tensor:
            squares = np.stack([square_image(dataset.image(image), models.image_size) for image in images])
            return encode_images(models.sam, torch.from_numpy(squares))

        build_store(
            folder / "embeddings",
            [Source(image, dataset.image_path(image)) for image in ids],
            encode,
            shape=(models.sam.prompt_encoder.embed_dim, *models.sam.prompt_encoder.image_embedding_size),
            made_by={},
            computed_by={},
            shard_size=64,
            batch_size=1,
            scratch=folder / "scratch",
        )
        store = EmbeddingStore(folder / "embeddings")
        table = open_feature_table(models, dataset, ids, made_by={}, scratch=folder, budget_bytes=float("inf"))
        rows = {
            split: [
                row
                for image in dataset.image_ids(split)
                for row in image_classes(dataset, split, image)
                if row.area >= _MIN_AREA
            ]
            for split in counts
        }
        read = {
            split: EveryKind(models, dataset, _annotations(folder, dataset, rows[split], split), store, table)
            for split in counts
        }
        yield _Shapes(
            folder,
            models,
            dataset,
            read["train"],
            read["val"],
            _by_class(rows["train"]),
            _by_class(rows["val"]),
            dataset.image_ids("val"),
        )


def _annotations(
    folder: Path, dataset: Dataset, rows: Sequence[ImageClass], split: Split
) -> dict[AnnotationKind, Annotations]:
    tables = {}
    for kind in KINDS:
        path = folder / f"{split}-{kind}.parquet"
        drawn = annotate(dataset, rows, kind, AnnotationsParams())
        write_annotations(path, (annotation for of_row in drawn for annotation in of_row))
        tables[kind] = Annotations(path)
    return tables


def _by_class(rows: Sequence[ImageClass]) -> ClassImages:
    images: dict[int, list[str]] = {}
    for row in rows:
        images.setdefault(row.class_id, []).append(row.image)
    return {class_id: images[class_id] for class_id in sorted(images) if len(images[class_id]) > 1}


def _measured(method: PromptMethod, shapes: _Shapes, settings: PromptEncoderPretraining) -> dict[str, float]:
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
    for kind, tensors in shapes.val.of_kind.items():
        outcomes = [
            o["run"].overlap for _, o in evaluate_episodes({"run": method}, tensors, shapes.dataset, episodes, 50)
        ]
        class_ids = [episode.class_id for episode in episodes]
        figures[kind] = 100 * miou([o.intersection for o in outcomes], [o.union for o in outcomes], class_ids)
    return figures
