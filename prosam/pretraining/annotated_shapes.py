"""shapes-5i in a temporary folder, with references annotated in every kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.frozen import load_frozen_models
from prosam.data.annotating import annotate
from prosam.data.annotations import Annotations, write_annotations
from prosam.data.dataset import Dataset, Split
from prosam.data.folds import ClassImages, ImageClass, image_classes
from prosam.data.formats.voc import VocDataset, write_voc
from prosam.data.images import square_image
from prosam.data.shapes.scenes import LabelledImage, shapes_classes, shapes_scenes
from prosam.features.embedding_build import ImageFile, build_store
from prosam.features.embedding_store import EmbeddingStore
from prosam.features.episode_cache import EpisodeCache
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.feature_table import open_feature_table
from prosam.features.levels import TabledLevels
from prosam.features.pairs import AnnotatedReference, ReferenceMask
from prosam.features.reference_masks import DrawnMasks, GridRule, ReferenceMasks
from prosam.features.source import FeatureSource
from prosam.models.embedding_details import embedding_channels
from prosam.models.frozen import FrozenModels
from prosam.models.sam import BUNDLED_SAM, encode_images
from prosam.params import AnnotationKind, AnnotationsParams
from prosam.params.models import BUNDLED_SIZE

BACKBONE = "tiny-resnet"
KINDS: tuple[AnnotationKind, ...] = ("mask", "box", "scribble", "point")  # of a variant, by its number modulo 4
_MIN_AREA = 64  # px, as the protocol of shapes-5i has it


@dataclass(frozen=True)
class EveryKind:
    """Annotations of any kind: the number of a reference's variant says which, and which drawing.

    Attributes:
        of_kind: the masks of each of KINDS.
    """

    of_kind: Mapping[AnnotationKind, DrawnMasks]

    def mask(self, reference: AnnotatedReference) -> ReferenceMask:
        """See `ReferenceMasks.mask`; variant v is drawing v // 4 of kind v modulo 4."""
        drawing, number = divmod(reference.variant, len(KINDS))
        masks = self.of_kind[KINDS[number]]
        variant = drawing % masks.annotations.variants
        return masks.mask(AnnotatedReference(reference.image, reference.class_id, variant))


def bundled_models() -> FrozenModels:
    """The bundled default's SAM, with its image encoder, and backbone, on the CPU."""
    return load_frozen_models(
        sam=BUNDLED_SAM,
        sam_checkpoint=SAM_WEIGHTS,
        architecture=BACKBONE,
        backbone_checkpoint=BACKBONE_WEIGHTS[BACKBONE],
        image_size=BUNDLED_SIZE,
        upsampling="centres",
        device=torch.device("cpu"),
        image_encoder=True,
    )


@dataclass(frozen=True)
class AnnotatedShapes:
    """The data set in a temporary folder, with what reads it."""

    folder: Path
    models: FrozenModels
    dataset: VocDataset
    train: EpisodeTensors
    val: dict[AnnotationKind, EpisodeTensors]
    val_every_kind: EpisodeTensors
    train_images: ClassImages
    val_images: ClassImages
    val_order: list[str]


@contextmanager
def annotated_shapes(counts: dict[Split, int], seed: int) -> Iterator[AnnotatedShapes]:
    """Make the data set, with SAM's embeddings, the backbone's features, and annotations of every kind.

    Args:
        counts: scenes of train and val.
        seed: of the data set.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        root, models = folder / "shapes", bundled_models()
        root.mkdir()
        scenes: dict[Split, Iterable[LabelledImage]] = {
            split: shapes_scenes(split, count, size=BUNDLED_SIZE, seed=seed) for split, count in counts.items()
        }
        write_voc(root, shapes_classes(), scenes)
        dataset = VocDataset(root)
        ids = [image for split in counts for image in dataset.image_ids(split)]

        def read(image: str) -> torch.Tensor:
            return torch.from_numpy(square_image(dataset.image(image), models.image_size))

        build_store(
            folder / "embeddings",
            [ImageFile(image, dataset.image_path(image)) for image in ids],
            read,
            [partial(encode_images, models.sam)],
            shape=(embedding_channels(models.sam), *models.sam.prompt_encoder.image_embedding_size),
            made_by={},
            computed_by={},
            shard_size=64,
            batch_size=1,
            scratch=folder / "scratch",
        )
        store = EmbeddingStore(folder / "embeddings")
        table = open_feature_table(models, dataset, ids, made_by={}, scratch=folder, budget_bytes=float("inf"))
        assert table is not None  # the budget has no bound
        source = FeatureSource(models, TabledLevels(table, models.device), store.read_stored)
        rows = {
            split: [
                row
                for image in dataset.image_ids(split)
                for row in image_classes(dataset, split, image)
                if row.area >= _MIN_AREA
            ]
            for split in counts
        }
        every_kind = {
            split: EveryKind(_masks(folder, dataset, rows[split], split, GridRule.of(models, "covered")))
            for split in counts
        }

        def tensors(masks: ReferenceMasks) -> EpisodeTensors:
            return EpisodeTensors(source, dataset, masks, EpisodeCache())

        yield AnnotatedShapes(
            folder,
            models,
            dataset,
            tensors(every_kind["train"]),
            {kind: tensors(masks) for kind, masks in every_kind["val"].of_kind.items()},
            tensors(every_kind["val"]),
            _by_class(rows["train"]),
            _by_class(rows["val"]),
            dataset.image_ids("val"),
        )


def _masks(
    folder: Path, dataset: Dataset, rows: Sequence[ImageClass], split: Split, rule: GridRule
) -> dict[AnnotationKind, DrawnMasks]:
    masks = {}
    for kind in KINDS:
        path = folder / f"{split}-{kind}.parquet"
        drawn = annotate(dataset, rows, kind, AnnotationsParams())
        write_annotations(path, (annotation for of_row in drawn for annotation in of_row))
        masks[kind] = DrawnMasks(Annotations(path), kind, rule)
    return masks


def _by_class(rows: Sequence[ImageClass]) -> ClassImages:
    images: dict[int, list[str]] = {}
    for row in rows:
        images.setdefault(row.class_id, []).append(row.image)
    return {class_id: images[class_id] for class_id in sorted(images) if len(images[class_id]) > 1}
