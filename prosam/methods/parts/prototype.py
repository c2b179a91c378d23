"""A prototype of an object in SAM's own embedding, and where an image resembles it.

Shape letters: H and W the image's own size, D channels of an embedding, d those without its details, g side of SAM's
grid, M annotated cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import SeenImage, Shot
from prosam.methods.parts.padded_square import PaddedSquare
from prosam.models.embedding_details import split_details
from prosam.models.segment_anything import Sam

_FINER = 4  # the similarity map is enlarged from SAM's grid to its masks' size first
_TINY = 1e-12  # least length of an embedding that is divided by its length


def square_of(sam: Sam, image: SeenImage) -> PaddedSquare:
    """The image's place in SAM's square."""
    return PaddedSquare(image.size, sam.image_encoder.img_size)


def semantic_embedding(sam: Sam, image: SeenImage) -> Tensor:
    """(d, g, g), without the details that some SAMs pack into further channels.

    Raises:
        ValueError: the image has no embedding.
    """
    return split_details(sam, sam_embedding(image)[None])[0][0]


def sam_embedding(image: SeenImage) -> Tensor:
    """(D, g, g).

    Raises:
        ValueError: the image has none.
    """
    if image.embedding is None:
        raise ValueError("this method needs SAM's embedding of each image")
    return image.embedding


def mean_prototype(
    sam: Sam, shots: Sequence[Shot], of_cells: Callable[[Tensor], Tensor], *, painted: int
) -> Tensor | None:
    """The mean of the prototypes of k references; the published methods know one reference only.

    Args:
        sam: whose embeddings they are.
        shots: the references. Those without an annotated pixel are left out.
        of_cells: the prototype (d,) of the embeddings (M, d) of one reference's annotated cells.
        painted: see `PaddedSquare.annotated_cells`.

    Returns:
        (d,), or None if no reference has an annotated pixel.
    """
    mean, std = float(sam.pixel_mean.flatten()[0]), float(sam.pixel_std.flatten()[0])
    prototypes = []
    for shot in shots:
        embedding = semantic_embedding(sam, shot.image)
        square = square_of(sam, shot.image)
        cells = square.annotated_cells(shot.mask, embedding.shape[-1], painted=painted, mean=mean, std=std)
        if cells.any():
            prototypes.append(of_cells(embedding[:, cells.to(embedding.device)].T))
    return torch.stack(prototypes).mean(0) if prototypes else None


def similarity_map(sam: Sam, prototype: Tensor, image: SeenImage) -> Tensor:
    """The cosine of the prototype (d,) and each place of an image, (H, W)."""
    embedding = semantic_embedding(sam, image)
    direction = prototype / prototype.norm().clamp_min(_TINY)
    directions = embedding / embedding.norm(dim=0).clamp_min(_TINY)
    cosines = (direction[None] @ directions.flatten(1)).view(embedding.shape[1:])
    finer = F.interpolate(cosines[None, None], scale_factor=_FINER, mode="bilinear", align_corners=False)
    return square_of(sam, image).full_size(finer[0])[0]


def place_at(index: Tensor, width: int) -> Tensor:
    """The index of a pixel in an image's rows as x and y, (1, 2) int64."""
    return torch.stack([index % width, index // width])[None]
