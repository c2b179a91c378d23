"""What the stage of a method that trains nothing reads: data set, annotations, embeddings and frozen models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from prosam import layout
from prosam.checkpoints.frozen import load_frozen_models, load_frozen_sam
from prosam.checkpoints.frozen_weights import read_origin, weights_file
from prosam.checkpoints.generalists import load_generalist
from prosam.data.annotations import Annotations
from prosam.data.dataset import Dataset
from prosam.data.open import open_dataset
from prosam.distributed.device import prepare_device
from prosam.features.annotation_masks import object_mask
from prosam.features.embedding_store import EmbeddingStore
from prosam.features.seen import Needs
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.models.generalist import Generalist
from prosam.params import AnnotationKind, Params
from prosam.params.rivals import AnyRival, PainterRival, SegGptRival
from tasks.inputs import check_embeddings


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
        check_embeddings(self.embeddings, layout.embeddings(dataset), sam, models.size)
        self._weights = {"sam": (sam, weights_file(sam_weights))}
        self.network: Generalist | None = None
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
            self.network = self._network(name, params.rivals[name])
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

    def _network(self, name: str, settings: AnyRival) -> Generalist | None:
        """The network of a method that is one of its own, on its device; its weights stand in a backbone's place."""
        if not isinstance(settings, SegGptRival | PainterRival):
            return None
        folder = layout.backbone_weights(name)
        origin = read_origin(folder, stage=f"backbone-rival@{name}", model=settings.method)
        self._weights["backbone"] = (origin, weights_file(folder))
        return load_generalist(settings.method, weights_file(folder)).to(self.models.device)

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
