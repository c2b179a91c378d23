"""A model as four ONNX graphs, for phones, browsers and programs without torch.

    encoder    image (1, 3, S, S) uint8                     -> features, level4, embedding
    reference  features, level4, annotation (1, 1, h, h)    -> prototype, queries, foreground
    prompts    features, level4, and the reference's three  -> prompts (1, N, d), presence (1,)
    decoder    embedding, prompts                           -> logits (1, r, r)

`encoder` and `reference` learn a concept of an image with its annotation; `encoder`, `prompts` and `decoder` find it in
another one. Of k references, the prompts are averaged and the largest presence counts. With a backbone that hides the
surroundings of a reference, `reference` takes the image instead of `features` and `level4`. The embedding is not
rounded to half precision, as a store's is.

Shape letters: S image size, h side of the feature grid, N prompts, d their dimension, r side of the mask logits.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prosam.checkpoints.loading import load_method
from prosam.errors import InputError
from prosam.files import atomic_folder
from prosam.methods.prompting import PromptMethod
from prosam.models.frozen import FrozenModels
from prosam.models.prompt_encoder import ReferenceCode
from prosam.models.pseudo_mask import pseudo_masks
from prosam.models.sam import encode_images
from prosam.models.sam_lite import LiteImageEncoder
from prosam.predictor.model_card import describe_model

_OPSET = 18
_DESCRIPTION = "model.json"
_TOLERANCE = 1e-4  # of ONNX Runtime's results, relative to the largest value of each

_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Graph:
    """A graph to be written.

    Attributes:
        name: of its file.
        module: what it computes.
        inputs: an example of each input, by name.
        outputs: names of the outputs.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]

    def computed(self) -> dict[str, Tensor]:
        """The outputs for the example, by torch."""
        with torch.no_grad():
            found = self.module(*self.inputs.values())
        return dict(zip(self.outputs, found, strict=True))


class ImageGraph(nn.Module):
    """The frozen models on one image."""

    def __init__(self, models: FrozenModels):
        super().__init__()
        self._models = models
        self.sam_encoder, self.backbone = models.sam.image_encoder, models.backbone

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1, 3, S, S) uint8 to features (1, C2 + C3, h, h), level 4 (1, C4, h, h) and embedding (1, D, g, g)."""
        encoder, backbone = self.sam_encoder, self.backbone
        if isinstance(encoder, LiteImageEncoder) and encoder.trunk is backbone:
            stages = encoder.trunk.stages(image)
            level2, level3, level4 = encoder.trunk.levels_of(stages)
            return torch.cat((level2, level3), 1), level4, encoder.neck(stages)
        level2, level3 = backbone.levels(image)
        return torch.cat((level2, level3), 1), backbone.level4(level3), encode_images(self._models.sam, image)


class ReferenceGraph(nn.Module):
    """What is kept of a reference whose surroundings the backbone sees."""

    def __init__(self, method: PromptMethod):
        super().__init__()
        self.encoder = method.encoder

    def forward(self, features: Tensor, level4: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """To prototype (1, d, 1, 1), queries (1, N, d), and the mean of level 4 in the annotation, (C4, 1)."""
        code = self.encoder.encode_reference(features, annotation)
        foreground = (level4 * annotation).sum((0, 2, 3)) / annotation.sum()
        return code.prototype, code.queries, foreground[:, None]


class HiddenReferenceGraph(nn.Module):
    """What is kept of a reference whose surroundings are hidden from the backbone's level 4."""

    def __init__(self, method: PromptMethod):
        super().__init__()
        self.encoder, self.backbone = method.encoder, method.models.backbone

    def forward(self, image: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """To prototype, queries, and level 4 of all cells (C4, h h), 0 outside the annotation.

        A zero has similarity 0 with everything, which is what the pseudo mask is at least.
        """
        level2, level3 = self.backbone.levels(image)
        code = self.encoder.encode_reference(torch.cat((level2, level3), 1), annotation)
        level4 = self.backbone.level4(level3 * annotation) * annotation
        return code.prototype, code.queries, level4[0].flatten(1)


class PromptGraph(nn.Module):
    """The mean prompts and the presence of a concept in a target."""

    def __init__(self, method: PromptMethod):
        super().__init__()
        self.encoder, self._normalises = method.encoder, method.normalised_pseudo_mask

    def forward(
        self, features: Tensor, level4: Tensor, prototype: Tensor, queries: Tensor, foreground: Tensor
    ) -> tuple[Tensor, Tensor]:
        """To prompts (1, N, d) and presence (1,)."""
        similarity = pseudo_masks([foreground], level4, normalised=False)
        mask = pseudo_masks([foreground], level4, normalised=self._normalises)
        prompts = self.encoder.encode_target(ReferenceCode(prototype, queries), features, mask)
        return prompts.mean, similarity.amax((1, 2, 3))


class DecoderGraph(nn.Module):
    """SAM's mask of some prompts."""

    def __init__(self, models: FrozenModels):
        super().__init__()
        self._decoder = models.decoder

    def forward(self, embedding: Tensor, prompts: Tensor) -> tuple[Tensor]:
        """To logits (1, r, r)."""
        return (self._decoder(embedding, prompts[:, None])[:, 0],)


def graphs_of(method: PromptMethod) -> list[Graph]:
    """The four graphs of a method on the CPU, with an example each; what one needs of another is the example."""
    models = method.models
    size, h = models.image_size, models.grid
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 3, size, size), generator=generator, dtype=torch.uint8)
    annotation = torch.zeros(1, 1, h, h)
    annotation[..., h // 4 : h // 2, h // 4 : h // 2] = 1
    encoder = Graph("encoder", ImageGraph(models), {"image": image}, ("features", "level4", "embedding"))
    seen = encoder.computed()
    of_target = {"features": seen["features"], "level4": seen["level4"]}
    kept = ("prototype", "queries", "foreground")
    if models.backbone.hides_surroundings:
        given = {"image": image, "annotation": annotation}
        reference = Graph("reference", HiddenReferenceGraph(method), given, kept)
    else:
        reference = Graph("reference", ReferenceGraph(method), {**of_target, "annotation": annotation}, kept)
    prompts = Graph("prompts", PromptGraph(method), of_target | reference.computed(), ("prompts", "presence"))
    asked = {"embedding": seen["embedding"], "prompts": prompts.computed()["prompts"]}
    return [encoder, reference, prompts, Graph("decoder", DecoderGraph(models), asked, ("logits",))]


def export_onnx(
    source: str | Path | None, folder: Path, *, sam: Path | None = None, backbone: Path | None = None
) -> dict[str, float]:
    """Write a model's graphs and model.json into a new folder, after checking them with ONNX Runtime.

    Args:
        source: see `Predictor.load`.
        folder: must not exist.
        sam: see `Predictor.load`.
        backbone: see `Predictor.load`.

    Returns:
        For each file, the largest difference between ONNX Runtime's results and torch's, relative to the largest value
        of each result.

    Raises:
        InputError: a library is missing, the folder exists, the model cannot be loaded or has a debiased pseudo mask,
            or a graph differs by more than `_TOLERANCE`.
    """
    if missing := [library for library in _LIBRARIES if find_spec(library) is None]:
        raise InputError(f"--onnx needs {', '.join(missing)}; install them with: pip install 'prosam[onnx]'")
    if folder.exists():
        raise InputError(f"{folder}: exists already; name a new folder")
    loaded = load_method(source, device="cpu", sam=sam, backbone=backbone)
    if loaded.method.debiasing is not None:
        raise InputError(
            f"{loaded.files.name}: its pseudo mask is debiased, which --onnx cannot write; export without it"
        )
    card = describe_model(loaded.files, loaded.frozen, loaded.method)
    graphs = graphs_of(loaded.method)
    differences: dict[str, float] = {}
    with atomic_folder(folder) as new:
        for graph in graphs:
            path = new / f"{graph.name}.onnx"
            write_graph(graph, path)
            difference = largest_difference(graph, path)
            if not difference <= _TOLERANCE:
                raise InputError(f"{path.name}: ONNX Runtime differs from torch by {difference:.1e}; please report it")
            differences[path.name] = difference
        described = {
            "model": str(card),
            "digest": card.digest,
            "present_from": card.present_from,
            "image_size": loaded.method.models.image_size,
            "grid": loaded.method.models.grid,
            "align_corners": loaded.method.models.align_corners,
            "graphs": {
                graph.name: {
                    "inputs": {name: list(example.shape) for name, example in graph.inputs.items()},
                    "outputs": {name: list(value.shape) for name, value in graph.computed().items()},
                }
                for graph in graphs
            },
        }
        (new / _DESCRIPTION).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    return differences


def write_graph(graph: Graph, path: Path) -> None:
    """Write a graph with its weights into one file."""
    with warnings.catch_warnings(), _quiet_exporter():
        warnings.simplefilter("ignore")  # the exporter's own, about torch
        torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            path,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the exporter's remarks on its own passes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def largest_difference(graph: Graph, path: Path) -> float:
    """Between ONNX Runtime's results for the example and torch's, relative to the largest value of each result."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: Sequence[Any] = session.run(
        list(graph.outputs), {name: example.numpy() for name, example in graph.inputs.items()}
    )
    return max(
        ((torch.from_numpy(ours) - theirs).abs().max() / theirs.abs().max().clamp_min(1e-9)).item()
        for ours, theirs in zip(found, graph.computed().values(), strict=True)
    )
