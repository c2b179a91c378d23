"""The network of SegGPT and Painter, which learns from the images that it is shown: transformers' `SegGpt`.

A reference lies above the target, and the reference's colour image above an unknown one. The network paints that lower
half. Both methods have the same network; Painter's has no type token, that is, one of zeros.

Shape letters: k references, T side of the square that holds an image, px, p side of a patch, px.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from prosam.errors import InputError
from prosam.models.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from transformers import SegGptConfig, SegGptForImageSegmentation

EXTRA = "SegGPT and Painter need transformers; install it with: pip install 'prosam[generalists]'"


class Generalist(nn.Module):
    """A loaded network, for inference.

    Attributes:
        network: transformers' model, in eval mode.
        side: T.
        patch: p.
    """

    def __init__(self, network: SegGptForImageSegmentation):
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        sizes: Any = network.config  # transformers allows more types than the published networks have
        height, self.side = sizes.image_size
        assert height == 2 * self.side
        self.patch: int = sizes.patch_size
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values, device="cpu")[:, None, None], persistent=False)
        self.mean: Tensor
        self.std: Tensor
        merging = network.model.encoder.layers[network.config.merge_index]
        merging.register_forward_pre_hook(_apart)

    @torch.no_grad()
    def painted(
        self, pictures: Tensor, colours: Tensor, target: Tensor, token: Literal["instance", "semantic"]
    ) -> Tensor:
        """The colour image of a target.

        With several references, the target's part of each block's attention is averaged over them (SegGPT's feature
        ensemble).

        Args:
            pictures: (k, 3, T, T) uint8 RGB, the references.
            colours: (k, 3, T, T) uint8 RGB, their colour images.
            target: (3, T, T) uint8 RGB.
            token: the type token.

        Returns:
            (3, T, T) in [0, 255].
        """
        count = len(pictures)
        output = self.network(
            pixel_values=self._normalised(target[None]).expand(count, -1, -1, -1),
            prompt_pixel_values=self._normalised(pictures),
            prompt_masks=self._normalised(colours),
            feature_ensemble=count > 1,
            embedding_type=token,
        ).pred_masks
        return ((output[0, :, self.side :] * self.std + self.mean) * 255).clamp(0, 255)

    def _normalised(self, images: Tensor) -> Tensor:
        return (images.to(self.mean) / 255 - self.mean) / self.std


def _apart(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let the block after which images and colours merge average each of the two for itself.

    transformers averages over both there, where the published code does so from the next block on.
    """
    hidden, _, *rest = given
    return (hidden, 2, *rest)


def build_generalist(config: SegGptConfig) -> SegGptForImageSegmentation:
    """The network with random weights.

    Raises:
        InputError: transformers is not installed.
    """
    return _transformers().SegGptForImageSegmentation(config)


def generalist_config(**sizes: Any) -> SegGptConfig:
    """The configuration of a network; by default the published one, a ViT-L.

    Raises:
        InputError: transformers is not installed.
    """
    return _transformers().SegGptConfig(**sizes)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise InputError(EXTRA) from error
    return transformers
