"""Loading a trained model with the frozen models that it goes with, wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prosam.errors import InputError
from prosam.methods.prompting import PromptMethod, build_prompt_method
from prosam.model_files import read_run
from prosam.models.backbones import load_backbone
from prosam.models.device import named_device
from prosam.models.frozen import FrozenModels
from prosam.models.mask_token import MaskTokenDecoder
from prosam.models.sam import load_sam
from prosam.models.weights import read_weights
from prosam.predictor.frozen_search import find_frozen
from prosam.predictor.model_card import ModelCard, describe_model
from prosam.predictor.model_source import open_model


@dataclass(frozen=True)
class LoadedMethod:
    """A trained method that can look at images.

    Attributes:
        method: whose frozen SAM has its image encoder.
        model: which model it is.
        nearest_in: how annotations get to the grid, see `prosam.models.pseudo_mask.annotation_grid`.
    """

    method: PromptMethod
    model: ModelCard
    nearest_in: int | None


def load_method(source: str | Path | None, *, device: str, sam: Path | None, backbone: Path | None) -> LoadedMethod:
    """Load a model; see `Predictor.load` for the arguments.

    Raises:
        InputError: the model or its frozen weights are missing, damaged or of something else.
    """
    place = named_device(device)
    files = open_model(source)
    run = read_run(files.description, files.name)
    size, upsampling = files.description.get("image_size"), files.description.get("upsampling")
    if not isinstance(size, int) or upsampling not in ("centres", "corners"):
        raise InputError(f"{files.name}: its description lacks image_size or upsampling")
    frozen = find_frozen(files, sam=sam, backbone=backbone)
    loaded = load_sam(frozen.sam_origin.model, frozen.sam).to(place)
    models = FrozenModels(
        sam=loaded,
        decoder=MaskTokenDecoder(loaded),
        backbone=load_backbone(frozen.backbone_origin.model, frozen.backbone).to(place),
        image_size=size,
        align_corners=upsampling == "corners",
        device=place,
    )
    method = build_prompt_method(run, models, seed=0)
    read_weights(method.encoder, files.weights, what=f"a prompt encoder for {run.backbone!r}")
    method.encoder.requires_grad_(False)
    nearest_in = size if run.annotation_grid == "nearest" else None
    return LoadedMethod(method, describe_model(files, frozen, method), nearest_in)
