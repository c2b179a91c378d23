"""ProSAM and VRP-SAM: a trained prompt encoder tells a frozen SAM what to segment."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from prosam.features.pairs import References, Targets
from prosam.methods.fusion import FusedPrompts, Fusion
from prosam.methods.method import Method
from prosam.methods.parts.positional_debiasing import PositionalDebiasing
from prosam.models.distributions import PromptDistribution
from prosam.models.frozen import FrozenModels
from prosam.models.prompt_encoder import PromptEncoder, ReferenceCode
from prosam.models.pseudo_mask import pseudo_masks
from prosam.params import RunParams
from prosam.params.rivals import Insid3Settings


@dataclass(frozen=True)
class PromptConcept:
    """What a prompt encoder keeps of B references.

    Attributes:
        code: prototype and queries.
        foreground: B times (C4, M_b), for the pseudo mask.
    """

    code: ReferenceCode
    foreground: list[Tensor]


class PromptMethod(Method[PromptConcept]):
    """A prompt encoder in front of SAM's mask decoder. The prompts' distribution makes it ProSAM or VRP-SAM."""

    def __init__(
        self,
        encoder: PromptEncoder,
        models: FrozenModels,
        *,
        normalised_pseudo_mask: bool,
        debiasing: PositionalDebiasing | None = None,
    ):
        self.encoder, self.models = encoder, models
        self.normalised_pseudo_mask, self.debiasing = normalised_pseudo_mask, debiasing
        self._encode_reference, self._encode_target = encoder.encode_reference, encoder.encode_target

    def compiled(self) -> PromptMethod:
        """The same method with its encoder compiled by torch.compile, once for each batch size."""
        other = copy.copy(self)
        other._encode_reference = torch.compile(self.encoder.encode_reference, dynamic=False)
        other._encode_target = torch.compile(self.encoder.encode_target, dynamic=False)
        return other

    def learn(self, references: References, generator: torch.Generator | None = None) -> PromptConcept:
        """See `Method.learn`; `generator` is the source of randomness for the channel dropout in training mode."""
        code = self._encode_reference(references.features, references.annotation, generator)
        return PromptConcept(code, references.foreground)

    def prompts(
        self, concept: PromptConcept, targets: Targets, generator: torch.Generator | None = None
    ) -> PromptDistribution:
        """The distribution of prompts for each of B targets."""
        foreground, level4 = concept.foreground, targets.level4
        if self.debiasing is not None:
            foreground = [self.debiasing.of_features(features) for features in foreground]
            level4 = self.debiasing.of_features(level4)
        pseudo_mask = pseudo_masks(foreground, level4, normalised=self.normalised_pseudo_mask)
        return self._encode_target(concept.code, targets.features, pseudo_mask, generator)

    def episode_prompts(
        self,
        concept: PromptConcept,
        targets: Targets,
        references: int,
        fusion: Fusion = "average",
        generator: torch.Generator | None = None,
    ) -> FusedPrompts:
        """The prompts for each of B targets with k references of its own.

        Args:
            concept: of B k references; those of a target follow one another.
            targets: B targets.
            references: k.
            fusion: see `FusedPrompts`.
            generator: see `learn`.
        """
        for_each_reference = Targets(
            targets.features.repeat_interleave(references, 0),
            targets.level4.repeat_interleave(references, 0),
            targets.embedding,
        )
        return FusedPrompts(self.prompts(concept, for_each_reference, generator), references, fusion)

    def fused_prompts(self, concept: PromptConcept, targets: Targets, fusion: Fusion) -> FusedPrompts:
        """The prompts that k references of one kind of object give for each of B targets; the encoder in eval mode.

        Args:
            concept: the concept of k references.
            targets: B targets.
            fusion: see `FusedPrompts`.
        """
        code, b, k = concept.code, targets.features.shape[0], len(concept.foreground)
        for_each_target = PromptConcept(
            ReferenceCode(code.prototype.repeat(b, 1, 1, 1), code.queries.repeat(b, 1, 1)), [*concept.foreground] * b
        )
        return self.episode_prompts(for_each_target, targets, k, fusion)

    def decode(self, targets: Targets, prompts: Tensor) -> Tensor:
        """Mask logits (B, K, 4g, 4g) of prompts (B, K, N, d)."""
        return self.models.decoder(targets.embedding, prompts)

    def predict(self, concept: PromptConcept, targets: Targets) -> Tensor:
        """The mask of the mean prompt, (B, 4g, 4g)."""
        return self.decode(targets, self.prompts(concept, targets).mean[:, None])[:, 0]


def build_prompt_encoder(
    run: RunParams, models: FrozenModels, anchors: Tensor | None, labels: Tensor | None = None
) -> PromptEncoder:
    """A run's prompt encoder, untrained; its initialisation draws from torch's global generator.

    Args:
        run: the run's entry in params.yaml.
        models: the frozen models.
        anchors: see `PromptEncoder`.
        labels: see `PromptEncoder`.
    """
    return PromptEncoder(
        feature_channels=models.backbone.mid_channels,
        dim=models.sam.prompt_encoder.embed_dim,
        grid=models.grid,
        num_prompts=run.num_prompts,
        distribution=run.prompt_distribution,
        nu=run.nu,
        dropout=run.dropout,
        anchors=anchors,
        labels=labels,
        appended_linear=run.appended_linear,
    )


def build_prompt_method(run: RunParams, models: FrozenModels, *, seed: int) -> PromptMethod:
    """A run's method with an untrained prompt encoder.

    Args:
        run: the run's entry in params.yaml; an `init` that `Params` did not resolve counts as anchored.
        models: the frozen models, on their device.
        seed: seed of the random part of the initialisation.
    """
    grid = models.grid
    of_sam = models.sam.prompt_encoder
    anchors = of_sam.pe_layer((grid, grid)).cpu() if run.init != "paper" else None
    labels = torch.cat([e.weight for e in of_sam.point_embeddings[:2]]).cpu() if run.init == "labelled" else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = build_prompt_encoder(run, models, anchors, labels)
    encoder.to(models.device).eval()
    debiasing = positional_debiasing(models) if run.pseudo_mask == "debiased" else None
    return PromptMethod(encoder, models, normalised_pseudo_mask=run.pseudo_mask != "raw", debiasing=debiasing)


@torch.no_grad()
def positional_debiasing(models: FrozenModels) -> PositionalDebiasing:
    """The debiasing of level 4, with the share of directions that INSID3 published."""
    size, backbone = models.image_size, models.backbone
    black = torch.zeros(1, 3, size, size, dtype=torch.uint8, device=models.device)
    return PositionalDebiasing(backbone.level4(backbone.levels(black)[1])[0], Insid3Settings().positional_share)
