"""The trainable prompt encoder: VRP-SAM's, plus ProSAM's two linear heads if prompts have a distribution.

Shape letters: B pairs, C channels of backbone levels 2 and 3, h side of their grid, N prompts, d prompt dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prosam.distributed.noise import drawn_rows
from prosam.models.distributions import PromptDistribution, make_distribution
from prosam.models.positions import anchor_points, sine_positions

ATTENTION_HEADS = 4
ANNOTATION_GAIN = 10.0  # annotation and pseudo mask enter `merge` times ten, as in VRP-SAM
ANCHOR_SHARPNESS = 2.5  # makes each query of the anchored target attention read its own place


@dataclass(frozen=True)
class ReferenceCode:
    """All that a target needs to know about a reference.

    Attributes:
        prototype: (B, d, 1, 1), the reference's features averaged over its annotation.
        queries: (B, N, d), after attention to the reference.
    """

    prototype: Tensor
    queries: Tensor


class Attention(nn.Module):
    """Multi-head attention with a residual and a normalisation after it; no dropout, no feed-forward layer."""

    def __init__(self, dim: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, ATTENTION_HEADS, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(B, N, d) queries to (B, M, d) keys and values: (B, N, d)."""
        read, _ = self.attention(queries, keys, values, need_weights=False)
        return self.norm(queries + read)


class PromptEncoder(nn.Module):
    """Maps reference features, annotation, target features and pseudo mask to a distribution of prompts."""

    reference_positions: Tensor
    target_positions: Tensor

    def __init__(
        self,
        *,
        feature_channels: int,
        dim: int,
        grid: int,
        num_prompts: int = 50,
        distribution: str = "t3",
        nu: float = 5.0,
        dropout: float = 0.5,
        anchors: Tensor | None = None,
        labels: Tensor | None = None,
        appended_linear: int = 0,
    ):
        """Build an encoder with VRP-SAM's initialisation, or an anchored one.

        Args:
            feature_channels: C.
            dim: d, SAM's prompt dimension.
            grid: h.
            num_prompts: N.
            distribution: name of the prompt distribution; with `dirac` there are no heads.
            nu: degrees of freedom of the t distributions.
            dropout: share of channels dropped after the first convolution.
            anchors: SAM's dense positional encoding (d, h, h) for `init: anchored`; None for `init: paper`.
            labels: SAM's embeddings of a background and a foreground point, (2, d), for `init: labelled`, which also
                takes anchors; None for the other two.
            appended_linear: number of linear layers after all others. With two of them, VRP-SAM has as many parameters
                as ProSAM (the paper, sec. 9.2).
        """
        super().__init__()
        self.distribution, self.nu, self.dropout = distribution, nu, dropout
        self.downsample = nn.Conv2d(feature_channels, dim, 1, bias=False)
        self.merge = nn.Conv2d(2 * dim + 1, dim, 1, bias=False)
        self.queries = nn.Embedding(num_prompts, dim)
        self.reference_attention, self.reference_mixing = Attention(dim), Attention(dim)
        self.target_attention, self.target_mixing = Attention(dim), Attention(dim)
        self.mean_head = self.log_sigma_head = None
        if distribution != "dirac":
            self.mean_head, self.log_sigma_head = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.appended = nn.Sequential(*(nn.Linear(dim, dim) for _ in range(appended_linear)))
        positions = sine_positions(dim, grid, grid)
        self.register_buffer("reference_positions", _tokens(positions[None]), persistent=False)
        self.register_buffer("target_positions", _tokens(positions[None]), persistent=False)
        if anchors is not None:
            self._anchor(anchors)
        if labels is not None:
            self._label(*labels)

    @torch.no_grad()
    def _anchor(self, positions: Tensor) -> None:
        """Start every query as a point prompt at its own place, reading the target there (docs/method.md)."""
        dim, grid = positions.shape[0], positions.shape[1]
        self.target_positions = _tokens(positions[None]).clone()
        cells = (anchor_points(self.queries.num_embeddings) * grid).long()
        self.queries.weight.copy_(positions[:, cells[:, 1], cells[:, 0]].T)
        identity = torch.eye(dim)
        own_place = self.target_attention.attention.in_proj_weight
        own_place[: 2 * dim] = ANCHOR_SHARPNESS * torch.cat([identity, identity])
        for block in (self.reference_attention, self.reference_mixing, self.target_attention, self.target_mixing):
            nn.init.zeros_(block.attention.out_proj.weight)
        if self.mean_head is not None and self.log_sigma_head is not None:
            self.mean_head.weight.copy_(identity)
            nn.init.zeros_(self.mean_head.bias)
            nn.init.zeros_(self.log_sigma_head.weight)
            nn.init.zeros_(self.log_sigma_head.bias)
        for name, parameter in self.appended.named_parameters():
            parameter.copy_(identity if name.endswith("weight") else torch.zeros(dim))

    @torch.no_grad()
    def _label(self, background: Tensor, foreground: Tensor) -> None:
        """Start every anchored query as a point that the pseudo mask at its place labels (docs/method.md)."""
        dim, attention = len(background), self.target_attention.attention
        self.merge.weight[0] = 0
        self.merge.weight[0, -1] = 1 / ANNOTATION_GAIN  # channel 0 is the pseudo mask
        heads = torch.arange(ATTENTION_HEADS) * (dim // ATTENTION_HEADS)  # one channel of each reads it
        values = attention.in_proj_weight[2 * dim :]
        values[heads] = 0
        values[heads, 0] = 1
        attention.in_proj_bias[2 * dim + heads] = 0
        # queries are normalised, which enlarges SAM's positional encoding, of mean square 1/2, by the root of 2
        attention.out_proj.weight[:, heads] = (2**0.5 / ATTENTION_HEADS) * (foreground - background)[:, None]
        attention.out_proj.bias.copy_(2**0.5 * background)

    def encode_reference(
        self, features: Tensor, annotation: Tensor, generator: torch.Generator | None = None
    ) -> ReferenceCode:
        """The code of annotated references (docs/method.md, steps 2, 3, 5 and the first half of step 6).

        Args:
            features: (B, C, h, h) backbone levels 2 and 3.
            annotation: (B, 1, h, h) 0 or 1.
            generator: source of randomness for the channel dropout in training mode.
        """
        x = self._reduce(features, generator)
        # the 0.0005 keeps an empty annotation from dividing by zero, as in VRP-SAM
        area = annotation.sum((2, 3), keepdim=True) + 0.0005
        prototype = (x * annotation).sum((2, 3), keepdim=True) / area
        values = self._merge(x, prototype, annotation)
        queries = self.queries.weight.expand(features.shape[0], -1, -1)
        queries = self.reference_attention(queries, values + self.reference_positions, values)
        return ReferenceCode(prototype, self.reference_mixing(queries, queries, queries))

    def encode_target(
        self,
        reference: ReferenceCode,
        features: Tensor,
        pseudo_mask: Tensor,
        generator: torch.Generator | None = None,
    ) -> PromptDistribution:
        """Prompts for targets (docs/method.md, steps 2, 5, the second half of step 6, and step 7).

        Args:
            reference: from `encode_reference`.
            features: (B, C, h, h) backbone levels 2 and 3.
            pseudo_mask: (B, 1, h, h).
            generator: source of randomness for the channel dropout in training mode.

        Returns:
            A distribution over (B, N, d).
        """
        values = self._merge(self._reduce(features, generator), reference.prototype, pseudo_mask)
        prompts = self.target_attention(reference.queries, values + self.target_positions, values)
        prompts = self.target_mixing(prompts, prompts, prompts)
        with torch.autocast(prompts.device.type, enabled=False):  # mean and sigma keep their full precision
            prompts = self.appended(prompts)
            if self.mean_head is None or self.log_sigma_head is None:
                return make_distribution("dirac", prompts, None, self.nu)
            sigma = self.log_sigma_head(prompts).exp()
            return make_distribution(self.distribution, self.mean_head(prompts), sigma, self.nu)

    def _reduce(self, features: Tensor, generator: torch.Generator | None) -> Tensor:
        x = self.downsample(features).relu()
        if self.training and self.dropout:
            (b, d), device = x.shape[:2], x.device

            def uniform(rows: int) -> Tensor:
                return torch.rand((rows, d, 1, 1), generator=generator, device=device)

            kept = drawn_rows(uniform, b, generator) >= self.dropout
            x = x * kept / (1 - self.dropout)
        return x

    def _merge(self, x: Tensor, prototype: Tensor, mask: Tensor) -> Tensor:
        stacked = torch.cat([x, prototype.expand_as(x), ANNOTATION_GAIN * mask], 1)
        return _tokens(self.merge(stacked).relu())


def _tokens(grid: Tensor) -> Tensor:
    """(B, d, h, w) to (B, h w, d)."""
    return grid.flatten(2).transpose(1, 2)
