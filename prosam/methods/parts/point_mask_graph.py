"""The graph of point prompts and their masks (GF-SAM), and what it says of them.

Each of M points has a mask. Points whose masks cover one another form clusters. Masks pass a test against the prior,
points pass one against the clusters.

Shape letters: M points, K clusters, n tokens of the target, C channels.
"""

from __future__ import annotations

import torch
from scipy.sparse import csgraph
from torch import Tensor

from prosam.methods.parts.prior_maps import PriorMaps, weighted_mean


def mask_clusters(covers: Tensor) -> Tensor:
    """The weakly connected components of a graph: (M,) numbers from 0 to K - 1.

    Args:
        covers: (M, M) bool, whether mask i covers point j.
    """
    _, labels = csgraph.connected_components(covers.cpu().numpy(), directed=True, connection="weak")
    return torch.from_numpy(labels).long().to(covers.device)


def positive_gating(masks: Tensor, clusters: Tensor, maps: PriorMaps) -> tuple[Tensor, Tensor]:
    """Which masks lie in the object's region, and how far their clusters do.

    Inside a cluster, masks grow a union, those with the best prior first. A mask passes if more of its new area lies
    inside the region than outside, and only then does the union grow.

    Args:
        masks: (M, n) in [0, 1], on the tokens' grid.
        clusters: (M,).
        maps: of the target.

    Returns:
        (M,) bool, and (M,) scores. As in the published code, all masks of a cluster have the score of the mask that is
        looked at last: its new area inside less that outside.
    """
    excess = object_excess(maps)
    region = (excess > 0).float()
    order = (masks @ excess) / (masks.sum(1) + 1e-6)
    passed, scores = torch.zeros_like(clusters, dtype=torch.bool), torch.zeros_like(order)
    for cluster in range(int(clusters.max()) + 1):
        members = (clusters == cluster).nonzero()[:, 0]
        grown = torch.zeros_like(region)
        surplus = torch.zeros_like(region[0])
        for member in members[order[members].argsort(descending=True)]:
            new = masks[member] * (1 - grown)
            inside, outside = region @ new, (1 - region) @ new
            surplus = inside - outside
            if inside > outside:
                grown += new
                passed[member] = True
        scores[members] = surplus
    return passed, scores


def object_excess(maps: PriorMaps) -> Tensor:
    """(n,), above 0 where a target's tokens are more like the object than like anything else."""
    return maps.mean.square() - maps.negative * (maps.mean.max() + maps.mean.min()) / 2


def self_consistency(cells: Tensor, clusters: Tensor, unions: Tensor, tokens: Tensor, grid: int) -> Tensor:
    """Which points are most like their own cluster.

    A point is compared with the masks of each cluster, and the similarity is divided by the distance to the cluster's
    nearest point. A cluster of which more points fail than pass fails as a whole.

    Args:
        cells: (M,) indices of tokens.
        clusters: (M,).
        unions: (K, n) in [0, 1], the masks of each cluster together.
        tokens: (n, C), of the target, of length 1.
        grid: side of the tokens' grid.

    Returns:
        (M,) bool.
    """
    similar = weighted_mean(tokens, unions) @ tokens[cells].T  # (K, M)
    places = torch.stack([cells // grid, cells % grid], 1).float()
    apart = torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")
    own = clusters == torch.arange(len(unions), device=clusters.device)[:, None]  # (K, M)
    distance = torch.where(own[:, None], apart, torch.inf).amin(2)  # (K, M): of each point to each cluster
    distance[distance == 0] = 1
    passed = (similar / distance).argmax(0) == clusters
    lost = (own & ~passed).sum(1) > (own & passed).sum(1)
    return passed & ~lost[clusters]
