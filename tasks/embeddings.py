"""Stage embeddings: run SAM's image encoder once for each image."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import load_params
from tasks.arguments import dataset_params


def embeddings(dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")]) -> None:
    """Store SAM's embedding of each image of a data set in data/embeddings/DATASET.

    If killed and started again, it resumes. If there are new images, embeddings are computed for the new images only.

    Example: `python -m tasks.embeddings shapes-5i`
    """
    params = load_params()
    dataset_params(params, dataset)

    from functools import partial

    import torch

    from prosam.checkpoints.frozen_weights import read_origin, weights_file
    from prosam.checkpoints.sam import load_sam
    from prosam.closure import digest_of_code
    from prosam.data.dataset import SPLITS
    from prosam.data.images import square_image
    from prosam.data.open import open_dataset
    from prosam.distributed.device import all_alike, machine, prepare_device
    from prosam.features.embedding_build import ImageFile, build_store
    from prosam.features.embedding_encoding import batch_on, precision_on
    from prosam.models.embedding_details import embedding_channels
    from prosam.models.sam import encode_images

    images = open_dataset(layout.raw(dataset))
    weights = layout.sam_weights()
    origin = read_origin(weights, stage="sam", model=params.models.sam.name)
    devices = all_alike(prepare_device(params))
    models = [load_sam(origin.model, weights_file(weights)).to(device) for device in devices]
    size, grid = params.models.size, models[0].prompt_encoder.image_embedding_size
    kind, settings = devices[0].type, params.embeddings
    precision, batch_size = precision_on(settings, kind), batch_on(settings, kind)
    encoders = [partial(encode_images, sam, precision=getattr(torch, precision)) for sam in models]

    def read(image: str) -> torch.Tensor:
        return torch.from_numpy(square_image(images.image(image), size))

    build_store(
        layout.embeddings(dataset),
        [ImageFile(image, images.image_path(image)) for split in SPLITS for image in images.image_ids(split)],
        read,
        encoders,
        shape=(embedding_channels(models[0]), *grid),
        made_by={
            "sam": origin.model,
            "checkpoint": origin.checkpoint,
            "sha256": origin.sha256,
            "image_size": size,
            "batch_size": batch_size,
            "precision": precision,
        },
        computed_by={"code": digest_of_code("tasks.embeddings"), **machine(params, models[0].device)},
        shard_size=params.embeddings.shard_size,
        batch_size=batch_size,
        scratch=layout.scratch() / "embeddings" / dataset,
        form=settings.store,
    )


if __name__ == "__main__":
    console.run(embeddings)
