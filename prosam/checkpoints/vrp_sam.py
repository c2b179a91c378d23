"""Converting checkpoints of the public VRP-SAM code into trained models that give the same prompts.

VRP-SAM's training saves the whole encoder as a plain state dict, best_model.pt, under DistributedDataParallel, so each
name begins with `module.`. It holds the frozen backbone, cut into `layer0` to `layer4`, and the trained prompt encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor, nn

from prosam.checkpoints.frozen_weights import Origin
from prosam.checkpoints.trained import save_model
from prosam.checkpoints.weights import load_state, shapes_only, write_weights
from prosam.errors import InputError
from prosam.files import sha256_of
from prosam.models.backbones import BACKBONE_BUILDERS
from prosam.models.prompt_encoder import PromptEncoder
from prosam.params import AnnotationKind, RunParams
from prosam.seals import sealed_folder

BACKBONE_FILE = "backbone.safetensors"

_DIM = 256
_QUERIES = "transformer_decoder.supp_q_feat.weight"
_ENCODER = {  # our name of a layer -> VRP-SAM's
    "downsample": "downsample_query.0",
    "merge": "merge_1.0",
    "queries": "transformer_decoder.supp_q_feat",
    **{
        f"{ours}.{part}": f"transformer_decoder.transformer_{theirs}.0.{its_part}"
        for ours, theirs, its_attention in (
            ("reference_attention", "cross_attention_layers_0", "multihead_attn"),
            ("reference_mixing", "self_attention_layers_0", "self_attn"),
            ("target_attention", "cross_attention_layers", "multihead_attn"),
            ("target_mixing", "self_attention_layers", "self_attn"),
        )
        for part, its_part in (("attention", its_attention), ("norm", "norm"))
    },
}
_VGG_LAYERS = (0, 7, 14, 24, 34)  # index in VGG-16's features at which layer0 to layer4 begin


@dataclass(frozen=True)
class ConvertedModel:
    """What a converted checkpoint holds.

    Attributes:
        backbone: architecture to name in params.yaml.
        num_prompts: N.
        trainable_parameters: number of parameters of the prompt encoder.
        sha256: of the checkpoint, hexadecimal.
    """

    backbone: str
    num_prompts: int
    trainable_parameters: int
    sha256: str


def convert_checkpoint(checkpoint: Path, out: Path, kind: AnnotationKind = "mask") -> ConvertedModel:
    """Convert a checkpoint of the public VRP-SAM code.

    Args:
        checkpoint: a best_model.pt with a ResNet-50 or a VGG-16 backbone.
        out: a new or empty folder for the files of `save_model` and for BACKBONE_FILE, the checkpoint to name in
            params.yaml for a backbone of the returned architecture.
        kind: of the annotations that the model was trained with, which the checkpoint does not state.

    Raises:
        InputError: the checkpoint is missing or damaged, is not VRP-SAM's, or has missing or unknown tensors; or `out`
            is not empty.
    """
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: already exists; name a new or an empty folder")
    state = {name.removeprefix("module."): tensor for name, tensor in load_state(checkpoint).items()}
    queries = state.get(_QUERIES)
    if queries is None or queries.dim() != 2 or not len(queries):
        raise InputError(f"{checkpoint}: is not a checkpoint of VRP-SAM: it lacks the queries, {_QUERIES!r}")
    architecture, num_prompts = _architecture(checkpoint, state), len(queries)
    with shapes_only():
        backbone = BACKBONE_BUILDERS[architecture]()
        encoder = PromptEncoder(
            feature_channels=backbone.mid_channels, dim=_DIM, grid=1, num_prompts=num_prompts, distribution="dirac"
        )
    of_backbone = {name: _backbone_name(architecture, name) for name in backbone.state_dict()}
    of_encoder = {name: _encoder_name(name) for name in encoder.state_dict()}
    if surplus := sorted(state.keys() - {*of_backbone.values(), *of_encoder.values()}):
        raise InputError(f"{checkpoint}: is not a checkpoint of VRP-SAM: it has unknown {surplus[0]!r}")
    _load(backbone, of_backbone, state, checkpoint)
    _load(encoder, of_encoder, state, checkpoint)

    run = RunParams(
        method="vrp-sam",
        kind=kind,
        backbone=architecture,
        num_prompts=num_prompts,
        init="paper",
        dropout=0.5,
        pseudo_mask="raw",
        annotation_grid="nearest",
    )
    sha256 = sha256_of(checkpoint)
    with sealed_folder(out) as folder:
        write_weights(backbone, folder / BACKBONE_FILE)
        description = {
            "name": run.method,
            "method": run.method,
            "kind": run.kind,
            "distribution": run.prompt_distribution,
            "backbone": run.backbone,
            "init": run.init,
            "run": run.model_dump(mode="json"),
            "image_size": 512,  # fixed in VRP-SAM's code, like the upsampling
            "upsampling": "corners",
            "backbone_weights": asdict(Origin(architecture, BACKBONE_FILE, sha256_of(folder / BACKBONE_FILE))),
            "converted_from": {"code": "VRP-SAM", "file": checkpoint.name, "sha256": sha256},
        }
        save_model(folder, encoder, description)
    return ConvertedModel(architecture, num_prompts, sum(p.numel() for p in encoder.parameters()), sha256)


def _architecture(checkpoint: Path, state: Mapping[str, Tensor]) -> str:
    if "layer3.22.conv1.weight" in state:
        raise InputError(f"{checkpoint}: has a ResNet-101 backbone; only ResNet-50 and VGG-16 can be converted")
    if "layer1.0.conv1.weight" in state:
        return "resnet50-deep-stem"
    if "layer1.0.weight" in state:
        return "vgg16-bn-vrp-sam"
    raise InputError(f"{checkpoint}: has neither a ResNet-50 nor a VGG-16 backbone: it lacks 'layer1.0.conv1.weight'")


def _encoder_name(name: str) -> str:
    """VRP-SAM's name of a tensor of our prompt encoder."""
    layer = next(layer for layer in _ENCODER if name.startswith(f"{layer}."))
    return _ENCODER[layer] + name.removeprefix(layer)


def _backbone_name(architecture: str, name: str) -> str:
    """VRP-SAM's name of a tensor of our backbone."""
    if architecture == "resnet50-deep-stem":  # VRP-SAM's layer0 is the stem's nine layers and the pooling
        stem, _, rest = name.partition(".")
        return {"conv1": f"layer0.{rest}", "bn1": f"layer0.7.{rest}"}.get(stem, name)
    _, index, rest = name.split(".", 2)
    layer = max(i for i, first in enumerate(_VGG_LAYERS) if first <= int(index))
    return f"layer{layer}.{int(index) - _VGG_LAYERS[layer]}.{rest}"


def _load(module: nn.Module, names: Mapping[str, str], state: Mapping[str, Tensor], checkpoint: Path) -> None:
    """Load a checkpoint into a module; `names` maps the module's tensor names to the checkpoint's."""
    loaded: dict[str, Tensor] = {}
    for name, like in module.state_dict().items():
        if (theirs := names[name]) not in state:
            raise InputError(f"{checkpoint}: is not a complete checkpoint of VRP-SAM: it lacks {theirs!r}")
        if state[theirs].shape != like.shape:
            found, wanted = (list(tensor.shape) for tensor in (state[theirs], like))
            raise InputError(f"{checkpoint}: {theirs!r} has the shape {found}; in VRP-SAM it has {wanted}")
        loaded[name] = state[theirs].to(like.dtype)
    module.load_state_dict(loaded, assign=True)
