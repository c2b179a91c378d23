"""What all vision transformers among the backbones share: their patch tokens are the cells of the feature grid.

Shape letters as in `backbone`, C the width of the transformer, R the tokens before the patches', and L = R + h * h.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.backbones.backbone import Backbone

_LEVEL2_DEPTH = 0.75  # share of the blocks


class PatchTransformer(Backbone):
    """Level 2 is the patch tokens after block 9 of 12, level 3 those after the last, level 4 their final layer norm.

    Of 24 blocks, level 2 is taken after block 18. The norm treats each token alone, so cells that a mask hides in level
    3 do not affect the other cells of level 4. The image is resized so that there are h x h tokens.

    Attributes:
        patch: side of a patch, px.
    """

    level4_reach = 0
    patch: int

    def __init__(self, layers: nn.Module, before_patches: Sequence[str]):
        """Take over the layers of timm's model.

        Args:
            layers: with `patch_embed`, `blocks` and `norm`.
            before_patches: names of the parameters (1, 1 or more, C) that come before the patches' tokens.
        """
        super().__init__()
        first: list[Tensor] = []
        for name in before_patches:
            parameter = layers.get_parameter(name)
            self.register_parameter(name, parameter)
            first.append(parameter)
        self._names, self._count = tuple(before_patches), sum(parameter.shape[1] for parameter in first)
        self.patch_embed = layers.get_submodule("patch_embed")
        self.blocks, self.norm = layers.get_submodule("blocks"), layers.get_submodule("norm")
        width = first[0].shape[-1]
        self.level_channels = (width, width, width)

    @abstractmethod
    def run(self, blocks: Sequence[nn.Module], tokens: Tensor, h: int) -> Tensor:
        """Some blocks on (B, L, C) tokens of h x h patches."""

    @abstractmethod
    def placed(self, first: Tensor, patches: Tensor, h: int) -> Tensor:
        """The transformer's input, (B, L, C), of (B, R, C) and (B, h * h, C) before positions are added."""

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `Backbone.levels`."""
        h = images.shape[-1] // self.stride
        blocks = list(self.blocks.children())
        split = round(_LEVEL2_DEPTH * len(blocks))
        level2 = self.run(blocks[:split], self._tokens(images, h), h)
        return self._grid(level2, h), self._grid(self.run(blocks[split:], level2, h), h)

    def level4(self, level3: Tensor) -> Tensor:
        """See `Backbone.level4`."""
        return self.norm(level3.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def tokens(self, images: Tensor, *, normed: bool) -> Tensor:
        """See `Backbone.tokens`; T is a multiple of the patch, and h = T / patch."""
        h = images.shape[-1] // self.patch
        tokens = self.run(list(self.blocks.children()), self._tokens(images, h), h)
        return self._grid(self.norm(tokens) if normed else tokens, h)

    def _tokens(self, images: Tensor, h: int) -> Tensor:
        """The transformer's input: (B, 3, S, S) uint8 to (B, L, C)."""
        side = h * self.patch
        pixels = F.interpolate(
            self.normalised(images), (side, side), mode="bilinear", align_corners=False, antialias=True
        )
        patches = self.patch_embed.get_submodule("proj")(pixels).flatten(2).transpose(1, 2)
        first = torch.cat([self.get_parameter(name) for name in self._names], 1)
        return self.placed(first.expand(len(images), -1, -1), patches, h)

    def _grid(self, tokens: Tensor, h: int) -> Tensor:
        """Patch tokens as a map: (B, L, C) to (B, C, h, h)."""
        return tokens[:, self._count :].transpose(1, 2).unflatten(2, (h, h))
