"""Models with shapes but no weights, for counting their operations without memory, checkpoints or time.

torch's fake tensors compute on the meta device and pretend to be on another, so that models run the same code as on
that device, such as fused attention.

Shape letters: B images or pairs, S side of the square image, px, h side of the backbone's grid, g of SAM's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from prosam.features.pairs import References, Targets
from prosam.methods.prompting import PromptMethod, build_prompt_encoder
from prosam.models.backbones import BACKBONE_BUILDERS, Backbone
from prosam.models.distributions import Dirac
from prosam.models.embedding_details import embedding_channels
from prosam.models.frozen import FrozenModels
from prosam.models.frozen_sam import FrozenSam
from prosam.models.generalist import Generalist, build_generalist, generalist_config
from prosam.models.many_prompts import decode_many
from prosam.models.sam import SAM_BUILDERS, encode_images
from prosam.models.segment_anything import Sam
from prosam.params import ModelsParams, RunParams
from prosam.plan.operations import Work, count_operations
from prosam.training.losses import segmentation_loss

_ANNOTATED_SHARE = 0.2  # of a reference's cells; only the cost of the pseudo mask depends on it

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True)
class BackboneShape:
    """The sizes and the work of a backbone.

    Attributes:
        weight_bytes: bytes of its state.
        feature_bytes: bytes of levels 2, 3 and 4 of one image, float32.
        mid_levels: work of levels 2 and 3 of B images.
        level4: work of level 4 of B images.
        masked_level4: work of level 4 of one masked reference.
    """

    weight_bytes: int
    feature_bytes: int
    mid_levels: Work
    level4: Work
    masked_level4: Work


class WeightlessModels:
    """The frozen models of params.yaml, and the runs that use them."""

    def __init__(self, params: ModelsParams, device: torch.device):
        """Prepare; models are built when they are first needed.

        Args:
            params: section `models`.
            device: the device that the models will run on.
        """
        self._params, self._device = params, device
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._backbones: dict[str, Backbone] = {}

    @cached_property
    def _sam(self) -> Sam:
        return self._build(SAM_BUILDERS[self._params.sam.name])

    @property
    def sam_weight_bytes(self) -> int:
        """Bytes of SAM's state."""
        return _weight_bytes(self._sam)

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """(d, g, g) of the embedding of one image."""
        rows, columns = self._sam.prompt_encoder.image_embedding_size
        return embedding_channels(self._sam), rows, columns

    def encoding(self, batch: int) -> Work:
        """The work of SAM's image encoder for B images."""
        size = self._params.size
        with self._mode, torch.no_grad():
            images = torch.empty(batch, 3, size, size, dtype=torch.uint8, device=self._device)
            return count_operations(lambda: encode_images(self._sam, images))

    @property
    def sam_side(self) -> int:
        """S, the side of SAM's own square, px."""
        return int(self._sam.prompt_encoder.input_image_size[0])

    @cached_property
    def own_encoding(self) -> Work:
        """The work of SAM's image encoder for one image of SAM's own square, as methods that train nothing use it."""
        with self._mode, torch.no_grad():
            image = torch.empty(1, 3, self.sam_side, self.sam_side, dtype=torch.uint8, device=self._device)
            return count_operations(lambda: encode_images(self._sam, image))

    def tokens(self, name: str) -> tuple[int, Work]:
        """The side of the square whose tokens a backbone gives such methods, px, and its work for one image."""
        backbone = self._frozen(name).backbone
        side = backbone.token_square or self._params.size
        with self._mode, torch.no_grad():
            image = torch.empty(1, 3, side, side, dtype=torch.uint8, device=self._device)
            return side, count_operations(lambda: backbone.tokens(image, normed=True))

    def asked(self, prompts: int) -> Work:
        """The work of SAM's decoder for some prompts on one image, each of one point."""
        sam, of_prompts = self._sam, self._sam.prompt_encoder
        with self._mode, torch.no_grad():
            shape = (embedding_channels(sam), *of_prompts.image_embedding_size)
            embedding = torch.empty(*shape, device=self._device)
            points = torch.empty(prompts, 2, of_prompts.embed_dim, device=self._device)
            return count_operations(lambda: decode_many(sam, embedding, points, multimask=True))

    def painted(self, references: int) -> Work:
        """The work of SegGPT's network, which is Painter's as well, for one target beside some references.

        Raises:
            InputError: transformers is not installed.
        """
        network = self._build(lambda: Generalist(build_generalist(generalist_config())))
        with self._mode, torch.no_grad():
            shown = torch.empty(references, 3, network.side, network.side, dtype=torch.uint8, device=self._device)
            return count_operations(lambda: network.painted(shown, shown, shown[0], "instance"))

    def backbone(self, name: str, batch: int) -> BackboneShape:
        """The sizes and the work of a backbone.

        Args:
            name: a key of models.backbones.
            batch: B.
        """
        models = self._frozen(name)
        features, size, grid = models.backbone, models.image_size, models.grid
        with self._mode, torch.no_grad():
            images = torch.empty(batch, 3, size, size, dtype=torch.uint8, device=self._device)
            level3 = torch.empty(batch, features.level_channels[1], grid, grid, device=self._device)
            return BackboneShape(
                weight_bytes=_weight_bytes(features),
                feature_bytes=4 * sum(features.level_channels) * grid**2,
                mid_levels=count_operations(lambda: features.levels(images)),
                level4=count_operations(lambda: features.level4(level3)),
                masked_level4=count_operations(lambda: features.level4(level3[:1])),
            )

    def trainable_parameters(self, run: RunParams, backbone: str) -> int:
        """Number of a run's trainable parameters."""
        return sum(p.numel() for p in self._method(run, backbone).encoder.parameters())

    def prediction(self, run: RunParams, backbone: str, batch: int) -> Work:
        """Work of B predictions, but for the backbone."""
        method = self._method(run, backbone)
        with self._mode, torch.no_grad():
            references, targets = _pairs(method.models, batch)
            return count_operations(lambda: method.predict(method.learn(references), targets))

    def step(self, run: RunParams, backbone: str, batch: int, samples: int) -> Work:
        """The work of a step of `prosam.training.loop.train_prompt_encoder`, except the backbone's.

        Args:
            run: the run's entry in params.yaml.
            backbone: a key of models.backbones.
            batch: B.
            samples: K.
        """
        method = self._method(run, backbone)
        models, encoder = method.models, method.encoder.train()
        optimizer = torch.optim.AdamW(encoder.parameters())

        def step() -> None:
            prompts = method.prompts(method.learn(references), targets)
            logits = method.decode(targets, prompts.sample(1 if isinstance(prompts, Dirac) else samples))
            segmentation_loss(models.full_size(logits), truth).backward()
            nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimizer.step()

        with self._mode:
            references, targets = _pairs(models, batch)
            truth = torch.empty(batch, 1, models.image_size, models.image_size, device=self._device)
            return count_operations(step)

    def _frozen(self, backbone: str) -> FrozenModels:
        if backbone not in self._backbones:
            build = BACKBONE_BUILDERS[self._params.backbones[backbone].architecture]
            self._backbones[backbone] = self._build(build).freeze()
        with self._mode:
            sam = FrozenSam.of(
                self._sam, image_size=self._params.size, upsampling=self._params.upsampling, device=self._device
            )
        return FrozenModels.of_both(sam, self._backbones[backbone])

    def _method(self, run: RunParams, backbone: str) -> PromptMethod:
        """The method as `build_prompt_method` makes it, but without values."""
        models = self._frozen(backbone)
        trainable = self._build(lambda: build_prompt_encoder(run, models, None)).requires_grad_(True)
        return PromptMethod(trainable, models, normalised_pseudo_mask=run.pseudo_mask != "raw")

    def _build(self, build: Callable[[], _Module]) -> _Module:
        """A module built on the meta device, where initialisation costs nothing, that pretends to be on the device."""
        with unset_fake_temporarily(), torch.device("meta"):
            module = build()
        with self._mode:
            return module.to_empty(device=self._device).eval().requires_grad_(False)


def _weight_bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())


def _pairs(models: FrozenModels, batch: int) -> tuple[References, Targets]:
    h, (_, _, level4), device = models.grid, models.backbone.level_channels, models.device
    cells, prompts = max(1, round(_ANNOTATED_SHARE * h * h)), models.sam.prompt_encoder
    features = torch.empty(batch, models.backbone.mid_channels, h, h, device=device)
    annotation = torch.empty(batch, 1, h, h, device=device)
    foreground = [torch.empty(level4, cells, device=device) for _ in range(batch)]
    embedding = torch.empty(batch, embedding_channels(models.sam), *prompts.image_embedding_size, device=device)
    return (
        References(features, annotation, foreground, drawn=[]),
        Targets(features, torch.empty(batch, level4, h, h, device=device), embedding),
    )
