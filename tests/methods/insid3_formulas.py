"""INSID3 once more, from its description: loops over tokens and clusters in double precision.

`without` leaves out one of its peculiarities, to show that the tests would notice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass
class Derived:
    """What INSID3 comes to, with the steps between."""

    cells: Bools  # (h, h)
    mask: Bools  # (S, S)
    candidates: list[int] = field(default_factory=list)
    clusters: list[set[int]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    similar: float = 0.0


def unit(vector: Array) -> Array:
    return vector / max(math.sqrt(float(vector @ vector)), 1e-12)


def units(tokens: Tensor) -> Array:
    return np.array([unit(token) for token in tokens.double().flatten(1).numpy().T])


def positional_directions(black: Tensor, count: int) -> Array:
    """(C, count): eigenvectors of the covariance of the black image's tokens, the largest first."""
    centred = units(black) - units(black).mean(0)
    return np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :count]


def without_positions(tokens: Array, directions: Array) -> Array:
    made = []
    for token in tokens:
        for direction in directions.T:
            token = token - (token @ direction) * direction
        made.append(unit(token))
    return np.array(made)


def cells_of(mask: Bools, size: int, h: int) -> Bools:
    rows = [y * mask.shape[0] // size for y in range(size)]
    columns = [x * mask.shape[1] // size for x in range(size)]
    square = np.array([[mask[y, x] for x in columns] for y in rows])
    cells = enlarged(square.astype(np.float64), h) > 0.5
    if not cells.any():
        cells = np.array([[square[y * size // h, x * size // h] for x in range(h)] for y in range(h)])
    if not cells.any():
        y, x = np.argwhere(square).mean(0) / (size // h)
        cells[int(y), int(x)] = True
    return cells


def enlarged(values: Array, size: int) -> Array:
    given = torch.from_numpy(values)[None, None]
    return F.interpolate(given, (size, size), mode="bilinear", align_corners=False)[0, 0].numpy()


def agglomerated(tokens: Array, threshold: float) -> list[set[int]]:
    """Average linkage: the two nearest clusters are merged while they are nearer than the threshold."""
    distance = 1 - np.clip(tokens @ tokens.T, -1, 1)
    clusters = [{t} for t in range(len(tokens))]
    between = distance + np.diag(np.full(len(tokens), np.inf))
    while len(clusters) > 1:
        i, j = sorted(np.unravel_index(int(between.argmin()), between.shape))
        if between[i, j] >= threshold:
            break
        clusters[i] |= clusters.pop(j)
        between = np.delete(np.delete(between, j, 0), j, 1)
        for other, members in enumerate(clusters):
            if other != i:
                mean = distance[np.ix_(sorted(clusters[i]), sorted(members))].mean()
                between[i, other] = between[other, i] = mean
    return clusters


def insid3(
    black: Tensor, size: int, references: list[tuple[Tensor, Tensor]], target: Tensor, *, without: str = ""
) -> Derived:
    """Tokens (C, h, h) and masks (H, W) of the references, tokens of the target."""
    h, nothing = target.shape[-1], np.zeros((target.shape[-1], target.shape[-1]), bool)
    references = [(tokens, mask) for tokens, mask in references if mask.any()]
    if not references:
        return Derived(nothing, np.zeros((size, size), bool))
    directions = positional_directions(black, 0 if without == "debiasing" else round(len(black) * 500 / 1024))
    original = units(target)
    debiased = without_positions(original, directions)
    shots = [without_positions(units(tokens), directions) for tokens, _ in references]
    cells = [cells_of(mask.numpy(), size, h).ravel() for _, mask in references]
    prototype = unit(np.mean([shot[inside].mean(0) for shot, inside in zip(shots, cells, strict=True)], 0))

    similar = np.array([token @ prototype for token in debiased])
    forward = similar > 0
    if not forward.any():
        forward = similar > np.quantile(similar, 0.9)
    candidates = []
    for t in range(h * h):
        votes = 0
        for shot, inside in zip(shots, cells, strict=True):
            votes += bool(inside[int(np.argmax([token @ debiased[t] for token in shot]))])
        needed = len(shots) if without == "half" else len(shots) / 2
        if forward[t] and (votes >= needed or without == "backward"):
            candidates.append(t)
    if not candidates:
        return Derived(nothing, np.zeros((size, size), bool))

    clusters = agglomerated(debiased if without == "original" else original, 1 - 0.6)
    best, seed = -math.inf, -1
    for k, members in enumerate(clusters):
        closeness = unit(debiased[sorted(members)].mean(0)) @ prototype
        if members & set(candidates) and closeness > best:
            best, seed = closeness, k
    of_seed = unit(original[sorted(clusters[seed])].mean(0))
    scores, found = [], nothing.copy().ravel()
    for k, members in enumerate(clusters):
        share = len(members & set(candidates)) / len(members)
        if k == seed and without != "whole seed":
            share = 1
        likeness = similar[sorted(members)].mean()
        scores.append(float(likeness * (unit(original[sorted(members)].mean(0)) @ of_seed) * share))
        if scores[k] > 0.2:
            found[sorted(members)] = True
    mask = enlarged(found.reshape(h, h).astype(np.float64), size) > 0.5
    inside = float(similar[found].mean()) if found.any() else 0.0
    return Derived(found.reshape(h, h), mask, candidates, clusters, scores, inside)
