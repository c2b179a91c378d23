"""GF-SAM once more, from its description: loops over points, tokens and masks in double precision.

SAM's masks come from segment-anything itself, one point a call. `without` leaves out one peculiarity of the published
code, to show that the tests would notice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csgraph
from torch import Tensor
from torch.nn import functional as F

from prosam.models.segment_anything import Sam

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass
class Derived:
    """What GF-SAM comes to, with the steps between."""

    mask: Bools  # (S, S)
    cells: list[tuple[int, int]] = field(default_factory=list)  # row and column of each point's token
    places: list[tuple[int, int]] = field(default_factory=list)  # x and y, px
    clusters: list[int] = field(default_factory=list)
    gated: list[bool] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    consistent: list[bool] = field(default_factory=list)
    dropped_whole: bool = False
    fallback: bool = False
    largest_in_mask: float = 0.0
    mean_in_mask: float = 0.0


def resized(mask: Array, size: int, *, align_corners: bool = False) -> Array:
    given = torch.from_numpy(mask)[None, None]
    return F.interpolate(given, (size, size), mode="bilinear", align_corners=align_corners)[0, 0].numpy()


def nearest(mask: Bools, size: int) -> Bools:
    rows = [y * mask.shape[0] // size for y in range(size)]
    columns = [x * mask.shape[1] // size for x in range(size)]
    return np.array([[mask[y, x] for x in columns] for y in rows])


def channels_divided(tokens: Tensor) -> Array:
    """(C, h, h) to (n, C); each channel over its norm in this image."""
    values = tokens.double().flatten(1).numpy().T.copy()
    for channel in range(values.shape[1]):
        values[:, channel] /= max(np.sqrt((values[:, channel] ** 2).sum()), 1e-12)
    return values


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b) + 1e-7))


def cosines(others: Array, tokens: Array) -> Array:
    """Of each token (row) to each other one (column)."""
    return np.array([[cosine(other, token) for other in others] for token in tokens])


def maps_of(similar: list[Array], weights: list[Array]) -> tuple[Array, Array]:
    """The largest and the mean weighted cosine of each target token, on average over the references."""
    largest, mean = np.zeros(len(similar[0])), np.zeros(len(similar[0]))
    for cosines_to, weight in zip(similar, weights, strict=True):
        for t, row in enumerate(cosines_to):
            largest[t] += max(row * weight) / len(similar)
            mean[t] += np.mean(row * weight) / (weight.mean() + 1e-7) / len(similar)
    return largest, mean


def minmax(values: Array) -> Array:
    return (values - values.min()) / (values.max() - values.min() + 1e-6)


def sams_mask(sam: Sam, embedding: Tensor, x: int, y: int) -> Bools:
    size = sam.image_encoder.img_size
    points = torch.tensor([[[x, y]]], dtype=torch.float32), torch.ones(1, 1)
    sparse, dense = sam.prompt_encoder(points=points, boxes=None, masks=None)
    low, _ = sam.mask_decoder(
        image_embeddings=embedding[None],
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return (sam.postprocess_masks(low, (size, size), (size, size)) > 0)[0, 0].numpy()


@torch.no_grad()
def gf_sam(
    sam: Sam,
    references: list[tuple[Tensor, Tensor]],
    target: Tensor,
    embedding: Tensor,
    *,
    most: int = 128,
    without: str = "",
) -> Derived:
    """Tokens (C, h, h) and masks (H, W) of the references, tokens and embedding of the target."""
    size, h = sam.image_encoder.img_size, target.shape[-1]
    squares = [nearest(mask.numpy(), size).astype(np.float64) for _, mask in references]
    if sum(square.sum() for square in squares) == 0:
        for square in squares:
            square[size // 2 - 7 : size // 2 + 7, size // 2 - 7 : size // 2 + 7] = 1
    soft = [resized(square, h, align_corners=True).ravel() for square in squares]
    if without == "channels":
        seen = [tokens.double().flatten(1).numpy().T for tokens, _ in references]
        own = target.double().flatten(1).numpy().T
    else:
        seen, own = [channels_divided(tokens) for tokens, _ in references], channels_divided(target)
    similar, to_itself = [cosines(tokens, own) for tokens in seen], cosines(own, own)
    largest, mean = maps_of(similar, soft)
    _, negative = maps_of(similar, [1 - weight for weight in soft])

    prompt_map = minmax(mean * largest)
    excluded = minmax(negative)
    for t in range(h * h):
        if excluded[t] > prompt_map[t]:
            prompt_map[t] = 0
    if prompt_map.sum() == 0:
        return Derived(np.zeros((size, size), bool))
    count = min(int(prompt_map.sum()), most) or 1
    best = sorted(range(h * h), key=lambda t: -prompt_map[t])[:count]
    cells = sorted(((t // h, t % h) for t in best), key=lambda cell: (cell[1], cell[0]))  # by columns
    half = size / h / 2 if without == "corners" else 0
    places = [(int(column * size / h + half), int(row * size / h + half)) for row, column in cells]
    masks = [sams_mask(sam, embedding, x, y) for x, y in places]

    edges = np.zeros((count, count))
    for i, mask in enumerate(masks):
        on_grid = nearest(mask, h)
        for j, (row, column) in enumerate(cells):
            edges[i, j] = on_grid[row, column]
    connection = "strong" if without == "weak" else "weak"
    clusters = csgraph.connected_components(edges, directed=True, connection=connection)[1].tolist()
    numbers = range(max(clusters) + 1)

    excess = mean**2 - negative * (mean.max() + mean.min()) / 2
    inside_region = excess > 0
    small = [resized(mask.astype(np.float64), h).ravel() for mask in masks]
    gated, scores = [False] * count, [0.0] * count
    for cluster in numbers:
        members = [i for i in range(count) if clusters[i] == cluster]
        members.sort(key=lambda i: -(small[i] * excess).sum() / (small[i].sum() + 1e-6))
        union, surplus = np.zeros(h * h), 0.0
        for i in members:
            new = small[i] * (1 - union)
            surplus = float(new[inside_region].sum() - new[~inside_region].sum())
            scores[i] = surplus
            if surplus > 0:
                gated[i] = True
                union = union + new
        if without != "last":
            for i in members:
                scores[i] = surplus

    unions = []
    for cluster in numbers:
        together = np.zeros((size, size), bool)
        for i in range(count):
            if clusters[i] == cluster:
                together |= masks[i]
        unions.append(resized(together.astype(np.float64), h).ravel())
    consistent = []
    for j, (row, column) in enumerate(cells):
        likeness = []
        for cluster in numbers:
            union = unions[cluster]
            away = min(np.hypot(row - r, column - c) for i, (r, c) in enumerate(cells) if clusters[i] == cluster)
            if away == 0:
                away = 0.5 if without == "distance" else 1
            likeness.append(np.mean(to_itself[row * h + column] * union) / (union.mean() + 1e-7) / away)
        consistent.append(int(np.argmax(likeness)) == clusters[j])
    dropped_whole = False
    if without != "whole":
        for cluster in numbers:
            members = [i for i in range(count) if clusters[i] == cluster]
            good = sum(consistent[i] for i in members)
            if good < len(members) - good:
                dropped_whole |= good > 0
                for i in members:
                    consistent[i] = False

    kept = [i for i in range(count) if gated[i] and consistent[i]]
    mask = np.zeros((size, size), bool)
    for i in kept:
        mask |= masks[i]
    fallback = not mask.any()
    if fallback:
        counted = [score if gated[i] != consistent[i] else 0.0 for i, score in enumerate(scores)]
        mask = masks[int(np.argmax(counted))].copy()
    found = Derived(mask, cells, places, clusters, gated, scores, consistent, dropped_whole, fallback)
    area = resized(mask.astype(np.float64), h).ravel()
    if area.sum() > 0:
        found.largest_in_mask = float((area * largest).sum() / area.sum())
        found.mean_in_mask = float((area * mean).sum() / area.sum())
    return found
