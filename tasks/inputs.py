"""The common inputs of training and evaluation: data set, annotations, embeddings and frozen models of a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prosam import layout
from prosam.checkpoints.frozen import load_frozen_models, load_frozen_sam
from prosam.checkpoints.frozen_weights import Origin, read_origin, weights_file
from prosam.closure import digest_of_code
from prosam.data.annotations import Annotations
from prosam.data.dataset import SPLITS, Dataset, Split
from prosam.data.episodes import Episode, read_episodes
from prosam.data.open import open_dataset
from prosam.data.shots import read_further_references
from prosam.distributed.device import machine, prepare_device
from prosam.errors import InputError
from prosam.features.annotation_masks import object_mask
from prosam.features.embedding_store import EmbeddingStore
from prosam.features.episode_cache import EpisodeCache
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.feature_table import FeatureTable, open_feature_table
from prosam.features.levels import ComputedLevels, TabledLevels
from prosam.features.reference_masks import DrawnMasks, GridRule, ReferenceMasks
from prosam.features.resized_images import DecodedImages, ResizedImageCache, ResizedImages
from prosam.features.seen import Needs
from prosam.features.source import FeatureSource
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.params import AnnotationKind, Params


def frozen_episodes(params: Params, dataset: str, fold: int) -> list[Episode]:
    """The episodes of a fold's novel classes, with as many references as `folds.shots` wants.

    Raises:
        InputError: a list is missing or damaged.
    """
    folder = layout.folds(dataset)
    episodes = read_episodes(folder / f"episodes-{fold}.csv")
    if not params.folds.several:
        return episodes
    return read_further_references(folder / f"references-{fold}.csv", episodes)


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
        _check_embeddings(self.embeddings, layout.embeddings(dataset), self.sam, params.models.size)
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


class RivalInputs:
    """The inputs of a method that trains nothing, on one data set."""

    def __init__(self, params: Params, dataset: str, name: str):
        """Open data set and embeddings, and load the frozen models.

        Args:
            params: all parameters.
            dataset: a key of `datasets`.
            name: a key of `rivals`.

        Raises:
            InputError: as for `RunInputs`.
        """
        self._kind: AnnotationKind = params.kind(name)
        self._annotations = layout.annotations(dataset, name) / "test.parquet"
        self.dataset: Dataset = open_dataset(layout.raw(dataset))
        self.embeddings: EmbeddingStore = EmbeddingStore(layout.embeddings(dataset))
        models, sam_weights = params.models, layout.sam_weights()
        sam = read_origin(sam_weights, stage="sam", model=models.sam.name)
        _check_embeddings(self.embeddings, layout.embeddings(dataset), sam, models.size)
        self._weights = {"sam": (sam, weights_file(sam_weights))}
        device, name_of_backbone = prepare_device(params), params.backbone_of_rival(name)
        if name_of_backbone is None:
            self.models: FrozenModels | FrozenSam = load_frozen_sam(
                sam.model,
                weights_file(sam_weights),
                image_size=models.size,
                upsampling=models.upsampling,
                device=device,
                image_encoder=True,
            )
            return
        backbone_weights = layout.backbone_weights(name)
        architecture = models.backbones[name_of_backbone].architecture
        backbone = read_origin(backbone_weights, stage=f"backbone-rival@{name}", model=architecture)
        self._weights["backbone"] = (backbone, weights_file(backbone_weights))
        self.models = load_frozen_models(
            sam=sam.model,
            sam_checkpoint=weights_file(sam_weights),
            architecture=backbone.model,
            backbone_checkpoint=weights_file(backbone_weights),
            image_size=models.size,
            upsampling=models.upsampling,
            device=device,
            image_encoder=True,
        )

    def weights(self, needs: Needs) -> dict[str, dict[str, str | int]]:
        """Model, checkpoint and bytes of the frozen models that a method needs, by what they are: sam, backbone."""
        needed = self._weights
        if needs.geometry is None and self._kind == "mask":
            needed = {what: weights for what, weights in needed.items() if what != "sam"}
        return {
            what: {"model": origin.model, "checkpoint": origin.checkpoint, "bytes": file.stat().st_size}
            for what, (origin, file) in needed.items()
        }

    def masks(self) -> Callable[[str, int], NDArray[np.bool_]]:
        """The references' objects by image id and class id, (H, W): SAM makes masks of other annotations.

        Raises:
            InputError: the annotations are missing or damaged.
        """
        annotations = Annotations(self._annotations)

        def mask(image: str, class_id: int) -> NDArray[np.bool_]:
            drawn = annotations.get(image, class_id)
            if self._kind == "mask":
                return drawn
            return object_mask(self.models, self.dataset.image(image), drawn, self._kind)

        return mask


def _check_embeddings(store: EmbeddingStore, folder: Path, sam: Origin, image_size: int) -> None:
    """Require that a store was made by this SAM at this image size, so that embeddings of two are never mixed."""
    made_by = store.made_by
    if made_by.get("sha256") != sam.sha256 or made_by.get("image_size") != image_size:
        raise InputError(
            f"{folder}: was made by {made_by.get('sam')} of {made_by.get('checkpoint')} at "
            f"{made_by.get('image_size')} px, SHA-256 {str(made_by.get('sha256'))[:16]}..., but {layout.sam_weights()} "
            f"is {sam.model} of {sam.checkpoint}, SHA-256 {sam.sha256[:16]}..., and models.image_size is "
            f"{image_size} px; run `dvc repro --glob 'embeddings*@{folder.name}'`"
        )
