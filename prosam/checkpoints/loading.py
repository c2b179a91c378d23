"""Loading a trained model with the frozen models that it was trained with, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prosam.checkpoints.frozen import load_frozen_models
from prosam.checkpoints.frozen_search import FrozenFiles, find_frozen
from prosam.checkpoints.model_source import ModelFiles, open_model
from prosam.checkpoints.trained import read_run
from prosam.checkpoints.weights import read_weights
from prosam.distributed.device import named_device
from prosam.errors import InputError
from prosam.features.reference_masks import GridRule
from prosam.methods.prompting import PromptMethod, build_prompt_method


@dataclass(frozen=True)
class LoadedMethod:
    """A trained method that can process images.

    Attributes:
        method: the method; its frozen SAM includes the image encoder.
        files: the model's description and weights.
        frozen: the files of its frozen models.
        rule: how annotations are resized to the feature grid.
    """

    method: PromptMethod
    files: ModelFiles
    frozen: FrozenFiles
    rule: GridRule


def load_method(
    source: str | Path | None, *, device: str = "auto", sam: Path | None = None, backbone: Path | None = None
) -> LoadedMethod:
    """Load a model on any machine, without params.yaml or a data set.

    Args:
        source: see `open_model`.
        device: a name that `named_device` accepts.
        sam: folder that the stage `sam` wrote, or a checkpoint file; None to search, see `find_frozen`.
        backbone: the same for the stage `backbone`.

    Raises:
        InputError: the model or its frozen weights are missing or damaged, or do not match.
    """
    place = named_device(device)
    files = open_model(source)
    run = read_run(files.description, files.name)
    size, upsampling = files.description.get("image_size"), files.description.get("upsampling")
    if not isinstance(size, int) or upsampling not in ("centres", "corners"):
        raise InputError(f"{files.name}: its description lacks image_size or upsampling")
    frozen = find_frozen(files, sam=sam, backbone=backbone)
    models = load_frozen_models(
        sam=frozen.sam_origin.model,
        sam_checkpoint=frozen.sam,
        architecture=frozen.backbone_origin.model,
        backbone_checkpoint=frozen.backbone,
        image_size=size,
        upsampling=upsampling,
        device=place,
        image_encoder=True,
    )
    method = build_prompt_method(run, models, seed=0)
    read_weights(method.encoder, files.weights, what=f"a prompt encoder for {run.backbone!r}")
    method.encoder.requires_grad_(False)
    return LoadedMethod(method, files, frozen, GridRule.of(models, run.annotation_grid))
