"""PerSAM and PerSAM-F in the way of their published code: all masks of every decode at full size, and a decode a step.

Shape letters: H and W the image's own size, D channels of an embedding, g side of SAM's grid, N points.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from prosam.features.seen import SeenImage
from prosam.methods.parts.padded_square import PaddedSquare
from prosam.models.segment_anything import Sam


class PlainPredictor:
    """segment-anything's predictor for one image."""

    def __init__(self, sam: Sam, image: SeenImage):
        """`image` has an embedding, in SAM's own geometry."""
        assert image.embedding is not None
        self.sam, self.features, self.size = sam, image.embedding[None], image.size
        self.square = PaddedSquare(image.size, sam.image_encoder.img_size)

    @torch.no_grad()
    def predict(
        self,
        points: NDArray[np.int64],
        labels: NDArray[np.int64],
        *,
        box: NDArray[np.int64] | None = None,
        low: NDArray[np.float32] | None = None,
        multimask: bool,
        guidance: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32], Tensor]:
        """Masks (3 or 1, H, W), estimates, low-res logits, and logits at full size.

        Args:
            points: (N, 2).
            labels: (N,).
            box: (4,).
            low: (r, r), a mask.
            multimask: three masks instead of one.
            guidance: PerSAM's A, (1, 1, 1, g^2), and t, (1, 1, D).
        """
        coordinates = self.square.places(torch.from_numpy(points))[None], torch.from_numpy(labels)[None]
        corners = None if box is None else self.square.places(torch.from_numpy(box).view(2, 2)).view(1, 4)
        mask = None if low is None else torch.from_numpy(low)[None, None]
        sparse, dense = self.sam.prompt_encoder(points=coordinates, boxes=corners, masks=mask)
        if guidance is None:
            masks, quality = self.sam.mask_decoder(
                image_embeddings=self.features,
                image_pe=self.sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
        else:
            masks, quality = self._guided(sparse, dense, *guidance)
        full = self.sam.postprocess_masks(masks, self.square.resized, self.size)
        return (full[0] > 0).numpy(), quality[0].numpy(), masks[0].numpy(), full[0]

    def _guided(self, sparse: Tensor, dense: Tensor, guidance: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        decoder = self.sam.mask_decoder
        point = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight, sparse[0]])[None]
        keys = (self.features + dense).flatten(2).permute(0, 2, 1)
        where = self.sam.prompt_encoder.get_dense_pe().flatten(2).permute(0, 2, 1)
        queries = point
        for block in decoder.transformer.layers:
            queries += t
            if block.skip_first_layer_pe:
                queries = block.self_attn(q=queries, k=queries, v=queries)
            else:
                queries = queries + block.self_attn(q=queries + point, k=queries + point, v=queries)
            queries = block.norm1(queries)
            read = _attend(block.cross_attn_token_to_image, queries + point, keys + where, keys, guidance)
            queries = block.norm2(queries + read)
            queries = block.norm3(queries + block.mlp(queries))
            keys = block.norm4(keys + block.cross_attn_image_to_token(q=keys + where, k=queries + point, v=queries))
        final = decoder.transformer.final_attn_token_to_image
        queries = decoder.transformer.norm_final_attn(queries + final(q=queries + point + t, k=keys + where, v=keys))
        up = decoder.output_upscaling(keys.transpose(1, 2).view(self.features.shape))
        kernels = torch.stack([mlp(queries[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], 1)
        masks = (kernels @ up.flatten(2)).view(1, -1, *up.shape[2:])
        return masks[:, :1], decoder.iou_prediction_head(queries[:, 0])[:, :1]

    def similarity(self, direction: Tensor) -> Tensor:
        """Of a unit vector (1, D) and each pixel, (H, W)."""
        features = self.features[0] / self.features[0].norm(dim=0, keepdim=True)
        map = (direction @ features.flatten(1)).reshape(1, 1, *features.shape[1:])
        map = F.interpolate(map, scale_factor=4, mode="bilinear")
        return self.sam.postprocess_masks(map, self.square.resized, self.size).squeeze()

    def twice(
        self,
        points: NDArray[np.int64],
        labels: NDArray[np.int64],
        low: NDArray[np.float32],
        box: NDArray[np.int64] | None = None,
    ) -> NDArray[np.bool_]:
        """The cascade: (H, W)."""
        masks, quality, low3, _ = self.predict(points, labels, low=low, box=box, multimask=True)
        best = int(quality.argmax())
        box = box_of(masks[best])
        masks, quality, _, _ = self.predict(points, labels, low=low3[best], box=box, multimask=True)
        return masks[int(quality.argmax())]


def _attend(module: torch.nn.Module, q: Tensor, k: Tensor, v: Tensor, guidance: Tensor) -> Tensor:
    heads = module.num_heads
    q, k, v = (module._separate_heads(x, heads) for x in (module.q_proj(q), module.k_proj(k), module.v_proj(v)))  # pyright: ignore[reportCallIssue]
    weights = (q @ k.permute(0, 1, 3, 2) / q.shape[-1] ** 0.5).softmax(-1)
    weights = (weights + guidance).softmax(-1)
    return module.out_proj(module._recombine_heads(weights @ v))  # pyright: ignore[reportCallIssue]


def box_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """x0, y0, x1, y1."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max(), y.max()])


@torch.no_grad()
def plain_persam(sam: Sam, prototype: Tensor, image: SeenImage) -> NDArray[np.bool_]:
    """The mask (H, W) of a target, given the prototype (D,)."""
    predictor = PlainPredictor(sam, image)
    similarity = predictor.similarity((prototype / prototype.norm())[None])
    points = _points(similarity, negative=True)
    standardised = (similarity - similarity.mean()) / torch.std(similarity)
    grid = predictor.features.shape[-1]
    guidance = F.interpolate(standardised[None, None], size=(grid, grid), mode="bilinear").sigmoid().flatten(2)[None]
    _, _, low, _ = predictor.predict(
        points, np.array([1, 0]), multimask=False, guidance=(guidance, prototype[None, None])
    )
    return predictor.twice(points, np.array([1, 0]), low[0])


def plain_fit(sam: Sam, prototype: Tensor, image: SeenImage, mask: Tensor, steps: int) -> Tensor:
    """PerSAM-F's weights of the three masks, with a decode in each step."""
    predictor = PlainPredictor(sam, image)
    points = _points(predictor.similarity((prototype / prototype.norm())[None]), negative=False)
    free = torch.nn.Parameter(torch.ones(2, 1) / 3)
    optimiser = torch.optim.AdamW([free], lr=1e-3, eps=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1000)
    truth = mask.flatten()[None].float()
    for _ in range(steps):
        _, _, _, logits = predictor.predict(points, np.array([1]), multimask=True)
        weights = torch.cat([1 - free.sum(0)[None], free])
        x = (logits.flatten(1) * weights).sum(0)[None]
        p = x.sigmoid()
        dice = 1 - (2 * (p * truth).sum(-1) + 1) / (p.sum(-1) + truth.sum(-1) + 1)
        entropy = F.binary_cross_entropy_with_logits(x, truth, reduction="none")
        right = p * truth + (1 - p) * (1 - truth)
        focal = (0.25 * truth + 0.75 * (1 - truth)) * entropy * (1 - right) ** 2
        optimiser.zero_grad()
        (dice.sum() + focal.mean(1).sum()).backward()
        optimiser.step()
        schedule.step()
    return torch.cat([1 - free.sum(0)[None], free]).detach()[:, 0]


@torch.no_grad()
def plain_persam_f(sam: Sam, prototype: Tensor, weights: Tensor, image: SeenImage) -> NDArray[np.bool_]:
    """The mask (H, W) of a target."""
    predictor = PlainPredictor(sam, image)
    points, labels = _points(predictor.similarity((prototype / prototype.norm())[None]), negative=False), np.array([1])
    _, _, low, full = predictor.predict(points, labels, multimask=True)
    mask = ((full * weights[:, None, None]).sum(0) > 0).numpy()
    weighted = (low * weights.numpy()[:, None, None]).sum(0)
    return predictor.twice(points, labels, weighted, box_of(mask))


def _points(similarity: Tensor, *, negative: bool) -> NDArray[np.int64]:
    width = similarity.shape[1]
    indices = [similarity.flatten().topk(1)[1]] + [similarity.flatten().topk(1, largest=False)[1]] * negative
    return np.array([[int(index) % width, int(index) // width] for index in indices])
