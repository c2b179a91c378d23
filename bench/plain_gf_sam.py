"""GF-SAM in a plain form for comparison: all masks at full size, all pairs of tokens, segment-anything's own decoder.

Shape letters: C channels, h side of the tokens' grid, n = h^2, M points, S side of SAM's square, px.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.sparse import csgraph
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import Shot
from prosam.models.segment_anything import Sam

_AT_ONCE, _MOST = 64, 128  # points


@torch.no_grad()
def plain_gf_sam(sam: Sam, shots: Sequence[Shot], tokens: Tensor, embedding: Tensor) -> tuple[Tensor, int]:
    """The mask of a target, (S, S) bool, and the number of points; shots show an object, and there is a point.

    Args:
        sam: whose decoder.
        shots: of the references.
        tokens: (C, h, h), of the target.
        embedding: (D, g, g), of the target.
    """
    size, h = sam.prompt_encoder.input_image_size[0], tokens.shape[-1]
    masks = [F.interpolate(shot.mask[None, None].float(), (size, size), mode="nearest") for shot in shots]
    seen = [_channels_divided(shot.image.tokens) for shot in shots if shot.image.tokens is not None]
    own = _channels_divided(tokens)
    _, negative = _maps(own, seen, [1 - mask for mask in masks])
    largest, mean = _maps(own, seen, masks)
    prompt_map = _minmax(mean * largest)
    prompt_map = prompt_map * ~(_minmax(negative) > prompt_map)
    count = max(min(int(prompt_map.sum()), _MOST), 1)
    chosen = torch.zeros(h * h)
    chosen[prompt_map.topk(count).indices] = 1
    columns, rows = chosen.view(h, h).T.nonzero().T
    points = torch.stack([columns, rows], 1)
    found = _sams_masks(sam, embedding, (points * (size / h)).int())
    cells = rows * h + columns

    covers = F.interpolate(found.float(), (h, h), mode="nearest")[:, 0].flatten(1)[:, cells]
    labels = torch.from_numpy(csgraph.connected_components(covers.numpy(), directed=True, connection="weak")[1]).long()
    gated, scores = _gated(found, labels, mean**2, negative * (mean.max() + mean.min()) / 2, h)
    consistent = _consistent(found, labels, own, points, h)

    mask = torch.zeros(size, size)
    for i in range(count):
        if gated[i] and consistent[i]:
            mask += found[i, 0]
    if not mask.sum():
        scores[gated == consistent] = 0
        mask += found[scores.argmax(), 0]
    return mask > 0, count


def _channels_divided(tokens: Tensor) -> Tensor:
    return F.normalize(tokens.flatten(1).T, dim=0)


def _cosines(others: Tensor, tokens: Tensor) -> Tensor:
    lengths = others.norm(dim=1, keepdim=True) @ tokens.norm(dim=1, keepdim=True).T
    return others @ tokens.T / (lengths + 1e-7)


def _maps(own: Tensor, seen: Sequence[Tensor], masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    h, largest, mean = round(len(own) ** 0.5), [], []
    for tokens, mask in zip(seen, masks, strict=True):
        weights = F.interpolate(mask, (h, h), mode="bilinear", align_corners=True).flatten()
        similar = _cosines(tokens, own) * weights[:, None]
        mean.append(similar.mean(0) / (weights.sum() / (h * h) + 1e-7))
        largest.append(similar.max(0)[0])
    return torch.stack(largest).mean(0), torch.stack(mean).mean(0)


def _minmax(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min() + 1e-6)


def _sams_masks(sam: Sam, embedding: Tensor, points: Tensor) -> Tensor:
    """(M, 1, S, S) bool of points (M, 2), x and y."""
    size, found = sam.prompt_encoder.input_image_size, []
    for part in points.split(_AT_ONCE):
        labels = torch.ones(len(part), 1, dtype=torch.int)
        sparse, dense = sam.prompt_encoder(points=(part[:, None], labels), boxes=None, masks=None)
        low, _ = sam.mask_decoder(
            image_embeddings=embedding[None],
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        large = F.interpolate(low, size, mode="bilinear", align_corners=False)
        found.append(F.interpolate(large, size, mode="bilinear", align_corners=False) > 0)
    return torch.cat(found)


def _small(masks: Tensor, h: int) -> Tensor:
    return F.interpolate(masks.float(), (h, h), mode="bilinear", align_corners=False)[:, 0].flatten(1)


def _gated(found: Tensor, labels: Tensor, positive: Tensor, negative: Tensor, h: int) -> tuple[Tensor, Tensor]:
    gated, scores = torch.zeros(len(found), dtype=torch.bool), torch.zeros(len(found))
    region = (positive > negative).float()
    for label in range(int(labels.max()) + 1):
        members = torch.where(labels == label)[0]
        small = _small(found[members], h)
        order = (small * (positive - negative)).sum(1) / (small.sum(1) + 1e-6)
        grown, surplus = torch.zeros(h * h), torch.zeros(())
        for i in order.argsort(descending=True):
            new = small[i] * (1 - grown)
            inside, outside = (region * new).sum(), ((1 - region) * new).sum()
            surplus = inside - outside
            if inside > outside:
                grown = grown + new
                gated[members[i]] = True
        scores[members] = surplus
    return gated, scores


def _consistent(found: Tensor, labels: Tensor, own: Tensor, points: Tensor, h: int) -> Tensor:
    count, similar, to_itself = int(labels.max()) + 1, [], _cosines(own, own)
    for label in range(count):
        union = _small((found[labels == label].sum(0) > 0)[None], h)[0]
        similar.append((to_itself * union[:, None]).mean(0) / (union.sum() / (h * h) + 1e-7))
    at_points = torch.stack(similar)[:, points[:, 1] * h + points[:, 0]]
    apart, distance = torch.cdist(points.float(), points.float()), torch.zeros_like(at_points)
    for point in range(len(points)):
        for label in range(count):
            distance[label, point] = apart[point, labels == label].min()
    distance[distance == 0] = 1
    consistent = (at_points / distance).argmax(0) == labels
    for label in range(count):
        members = labels == label
        if consistent[members].sum() < (~consistent[members]).sum():
            consistent[members] = False
    return consistent
