"""Prompts as points in the plane, by t-SNE (van der Maaten and Hinton 2008)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def project(prompts: Tensor, *, perplexity: float, seed: int) -> NDArray[np.float32]:
    """Where t-SNE puts prompts, with their principal components as the start.

    Args:
        prompts: (M, N, d), at least 4.
        perplexity: lowered to (M - 1) / 3 where it is more.
        seed: of t-SNE.

    Returns:
        (M, 2).
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    points = prompts.detach().flatten(1).double().cpu().numpy()
    tsne = TSNE(perplexity=min(perplexity, (len(points) - 1) / 3), init="pca", random_state=seed)
    with threadpool_limits(1):  # sums over threads depend on their number
        return np.asarray(tsne.fit_transform(points), np.float32)
