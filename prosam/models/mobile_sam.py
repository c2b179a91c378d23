"""MobileSAM, SAM's `vit_t`: TinyViT-5M as image encoder before the prompt encoder and mask decoder of SAM ViT-H.

Zhang et al. 2023 (MobileSAM), Wu et al. 2022 (TinyViT). Tensors have the names of the published checkpoint, whose
classifier is left out.

A network of our own rather than timm's `tiny_vit_5m_224`, which merges once more (stride 32 instead of 16) and has no
neck, takes seconds to import, and computes the places of its attention biases on the device where it is built.

Shape letters: B images, S side of the square input, px, C channels, h side of a stage's grid, w side of a window, n =
w^2 cells of a window, N windows of all images, H heads, d channels of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.row_bands import convolve_in_bands, convolved_height, convolved_rows, in_bands
from prosam.models.segment_anything import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

MOBILE_SIZE = 1024  # px
_STRIDE, _DIM = 16, 256  # of the embedding
_WIDTHS, _DEPTHS = (64, 128, 160, 320), (2, 2, 6, 2)  # of the four stages; the first consists of convolutions
_HEADS, _WINDOWS = (0, 4, 5, 10), (0, 7, 14, 7)
_STRIDES = (2, 2, 1)  # of the merges after the first three stages; TinyViT itself has 2 in the last
_EXPANSION = 4


class ConvNorm(nn.Module):
    """A convolution without bias and its batch norm."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        self.c = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, h, h) to (B, C_out, h / stride, h / stride)."""
        if self.c.kernel_size != (1, 1):
            return self.bn(self.c(x))
        # as a matrix product: torch convolves one image on one thread slowly here
        cells = F.linear(x.permute(0, 2, 3, 1), self.c.weight.flatten(1), self.c.bias)
        return self.bn(cells.permute(0, 3, 1, 2))


class PatchEmbedding(nn.Module):
    """Two convolutions of stride 2."""

    def __init__(self, width: int):
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, width // 2, 3, 2), nn.GELU(), ConvNorm(width // 2, width, 3, 2))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, C, S / 4, S / 4)."""
        conv1: Any = self.seq[0]
        conv2: Any = self.seq[2]

        def inner(first: int, last: int) -> Tensor:
            return F.gelu(conv1.bn(convolved_rows(conv1.c, images, first, last)))

        numbers = conv1.c.out_channels * images[:, 0, 0].numel()  # two rows of half the width
        height = convolved_height(conv1.c, images.shape[2])
        return convolve_in_bands(conv2.c, inner, height, lambda x, *_: conv2.bn(x), numbers, images.device)


class _Inverted(nn.Module):
    """A wider image inside: a matrix product, a depthwise convolution and a matrix product."""

    def __init__(self, width: int, inner: int, next_width: int, stride: int):
        super().__init__()
        self.conv1 = ConvNorm(width, inner)
        self.conv2 = ConvNorm(inner, inner, 3, stride, groups=inner)
        self.conv3 = ConvNorm(inner, next_width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, h) to (B, C', h / stride, h / stride)."""

        def inner(first: int, last: int) -> Tensor:
            return F.gelu(self.conv1(x[:, :, first:last]))

        def finish(rows: Tensor, first: int, last: int) -> Tensor:
            return self._finished(self.conv3(F.gelu(self.conv2.bn(rows))), x, first, last)

        depthwise = self.conv2.c
        numbers = depthwise.stride[0] * depthwise.in_channels * x[:, 0, 0].numel()
        return convolve_in_bands(depthwise, inner, x.shape[2], finish, numbers, x.device)

    def _finished(self, rows: Tensor, x: Tensor, first: int, last: int) -> Tensor:
        """The rows first to last - 1 of the output."""
        return rows


class Bottleneck(_Inverted):
    """Expansion, depthwise convolution and projection; beside them a shortcut (the MBConv of MobileNet v2)."""

    def __init__(self, width: int):
        super().__init__(width, _EXPANSION * width, width, 1)

    def _finished(self, rows: Tensor, x: Tensor, first: int, last: int) -> Tensor:
        return F.gelu(rows + x[:, :, first:last])


class Merging(_Inverted):
    """To the next stage's width and grid."""

    def __init__(self, width: int, next_width: int, stride: int):
        super().__init__(width, next_width, next_width, stride)


class WindowAttention(nn.Module):
    """Attention among the cells of a window, with a learned bias for each distance in rows and columns.

    Attributes:
        places: (n, n) int64, which of the n biases belongs to two cells: rows apart times w plus columns apart.
    """

    places: Tensor

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))
        # on the CPU, so that it has values even if weights are read into an empty model
        line = torch.arange(window, device="cpu")
        apart = (line[:, None] - line).abs()
        places = apart[:, None, :, None] * window + apart[None, :, None, :]
        self.register_buffer("places", places.reshape(window**2, window**2), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, n, C) to (N, n, C)."""
        joined = self.qkv(self.norm(x)).unflatten(-1, (self.heads, 3, -1))  # N, n, H, 3, d
        queries, keys, values = joined.permute(3, 0, 2, 1, 4)
        biases = self.attention_biases[:, self.places][None]  # 1, H, n, n
        read = F.scaled_dot_product_attention(queries, keys, values, attn_mask=biases)
        return self.proj(read.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """A norm and two linear layers."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, _EXPANSION * width)
        self.fc2 = nn.Linear(_EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., C)."""
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class WindowBlock(nn.Module):
    """Attention in windows, a depthwise convolution across them, and a small network at each cell."""

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width, heads, window)
        self.mlp = Mlp(width)
        self.local_conv = ConvNorm(width, width, 3, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, h) to (B, C, h, h). A grid that windows do not divide is padded with zeros, right and below."""
        cells = x.permute(0, 2, 3, 1)
        cells = cells + self._in_windows(cells)
        cells = self.local_conv(cells.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

        def rows(first: int, last: int) -> Tensor:
            part = cells[:, first:last]
            return (part + self.mlp(part)).permute(0, 3, 1, 2)

        return in_bands(rows, cells.shape[1], _EXPANSION * cells[:, 0].numel(), cells.device)

    def _in_windows(self, cells: Tensor) -> Tensor:
        """(B, h, h, C) to (B, h, h, C)."""
        w, (_, rows, columns, _) = self.window, cells.shape
        padded = F.pad(cells, (0, 0, 0, -columns % w, 0, -rows % w))
        tiles = padded.unflatten(2, (-1, w)).unflatten(1, (-1, w)).transpose(2, 3)  # B, Y, X, w, w, C
        read = self.attn(tiles.flatten(3, 4).flatten(0, 2)).reshape(tiles.shape)
        return read.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :rows, :columns]


class Stage(nn.Module):
    """Blocks on one grid, and the way to the next.

    Attributes:
        blocks: of one kind.
        downsample: None after the last stage.
    """

    def __init__(self, number: int):
        super().__init__()
        width, depth = _WIDTHS[number], _DEPTHS[number]
        heads, window = _HEADS[number], _WINDOWS[number]
        self.blocks = nn.Sequential(
            *(WindowBlock(width, heads, window) if heads else Bottleneck(width) for _ in range(depth))
        )
        self.downsample = None
        if number < len(_STRIDES):
            self.downsample = Merging(width, _WIDTHS[number + 1], _STRIDES[number])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, h) to the next stage's input."""
        x = self.blocks(x)
        return x if self.downsample is None else self.downsample(x)


class ChannelNorm(nn.LayerNorm):
    """The norm over the channels of each cell."""

    def __init__(self, width: int):
        super().__init__(width, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, h, h) to (B, C, h, h)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TinyViT(nn.Module):
    """MobileSAM's image encoder, 5.7 M parameters.

    Attributes:
        img_size: S, as in SAM's own image encoder.
    """

    def __init__(self, size: int = MOBILE_SIZE):
        super().__init__()
        self.img_size = size
        self.patch_embed = PatchEmbedding(_WIDTHS[0])
        self.layers = nn.Sequential(*(Stage(number) for number in range(len(_WIDTHS))))
        self.neck = nn.Sequential(
            nn.Conv2d(_WIDTHS[-1], _DIM, 1, bias=False),
            ChannelNorm(_DIM),
            nn.Conv2d(_DIM, _DIM, 3, padding=1, bias=False),
            ChannelNorm(_DIM),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images normalised by SAM's `pixel_mean` and `pixel_std`, (B, 3, S, S), to (B, 256, S / 16, S / 16)."""
        return self.neck(self.layers(self.patch_embed(images.contiguous(memory_format=torch.channels_last))))


def build_mobile_sam(size: int = MOBILE_SIZE) -> Sam:
    """MobileSAM, randomly initialised.

    Args:
        size: S.
    """
    grid = size // _STRIDE
    return Sam(
        image_encoder=TinyViT(size),
        prompt_encoder=PromptEncoder(
            embed_dim=_DIM, image_embedding_size=(grid, grid), input_image_size=(size, size), mask_in_chans=16
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=_DIM, mlp_dim=2048, num_heads=8),
            transformer_dim=_DIM,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
    )
