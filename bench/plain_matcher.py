"""Matcher in the way of its published code: SAM's own decoder for 64 prompt sets at a time, masks one by one, numpy."""

from __future__ import annotations

import random

import numpy as np
import torch
from numpy.typing import NDArray
from ot.lp import emd2
from scipy.optimize import linear_sum_assignment
from segment_anything.utils import amg
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import batched_nms

from prosam.features.seen import SeenImage
from prosam.methods.matcher import MatcherConcept
from prosam.methods.parts.prompt_sampling import draw_subsets
from prosam.models.segment_anything import Sam
from prosam.params.rivals import MatcherSettings

_PROMPTS_AT_ONCE = 64


@torch.no_grad()
def plain_matcher(sam: Sam, settings: MatcherSettings, concept: MatcherConcept, image: SeenImage) -> NDArray[np.bool_]:
    """The mask of a target at the square's size, with the settings for COCO."""
    assert image.tokens is not None
    assert image.embedding is not None
    target = F.normalize(image.tokens.flatten(1).T, dim=1)
    grid, patch = round(len(target) ** 0.5), 14
    side = grid * patch
    similarity = concept.tokens @ target.T
    cost = (1 - similarity) / 2
    points = _matched_points(similarity, concept.foreground, grid, patch)
    sets = draw_subsets(points, settings.sampling, random.Random(settings.seed))
    masks = _masks(sam, settings, image.embedding, sets, side)
    emd, purity = [], []
    for mask in masks:
        cells = F.interpolate(torch.from_numpy(mask)[None, None].float(), (grid, grid), mode="area")[0, 0] > 0
        part = cost[concept.foreground][:, cells.flatten()].numpy()
        emd.append(1 - float(emd2([], [], part.astype(np.float64), numItermax=1_000_000)))
        inside = mask[points[:, 1], points[:, 0]]
        purity.append(points[inside].shape[0] / max(float(cells.sum()), 1))
    emd, purity = np.array(emd), np.array(purity)
    left = purity >= min(settings.selection.least_purity, purity.max())
    masks, distance = masks[left], 1 - emd[left]
    order = np.argsort(distance)
    relative = (distance[order] - distance.min()) / (distance.max() + 1e-6)
    good = (distance[order] < settings.selection.distance) & (relative < settings.selection.excess)
    good[0] = True
    return np.logical_or.reduce(masks[order[good][: settings.selection.most]])


def _matched_points(similarity: Tensor, foreground: Tensor, grid: int, patch: int) -> NDArray[np.int64]:
    rows, columns = linear_sum_assignment(similarity[foreground].numpy(), maximize=True)
    _, back = linear_sum_assignment(similarity.T[columns].numpy(), maximize=True)
    kept = np.isin(back, foreground.nonzero()[:, 0].numpy())
    if kept.any():
        rows, columns = rows[kept], columns[kept]
    found = similarity[foreground].numpy()[rows, columns]
    order = np.argsort(-found)[: len(found) // 2 if len(found) > 40 else len(found)]
    cells = np.array(list(set(columns[order].tolist())))
    return np.stack([cells % grid * patch + patch // 2, cells // grid * patch + patch // 2], 1)


def _masks(
    sam: Sam, settings: MatcherSettings, embedding: Tensor, sets: list[NDArray[np.int64]], side: int
) -> NDArray[np.bool_]:
    """Those that stay: (K, s, s)."""
    data = amg.MaskData(iou_preds=torch.zeros(0), boxes=torch.zeros(0, 4, dtype=torch.int64), rles=[])
    assert settings.filter is not None
    assert settings.grid_filter is not None
    groups = [(points, settings.multimask, settings.filter) for points in sets]
    every = (amg.build_point_grid(settings.grid) * side)[:, None]
    for points, multimask, wanted in [*groups, (every, False, settings.grid_filter)]:
        for (part,) in amg.batch_iterator(_PROMPTS_AT_ONCE, points):
            places = torch.from_numpy(part * (sam.image_encoder.img_size / side)).float()
            sparse, dense = sam.prompt_encoder(points=(places, torch.ones(places.shape[:2])), boxes=None, masks=None)
            masks, quality = sam.mask_decoder(
                image_embeddings=embedding[None],
                image_pe=sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
            square = (sam.image_encoder.img_size,) * 2
            full = sam.postprocess_masks(masks, square, (side, side))
            some = amg.MaskData(masks=full.flatten(0, 1), iou_preds=quality.flatten())
            some.filter(some["iou_preds"] > wanted.quality)
            some.filter(amg.calculate_stability_score(some["masks"], 0.0, 1.0) >= wanted.stability)
            some["masks"] = some["masks"] > 0
            some["boxes"] = amg.batched_mask_to_box(some["masks"])
            some["rles"] = amg.mask_to_rle_pytorch(some["masks"])
            del some["masks"]
            data.cat(some)
    assert settings.overlap is not None
    zeros = torch.zeros_like(data["boxes"][:, 0])
    data.filter(batched_nms(data["boxes"].float(), data["iou_preds"], zeros, settings.overlap))
    return np.stack([amg.rle_to_mask(rle) for rle in data["rles"]])
