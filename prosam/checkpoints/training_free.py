"""Loading a method that trains nothing with its frozen models, without params.yaml or a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter

from prosam.checkpoints.frozen import load_backbone
from prosam.checkpoints.frozen_given import given_backbone, given_sam
from prosam.checkpoints.frozen_search import converted_backbone
from prosam.checkpoints.frozen_weights import Origin
from prosam.checkpoints.generalists import given_generalist, load_generalist
from prosam.checkpoints.sam import load_sam
from prosam.checkpoints.sizes import checkpoints_of, fetched, size_for
from prosam.distributed.device import named_device
from prosam.errors import InputError, unknown_name
from prosam.methods.rivals import build_rival
from prosam.methods.training_free import TrainingFree
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.params.rivals import AnyRival, PainterRival, Rival, RivalName, SegGptRival

_SEEDED_FOR_EACH = {"matcher": {"draws": "each"}}  # so that no result depends on the images before it


@dataclass(frozen=True)
class LoadedTrainingFree:
    """A method that trains nothing, ready for images.

    Attributes:
        method: the method.
        settings: its parameters.
        models: SAM with its image encoder, and the backbone if the method needs one.
        sam: where SAM's weights came from.
        backbone: where the backbone's weights came from, or those of a method that is a network of its own; None if the
            method needs none.
    """

    method: TrainingFree[Any]
    settings: AnyRival
    models: FrozenSam
    sam: Origin
    backbone: Origin | None


def training_free_settings(method: str | AnyRival) -> AnyRival:
    """The parameters of a method by its name, those published for COCO; an entry with parameters as it is.

    Matcher draws for each image anew, as its results would otherwise depend on the images before.

    Raises:
        InputError: there is no such method.
    """
    if not isinstance(method, str):
        return method
    if method not in get_args(RivalName):
        raise InputError(f"method {method!r}: {unknown_name('method', method, get_args(RivalName))}")
    settings: AnyRival = TypeAdapter(Rival).validate_python({"method": method, **_SEEDED_FOR_EACH.get(method, {})})
    return settings


def load_training_free(
    method: str | AnyRival,
    *,
    device: str = "auto",
    sam: Path | None = None,
    backbone: Path | None = None,
    size: str | None = None,
) -> LoadedTrainingFree:
    """Load a method that trains nothing.

    Args:
        method: see `training_free_settings`.
        device: a name that `named_device` accepts.
        sam: see `given_sam`.
        backbone: see `given_backbone`; of a method that is a network of its own, see `given_generalist`.
        size: a pair of published models instead, see `prosam.checkpoints.sizes`. They are fetched if necessary.

    Raises:
        InputError: there is no such method or size, the method needs no backbone and one is given, a size is given
            together with weights, or weights are missing or damaged.
    """
    settings, place = training_free_settings(method), named_device(device)
    if size is not None and (given := sam or backbone) is not None:
        raise InputError(f"{given}: is given together with size {size!r}, which chooses SAM and backbone; omit one")
    if settings.backbone is None and backbone is not None and not isinstance(settings, SegGptRival | PainterRival):
        raise InputError(f"{backbone}: {settings.method} needs no backbone; omit it")
    of_size = None if size is None else _of_size(size_for(size, place), backbone=settings.backbone is not None)
    sam_file, sam_origin = given_sam(sam) if of_size is None else of_size[0]
    loaded = load_sam(sam_origin.model, sam_file).to(place)
    side = int(loaded.prompt_encoder.input_image_size[0])
    models = FrozenSam.of(loaded, image_size=side, upsampling="centres", device=place)
    backbone_origin, network = None, None
    if settings.backbone is not None:
        backbone_file, backbone_origin = given_backbone(backbone) if of_size is None else of_size[1]
        models = FrozenModels.of_both(models, load_backbone(backbone_origin.model, backbone_file).to(place))
    if isinstance(settings, SegGptRival | PainterRival):
        network_file, backbone_origin = given_generalist(settings.method, backbone)
        network = load_generalist(settings.method, network_file).to(place)
    return LoadedTrainingFree(build_rival(settings, models, network), settings, models, sam_origin, backbone_origin)


def _of_size(size: str, *, backbone: bool) -> list[tuple[Path, Origin]]:
    """The files of a size that `load_sam` and `load_backbone` read, with their origins."""
    checkpoints = checkpoints_of(size, backbone=backbone)
    sam, *others = fetched(size, checkpoints)
    origins = [one.origin for one in checkpoints]
    return [(sam, origins[0]), *((converted_backbone(origins[1], file), origins[1]) for file in others)]
