"""Stage verification: compare directly learnt prompts with a learnt distribution on one object (paper, figure 4)."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import load_params
from tasks.arguments import dataset_params


def verification(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    start: Annotated[int, typer.Argument(min=0, help="Determines the object and the initial prompts.")],
) -> None:
    """Make one start of the verification study; write results/_verification/DATASET/START.

    Example: `python -m tasks.verification shapes-5i 0`
    """
    params = load_params()
    dataset_params(params, dataset)
    settings = params.verification

    from prosam.checkpoints.frozen import load_frozen_sam
    from prosam.checkpoints.frozen_weights import weights_file
    from prosam.data.fold_files import read_index
    from prosam.data.folds import images_with_pairs
    from prosam.data.open import open_dataset
    from prosam.distributed.device import prepare_device
    from prosam.features.embedding_store import EmbeddingStore
    from prosam.studies.verification.files import all_prompts, write_verification
    from prosam.studies.verification.projection import project
    from prosam.studies.verification.starts import verify
    from prosam.studies.verification.target import objective_on, pick_target

    data, embeddings = open_dataset(layout.raw(dataset)), EmbeddingStore(layout.embeddings(dataset))
    sam = load_frozen_sam(
        params.models.sam.name,
        weights_file(layout.sam_weights()),
        image_size=params.models.size,
        upsampling=params.models.upsampling,
        device=prepare_device(params),
    )
    shown = [row for row in read_index(layout.folds(dataset) / "index.csv") if row.split == "val"]
    images = images_with_pairs(shown, range(1, len(data.classes) + 1))
    target = pick_target(data, images, min_share=settings.min_share, seed=[settings.seed, start])
    objective = objective_on(sam, embeddings.read([target.image]), data, target)
    dim = sam.sam.prompt_encoder.embed_dim
    found = verify(objective, dim, settings, start, name=f"verification {dataset} {start}")
    positions = project(all_prompts(found), perplexity=settings.perplexity, seed=settings.seed)
    write_verification(layout.verification(dataset, start), target, [found], [positions])


if __name__ == "__main__":
    console.run(verification)
