"""The identity of a model or a training-free method, in words and as a digest."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from prosam.checkpoints.frozen_search import FrozenFiles
from prosam.checkpoints.frozen_weights import Origin
from prosam.checkpoints.model_source import ModelFiles
from prosam.evaluation.presence import training_free_threshold, usual_threshold
from prosam.files import json_bytes
from prosam.methods.prompting import PromptMethod
from prosam.models.sam import BUNDLED_SAM, PHOTOGRAPH_SAM
from prosam.params.models import SMALL_SAMS
from prosam.params.rivals import AnyRival, GeneralistSection

_GENERATED = "shapes-5i"  # the data set
_CAVEATS = {  # by the name of SAM
    BUNDLED_SAM: "knows simple generated shapes only, no photographs",
    PHOTOGRAPH_SAM: "works best on one object that fills much of the view, and poorly on crowds and on thin or small "
    "objects",
}


@dataclass(frozen=True)
class ModelCard:
    """The identity and the limits of a model.

    Attributes:
        digest: SHA-256 of everything that determines what the model learns and segments; hexadecimal.
        name: name of the run, of its data, and the first digits of `digest`.
        caveat: what the model is good and bad at; None if nothing is known.
        for_shapes: whether the model was made for the generated shapes rather than for photographs.
        small: whether SAM is a bundled one, so small that several threads make it no faster.
        present_from: the default threshold of presence, below which a concept counts as absent.
        refines: whether masks are refined by default, see `prosam.predictor.refinement`.
        description: everything that was recorded when the model was trained.
    """

    digest: str
    name: str
    caveat: str | None
    for_shapes: bool
    small: bool
    present_from: float
    refines: bool
    description: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}: {self.caveat}" if self.caveat else self.name


def describe_model(files: ModelFiles, frozen: FrozenFiles, method: PromptMethod) -> ModelCard:
    """The card of a loaded model."""
    run = files.description["run"]
    identity = {
        "sam": frozen.sam_origin.sha256,
        "backbone": frozen.backbone_origin.sha256,
        "image_size": method.models.image_size,
        "align_corners": method.models.align_corners,
        "run": {key: value for key, value in run.items() if key != "train"},
    }
    digest = hashlib.sha256(json_bytes(identity))
    for name, tensor in sorted(method.encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    trained_on = files.description.get("dataset")
    title = f"{files.description.get('name', 'a model')}" + (f" trained on {trained_on}" if trained_on else "")
    caveat = _CAVEATS.get(frozen.sam_origin.model)
    return ModelCard(
        digest.hexdigest(),
        f"{title} ({digest.hexdigest()[:12]})",
        caveat,
        frozen.sam_origin.model == BUNDLED_SAM or trained_on == _GENERATED,
        frozen.sam_origin.model in SMALL_SAMS,
        usual_threshold(frozen.backbone_origin.model),
        frozen.sam_origin.model == PHOTOGRAPH_SAM,  # the only one whose refined masks were measured
        files.description,
    )


def describe_training_free(settings: AnyRival, sam: Origin, backbone: Origin | None) -> ModelCard:
    """The card of a method that trains nothing, with the frozen models that it uses.

    Its presence has a threshold with the models for which one was measured. Masks are not refined by default.
    """
    parameters = settings.model_dump(exclude={"method", "backbone", "checkpoint", "sha256"})
    description = {
        "name": settings.method,
        "method": f"{settings.method}, which trains nothing",
        "sam": asdict(sam),
        "backbone_weights": None if backbone is None else asdict(backbone),
        "parameters": parameters,
    }
    identity = {
        "method": settings.method,
        "parameters": parameters,
        "sam": sam.sha256,
        "backbone": None if backbone is None else backbone.sha256,
    }
    digest = hashlib.sha256(json_bytes(identity)).hexdigest()
    is_network = isinstance(settings, GeneralistSection)  # SAM makes masks of points, scribbles and boxes alone
    weights = f"SAM {sam.model}" + (f" and {backbone.model}" if backbone else "")
    return ModelCard(
        digest,
        f"{settings.method}, which trains nothing, with {weights} ({digest[:12]})",
        None if is_network else _CAVEATS.get(sam.model),
        sam.model == BUNDLED_SAM and not is_network,
        sam.model in SMALL_SAMS and not is_network,
        training_free_threshold(settings.method, sam.model, backbone.model if backbone else None),
        False,
        description,
    )
