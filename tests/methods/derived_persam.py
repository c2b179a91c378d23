"""PerSAM and PerSAM-F re-derived in float64 from their description, as loops; for one reference."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor
from torch.nn import functional as F

from tests.methods.derived_sam import DerivedSam


class DerivedPerSam:
    def __init__(self, sam: Sam, *, in_place: bool = True, softmax_twice: bool = True):
        self.derived, self.mean, self.std = DerivedSam(sam), sam.pixel_mean[0].item(), sam.pixel_std[0].item()
        self.in_place, self.softmax_twice = in_place, softmax_twice
        self.transform = ResizeLongestSide(self.derived.side)

    # ----- both methods

    def cells(self, mask: Tensor, painted: int = 255) -> list[tuple[int, int]]:
        side, grid = self.derived.side, self.derived.grid
        picture = np.stack([mask.numpy() * painted] * 3, 2).astype(np.uint8)
        height, width = self.transform.get_preprocess_shape(*mask.shape, side)
        resized = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
        square = np.zeros((side, side))
        square[:height, :width] = (resized[..., 0] - self.mean) / self.std
        stride, found = side // grid, []
        for row in range(grid):
            for column in range(grid):  # bilinear without a filter: the four pixels about the centre of a cell
                y, x = row * stride + stride // 2, column * stride + stride // 2
                if square[y - 1 : y + 1, x - 1 : x + 1].mean() > 0:
                    found.append((row, column))
        return found

    def full(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """segment-anything's postprocessing of (N, r, r)."""
        side = self.derived.side
        height, width = self.transform.get_preprocess_shape(*size, side)
        square = F.interpolate(maps[None], (side, side), mode="bilinear", align_corners=False)
        return F.interpolate(square[..., :height, :width], size, mode="bilinear", align_corners=False)[0]

    def similarity(self, prototype: Tensor, embedding: Tensor, size: tuple[int, int]) -> Tensor:
        grid = self.derived.grid
        cosines = torch.zeros(grid, grid, dtype=torch.float64)
        for row in range(grid):
            for column in range(grid):
                cell = embedding[:, row, column].double()
                cosines[row, column] = (cell @ prototype) / cell.norm() / prototype.norm()
        finer = F.interpolate(cosines[None, None], scale_factor=4, mode="bilinear", align_corners=False)
        return self.full(finer[0], size)[0]

    def extreme(self, similarity: Tensor, *, greatest: bool) -> tuple[int, int]:
        flat = similarity.flatten().tolist()
        index = flat.index(max(flat) if greatest else min(flat))
        return index % similarity.shape[1], index // similarity.shape[1]

    def places(self, points: list[tuple[int, int, int]], size: tuple[int, int]) -> list[tuple[float, float, int]]:
        moved = self.transform.apply_coords(np.array([point[:2] for point in points]), size)
        return [(x, y, label) for (x, y), (_, _, label) in zip(moved.tolist(), points, strict=True)]

    def again(self, embedding: Tensor, points: list, low: Tensor, size: tuple[int, int], *, box: Tensor | None):
        """Low-res logits, full logits and estimate of the best of three."""
        given = list(points)
        if box is not None:
            ys, xs = np.nonzero(box.numpy())
            given += [(xs.min(), ys.min(), 2), (xs.max(), ys.max(), 3)]
        sparse = self.derived.sparse(self.places(given, size), padded=box is None)
        masks, quality = self.derived.decode(embedding, sparse, low, multimask=True)
        best = int(quality.argmax())
        return masks[best], self.full(masks, size)[best], quality[best].item()

    # ----- PerSAM

    def prototype(self, embedding: Tensor, mask: Tensor, painted: int = 255) -> Tensor:
        rows = [embedding[:, row, column].double() for row, column in self.cells(mask, painted)]
        return sum(rows, torch.zeros_like(rows[0])) / len(rows)

    def find(self, prototype: Tensor, embedding: Tensor, size: tuple[int, int]) -> dict:
        similarity = self.similarity(prototype, embedding, size)
        points = [(*self.extreme(similarity, greatest=True), 1), (*self.extreme(similarity, greatest=False), 0)]
        deviation = math.sqrt(((similarity - similarity.mean()) ** 2).sum() / (similarity.numel() - 1))
        standardised = (similarity - similarity.mean()) / deviation
        grid = self.derived.grid
        guidance = F.interpolate(standardised[None, None], (grid, grid), mode="bilinear", align_corners=False)
        sparse = self.derived.sparse(self.places(points, size), padded=True)
        first = self.guided(embedding, sparse, guidance.sigmoid().flatten(), prototype)
        low, full1, _ = self.again(embedding, points, first, size, box=None)
        low, full, quality = self.again(embedding, points, low, size, box=full1 > 0)
        return {"points": points, "first": first, "full1": full1, "full": full, "quality": quality,
                "presence": similarity.max().item()}  # fmt: skip

    def guided(self, embedding: Tensor, sparse: Tensor, guidance: Tensor, t: Tensor) -> Tensor:
        decoder = self.derived.sam.mask_decoder
        keys = (embedding.double()[None] + self.derived.dense(None)).flatten(2)[0].T
        positions = self.derived.positions.flatten(2)[0].T
        point_embedding = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight, sparse[0]])
        queries = point_embedding.clone()
        for number, block in enumerate(decoder.transformer.layers):
            queries = queries + t
            if number == 0 and self.in_place:
                point_embedding = queries.clone()
            pe = point_embedding
            if number == 0:
                queries = block.norm1(attention(block.self_attn, queries, queries, queries))
            else:
                placed = queries + pe
                queries = block.norm1(queries + attention(block.self_attn, placed, placed, queries))
            read = attention(
                block.cross_attn_token_to_image, queries + pe, keys + positions, keys, guidance, self.softmax_twice
            )
            queries = block.norm2(queries + read)
            queries = block.norm3(queries + block.mlp(queries))
            answer = attention(block.cross_attn_image_to_token, keys + positions, queries + pe, queries)
            keys = block.norm4(keys + answer)
        final = decoder.transformer.final_attn_token_to_image
        read = attention(final, queries + point_embedding + t, keys + positions, keys)
        queries = decoder.transformer.norm_final_attn(queries + read)
        image = keys.T.view(1, -1, self.derived.grid, self.derived.grid)
        kernel = decoder.output_hypernetworks_mlps[0](queries[1])
        return (kernel[:, None, None] * decoder.output_upscaling(image)[0]).sum(0)

    # ----- PerSAM-F

    def half_prototype(self, embedding: Tensor, mask: Tensor) -> Tensor:
        rows = torch.stack([embedding[:, row, column].double() for row, column in self.cells(mask)])
        return rows.mean(0) / 2 + rows.max(0).values / 2

    def three(self, prototype: Tensor, embedding: Tensor, size: tuple[int, int]) -> tuple[list, Tensor, float]:
        similarity = self.similarity(prototype, embedding, size)
        points = [(*self.extreme(similarity, greatest=True), 1)]
        sparse = self.derived.sparse(self.places(points, size), padded=True)
        return points, self.derived.decode(embedding, sparse, multimask=True)[0], similarity.max().item()

    def fit(self, prototype: Tensor, embedding: Tensor, mask: Tensor, steps: int) -> Tensor:
        """By torch's own optimiser and automatic differentiation."""
        height, width = mask.shape
        logits = self.full(self.three(prototype, embedding, (height, width))[1], (height, width))
        free = torch.nn.Parameter(torch.full((2,), 1 / 3, dtype=torch.float64))
        optimiser = torch.optim.AdamW([free], lr=1e-3, eps=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        truth = mask.double()
        for _ in range(steps):
            x = (1 - free.sum()) * logits[0] + free[0] * logits[1] + free[1] * logits[2]
            p = x.sigmoid()
            dice = 1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)
            entropy = F.binary_cross_entropy_with_logits(x, truth, reduction="none")
            right = p * truth + (1 - p) * (1 - truth)
            focal = (0.25 * truth + 0.75 * (1 - truth)) * entropy * (1 - right) ** 2
            optimiser.zero_grad()
            (dice + focal.mean()).backward()
            optimiser.step()
            schedule.step()
        a, b = free.detach()
        return torch.stack([1 - a - b, a, b])

    def find_f(self, prototype: Tensor, weights: Tensor, embedding: Tensor, size: tuple[int, int]) -> dict:
        points, masks, presence = self.three(prototype, embedding, size)
        full0 = torch.einsum("m,mhw->hw", weights, self.full(masks, size))
        low = torch.einsum("m,mhw->hw", weights, masks)
        low, full1, _ = self.again(embedding, points, low, size, box=full0 > 0)
        low, full, quality = self.again(embedding, points, low, size, box=full1 > 0)
        return {"points": points, "full0": full0, "full1": full1, "full": full, "quality": quality,
                "presence": presence}  # fmt: skip


def attention(
    module, q: Tensor, k: Tensor, v: Tensor, guidance: Tensor | None = None, softmax_twice: bool = True
) -> Tensor:
    """Head by head, query by query; (Q, d) from (T, d)."""
    q, k, v = module.q_proj(q), module.k_proj(k), module.v_proj(v)
    width = q.shape[1] // module.num_heads
    heads = []
    for head in range(module.num_heads):
        part = slice(head * width, (head + 1) * width)
        rows = []
        for query in q[:, part]:
            weights = (k[:, part] @ query / math.sqrt(width)).softmax(0)
            if guidance is not None:
                weights = (weights + guidance).softmax(0) if softmax_twice else weights + guidance
            rows.append(weights @ v[:, part])
        heads.append(torch.stack(rows))
    return module.out_proj(torch.cat(heads, 1))
