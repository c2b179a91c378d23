"""Matcher re-derived in float64 from its description, as loops over tokens, points, cells and masks."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment, linprog
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

from tests.methods.derived_sam import DerivedSam


@dataclass
class Rules:
    """As published for COCO."""

    patch: int
    sizes: tuple[int, int] = (1, 6)
    draws: int = 64
    multimask: bool = True
    grid: int = 64
    filters: bool = True
    box: bool = False
    centres: list[list[int]] | None = None
    emd: float = 1
    purity: float = 0
    covered: bool = False
    least_purity: float = 0.02
    least_coverage: float = 0
    most: int = 9
    share: float | None = None
    overlap: float = 0.65
    distance: float = 0.33
    excess: float = 0.1
    trace: dict = field(default_factory=dict)


class DerivedMatcher:
    def __init__(self, sam: Sam, rules: Rules):
        self.sam, self.rules = DerivedSam(sam), rules
        random.seed(0)  # once
        self.state = random.getstate()

    def learn(self, shots: list[tuple[Tensor, Tensor]]) -> tuple[list[np.ndarray], list[bool], int]:
        """Of (C, h, h) tokens and (H, W) masks: unit tokens, which of them are foreground, number of shots."""
        grid, patch = shots[0][0].shape[1], self.rules.patch
        side = grid * patch
        squares = []
        for _, mask in shots:
            height, width = mask.shape
            square = np.zeros((side, side))
            for y in range(side):
                for x in range(side):
                    square[y, x] = mask[y * height // side, x * width // side]
            squares.append(square)
        if sum(square.sum() for square in squares) == 0:
            for square in squares:
                low, high = side // 2 - patch // 2, side // 2 + patch // 2
                square[low:high, low:high] = 1
        tokens, foreground = [], []
        for (values, _), square in zip(shots, squares, strict=True):
            for row in range(grid):
                for column in range(grid):
                    token = values[:, row, column].double().numpy()
                    tokens.append(token / np.sqrt((token**2).sum()))
                    cell = square[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
                    foreground.append(bool(cell.mean() > 0))
        return tokens, foreground, len(shots)

    def find(self, concept: tuple, tokens: Tensor, embedding: Tensor) -> dict:
        reference, foreground, shots = concept
        rules, grid = self.rules, tokens.shape[1]
        side = grid * rules.patch
        target = []
        for row in range(grid):
            for column in range(grid):
                token = tokens[:, row, column].double().numpy()
                target.append(token / np.sqrt((token**2).sum()))
        similarity = np.array([[r @ t for t in target] for r in reference])
        matched, pairs, returned = self.matches(similarity, foreground)
        points = []
        for token in list(set(matched)):
            points.append([rules.patch * (token % grid) + rules.patch // 2,
                           rules.patch * (token // grid) + rules.patch // 2])  # fmt: skip
        masks = self.masks(points, side, embedding)
        costs = (1 - similarity[np.array(foreground)]) / 2
        scored = []
        for mask in masks:
            cells = []
            for row in range(grid):
                for column in range(grid):
                    part = mask[row * rules.patch : (row + 1) * rules.patch,
                                column * rules.patch : (column + 1) * rules.patch]  # fmt: skip
                    cells.append(bool((part > 0).double().mean() > 0))
            cells = [True] * len(cells) if not any(cells) else cells
            inside = sum(bool(mask[y, x] > 0) for x, y in points)
            scored.append(
                {
                    "mask": mask,
                    "emd": 1 - transport(costs[:, np.array(cells)]),
                    "purity": inside / sum(cells),
                    "coverage": inside / len(points),
                }
            )
        for name, least in (("coverage", rules.least_coverage), ("purity", rules.least_purity)):
            least = min(least, max(one[name] for one in scored))
            scored = [one for one in scored if one[name] >= least]
        for one in scored:
            weight = one["coverage"] if rules.covered else 1
            one["score"] = rules.emd * one["emd"] + rules.purity * one["purity"] * weight
        scored.sort(key=lambda one: -one["score"])
        most, best = rules.most if shots == 1 else 5, scored[0]["score"]
        if rules.share is None:
            distances = [1 - one["score"] for one in scored]
            chosen = [
                one
                for number, (one, d) in enumerate(zip(scored, distances, strict=True))
                if number == 0 or (d < rules.distance and (d - distances[0]) / (max(distances) + 1e-6) < rules.excess)
            ][:most]
        else:
            chosen = [one for one in scored[:most] if one["score"] / best > rules.share]
        union = torch.zeros(side, side, dtype=torch.bool)
        for one in chosen:
            union |= one["mask"] > 0
        rules.trace = {"points": len(points), "masks": len(masks), "scored": len(scored), "chosen": len(chosen),
                       "returned": returned}  # fmt: skip
        return {"points": points, "mask": union, "score": best, "presence": np.mean(pairs) * returned}

    def matches(self, similarity: np.ndarray, foreground: list[bool]) -> tuple[list[int], list[float], float]:
        own = [i for i, inside in enumerate(foreground) if inside]
        rows, columns = linear_sum_assignment(similarity[own], maximize=True)
        _, back = linear_sum_assignment(similarity.T[columns], maximize=True)
        triples = [
            (similarity[own[row], column], int(column), foreground[home])
            for row, column, home in zip(rows, columns, back, strict=True)
        ]
        kept = [one for one in triples if one[2]] or triples
        kept.sort(key=lambda one: -one[0])
        if len(kept) > 40:
            kept = kept[: len(kept) // 2]
        return [one[1] for one in kept], [float(one[0]) for one in kept], sum(one[2] for one in triples) / len(triples)

    def subsets(self, points: list[list[int]]) -> list[list[list[int]]]:
        low, high = (min(size, len(points)) for size in self.rules.sizes)
        random.setstate(self.state)
        found = []
        for size in range(low, high + 1):
            if len(points) <= 8:
                found += [list(one) for one in itertools.combinations(points, size)]
            else:
                for _ in range(self.rules.draws):
                    found.append([points[i] for i in random.sample(range(len(points)), size)])
        self.state = random.getstate()
        return found

    def masks(self, points: list[list[int]], side: int, embedding: Tensor) -> list[Tensor]:
        """Logits at the square's size that pass all filters, by estimate."""
        rules, scale = self.rules, self.sam.side / side
        corners = []
        if rules.box:
            xs, ys = [x for x, _ in points], [y for _, y in points]
            corners = [(min(xs) * scale, min(ys) * scale, 2), (max(xs) * scale, max(ys) * scale, 3)]
        found = []
        for subset in self.subsets(rules.centres or points):
            places = [(x * scale, y * scale, 1) for x, y in subset] + corners
            sparse = self.sam.sparse(places, padded=not rules.box)
            decoded = self.sam.decode(embedding, sparse, multimask=rules.multimask)
            found += self.filtered(decoded, side, 0.85, 0.9)
        for row in range(rules.grid):
            for column in range(rules.grid):
                x, y = ((index + 0.5) / rules.grid * side * scale for index in (column, row))
                sparse = self.sam.sparse([(x, y, 1)], padded=True)
                found += self.filtered(self.sam.decode(embedding, sparse, multimask=False), side, 0.88, 0.95)
        if not rules.filters:
            return [mask for mask, _, _ in found]
        found.sort(key=lambda one: -one[1])
        kept = []
        for mask, _, box in found:
            if all(overlap(box, other) <= rules.overlap for _, other in kept):
                kept.append((mask, box))
        return [mask for mask, _ in kept]

    def filtered(self, decoded: tuple[Tensor, Tensor], side: int, quality: float, stability: float) -> list:
        found = []
        for mask, estimate in zip(*decoded, strict=True):
            square = F.interpolate(mask[None, None], (self.sam.side, self.sam.side), mode="bilinear")
            full = F.interpolate(square, (side, side), mode="bilinear")[0, 0]
            if self.rules.filters:
                union = (full > -1).sum()
                stable = (full > 1).sum() / union if union else 0
                if not (estimate > quality and stable >= stability):
                    continue
            ys, xs = np.nonzero((full > 0).numpy())
            box = (xs.min(), ys.min(), xs.max(), ys.max()) if len(xs) else (0, 0, 0, 0)
            found.append((full, estimate.item(), box))
        return found


def overlap(one: tuple, other: tuple) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common) if sum(areas) - common > 0 else 0


def transport(costs: np.ndarray) -> float:
    """By linear programming."""
    n, m = costs.shape
    rows = [np.kron(np.eye(n)[i], np.ones(m)) for i in range(n)]
    columns = [np.kron(np.ones(n), np.eye(m)[j]) for j in range(m)]
    given = [1 / n] * n + [1 / m] * m
    return linprog(costs.flatten(), A_eq=np.array(rows + columns), b_eq=given, method="highs").fun
