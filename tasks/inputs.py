"""What training and evaluation both open: data set, annotations, embeddings and frozen models of a run."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prosam import layout
from prosam.errors import InputError
from prosam.params import AnnotationKind, Params
from tasks.determinants import BACKBONE_FEATURES, code, machine

if TYPE_CHECKING:  # torch takes seconds to import, and --help and a wrong params.yaml need none of it
    from prosam.data.annotations import Annotations
    from prosam.data.dataset import Dataset, Split
    from prosam.embeddings.store import EmbeddingStore
    from prosam.episode_tensors import EpisodeTensors
    from prosam.feature_table import FeatureTable
    from prosam.models.frozen import FrozenModels


class RunInputs:
    """The inputs of one run on one data set and annotation kind, opened when first asked for."""

    def __init__(self, params: Params, dataset: str, kind: AnnotationKind, run: str):
        """Open data set, embeddings and frozen models.

        Raises:
            InputError: one of them is missing or damaged, or the embeddings were made otherwise.
        """
        from prosam.data.dataset import open_dataset
        from prosam.embeddings.store import EmbeddingStore
        from prosam.models.frozen import load_frozen_models, prepare_device

        self._params, self._dataset = params, dataset
        self._kind: AnnotationKind = kind
        self.dataset: Dataset = open_dataset(layout.raw(dataset))
        self.embeddings: EmbeddingStore = EmbeddingStore(layout.embeddings(dataset))
        self.fingerprints = weight_fingerprints(params, run)
        wanted = {"sha256": self.fingerprints["sam"], "image_size": params.models.image_size}
        if any(self.embeddings.made_by[key] != value for key, value in wanted.items()):
            raise InputError(
                f"{layout.embeddings(dataset)}: was made with another SAM than {params.models.sam.checkpoint}, or at "
                f"another size; run `dvc repro embeddings@{dataset}`"
            )
        device = prepare_device(params)
        self.models: FrozenModels = load_frozen_models(params.models, params.runs[run].backbone, device)

    def annotations(self, split: Split) -> Annotations:
        """The annotations of a split."""
        from prosam.data.annotations import Annotations

        folder = layout.annotations(self._dataset, self._kind)
        return Annotations(folder / ("train.parquet" if split == "train" else "test.parquet"))

    def files(self) -> list[Path]:
        """The files that, with the weights, determine what is read from here."""
        embeddings = layout.embeddings(self._dataset) / "index.json"
        annotations = sorted(layout.annotations(self._dataset, self._kind).iterdir())
        return [embeddings, *annotations, *self.dataset.label_files()]

    def tensors(self, annotations: Annotations) -> EpisodeTensors:
        """Tensors of episodes, with references annotated so."""
        from prosam.episode_tensors import EpisodeTensors

        return EpisodeTensors(self.models, self.dataset, annotations, self.embeddings, self._features, kind=self._kind)

    @cached_property
    def _features(self) -> FeatureTable | None:
        from prosam.data.dataset import SPLITS
        from prosam.feature_table import open_feature_table

        return open_feature_table(
            self.models,
            self.dataset,
            [image for split in SPLITS for image in self.dataset.image_ids(split)],
            made_by={
                "backbone": self.fingerprints["backbone"],
                "content": self.embeddings.content,
                "code": code(BACKBONE_FEATURES),
                **machine(self._params, self.models.device),
            },
            scratch=layout.scratch(),
            budget_bytes=self._params.models.feature_table_gb * 1e9,
        )


def weight_fingerprints(params: Params, run: str) -> dict[str, str]:
    """SHA-256 of the weight files that a run uses: `sam` and `backbone`."""
    from prosam.models.weights import fingerprint

    files = {
        "sam": params.models.sam.checkpoint,
        "backbone": params.models.backbones[params.runs[run].backbone].checkpoint,
    }
    for key, path in files.items():
        if not path.is_file():
            raise InputError(f"{path}: no such file; params.yaml names it as the {key}'s checkpoint")
    return {key: fingerprint(path) for key, path in files.items()}
