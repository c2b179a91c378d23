"""The common inputs of training and evaluation: data set, annotations, embeddings and frozen models of a run."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from prosam import layout
from prosam.checkpoints.frozen import load_frozen_models
from prosam.checkpoints.frozen_weights import Origin, read_origin, weights_file
from prosam.closure import digest_of_code
from prosam.data.annotations import Annotations
from prosam.data.dataset import SPLITS, Dataset, Split
from prosam.data.open import open_dataset
from prosam.distributed.device import machine, prepare_device
from prosam.errors import InputError
from prosam.features.embedding_store import EmbeddingStore
from prosam.features.episode_cache import EpisodeCache
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.feature_table import FeatureTable, open_feature_table
from prosam.features.levels import ComputedLevels, TabledLevels
from prosam.features.reference_masks import DrawnMasks, GridRule, ReferenceMasks
from prosam.features.resized_images import DecodedImages, ResizedImageCache, ResizedImages
from prosam.features.source import FeatureSource
from prosam.models.frozen import FrozenModels
from prosam.params import Params


class RunInputs:
    """The inputs of one run on one data set, opened when they are first needed."""

    def __init__(self, params: Params, dataset: str, run: str, *, image_encoder: bool = False):
        """Open data set, embeddings and frozen models.

        Args:
            params: all parameters.
            dataset: a key of `datasets`.
            run: a key of `runs`.
            image_encoder: whether to load SAM's image encoder, too, for images without a stored embedding.

        Raises:
            InputError: an input is missing or damaged, or the embeddings were made with another SAM or image size.
        """
        self._params, self._dataset = params, dataset
        self._annotations = layout.annotations(dataset, run)
        self.dataset: Dataset = open_dataset(layout.raw(dataset))
        self.embeddings: EmbeddingStore = EmbeddingStore(layout.embeddings(dataset))
        sam_weights, backbone_weights = layout.sam_weights(), layout.backbone_weights(run)
        architecture = params.models.backbones[params.backbone(run)].architecture
        self.sam = read_origin(sam_weights, stage="sam", model=params.models.sam.name)
        self.backbone = read_origin(backbone_weights, stage=f"backbone@{run}", model=architecture)
        check_embeddings(self.embeddings, layout.embeddings(dataset), self.sam, params.models.size)
        self._run = params.runs[run]
        self.models: FrozenModels = load_frozen_models(
            sam=self.sam.model,
            sam_checkpoint=weights_file(sam_weights),
            architecture=self.backbone.model,
            backbone_checkpoint=weights_file(backbone_weights),
            image_size=params.models.size,
            upsampling=params.models.upsampling,
            device=prepare_device(params),
            image_encoder=image_encoder,
        )

    def files(self) -> list[Path]:
        """The files that, together with the weights, determine the tensors of this run."""
        embeddings = layout.embeddings(self._dataset) / "index.json"
        return [embeddings, *sorted(self._annotations.iterdir()), *self.dataset.label_files()]

    def masks(self, split: Split) -> DrawnMasks:
        """The drawn annotations of a split, with the run's rule for the feature grid."""
        annotations = Annotations(self._annotations / ("train.parquet" if split == "train" else "test.parquet"))
        return DrawnMasks(annotations, self._run.kind, GridRule.of(self.models, self._run.annotation_grid))

    def tensors(self, masks: ReferenceMasks, *, compiled: bool = False) -> EpisodeTensors:
        """Tensors of episodes.

        If there is a table of features, the small parts of episodes are cached in memory as well.

        Args:
            masks: gives the references' annotations.
            compiled: whether the backbone is compiled by torch.compile.
        """
        if self._features is None:
            levels = ComputedLevels(self.models, self._resized_images, compiled=compiled)
        else:
            levels = TabledLevels(self._features, self.models.device)
        source = FeatureSource(self.models, levels, self.embeddings.read_stored)
        return EpisodeTensors(source, self.dataset, masks, None if self._features is None else EpisodeCache())

    @cached_property
    def _images(self) -> list[str]:

        return [image for split in SPLITS for image in self.dataset.image_ids(split)]

    @cached_property
    def _resized_images(self) -> ResizedImages[str]:

        size = self.models.image_size
        if 3 * size**2 * len(self._images) > self._params.models.decoded_gb * 1e9:
            return DecodedImages(self.dataset, size)
        code = digest_of_code("prosam.data.open", "prosam.features.resized_images")
        key = f"{self.embeddings.content[:16]}-{size}-{code[:16]}"
        return ResizedImageCache(self.dataset, size, layout.scratch() / "decoded" / key)

    @cached_property
    def _features(self) -> FeatureTable | None:

        return open_feature_table(
            self.models,
            self.dataset,
            self._images,
            made_by={
                "backbone": self.backbone.sha256,
                "content": self.embeddings.content,
                "code": digest_of_code("prosam.data.open", "prosam.features.feature_table", "prosam.models.backbones"),
                **machine(self._params, self.models.device),
            },
            scratch=layout.scratch(),
            budget_bytes=self._params.models.feature_table_gb * 1e9,
        )


def check_embeddings(store: EmbeddingStore, folder: Path, sam: Origin, image_size: int) -> None:
    """Require that a store was made by this SAM at this image size, so that embeddings of two are never mixed."""
    made_by = store.made_by
    if made_by.get("sha256") != sam.sha256 or made_by.get("image_size") != image_size:
        raise InputError(
            f"{folder}: was made by {made_by.get('sam')} of {made_by.get('checkpoint')} at "
            f"{made_by.get('image_size')} px, SHA-256 {str(made_by.get('sha256'))[:16]}..., but {layout.sam_weights()} "
            f"is {sam.model} of {sam.checkpoint}, SHA-256 {sam.sha256[:16]}..., and models.image_size is "
            f"{image_size} px; run `dvc repro --glob 'embeddings*@{folder.name}'`"
        )
