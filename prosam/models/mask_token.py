"""SAM's mask decoder, computing only what the single mask needs, for many prompt sets on many images at once.

It computes the same function as `prosam.models.sam.decode_masks`, up to rounding. `decode_masks` is the readable form,
and the tests compare the two. Work is saved in three ways, all of them exact:

- Only mask 0 of the four is computed. The final attention is run for its token alone, and the key and value projections
  are applied to this one query instead of to all image tokens.
- In the first layer, the image's keys, values and queries do not depend on the prompts. They are computed once for each
  image, not for each sample.
- Attention weights are not materialised where they are large. The upscaler works on tokens, where a transposed
  convolution of stride 2 is a matrix product.

Shape letters: B images, K prompt sets an image, M = B K, N prompts a set, d prompt dimension, g side of the embedding
grid, T = g^2 image tokens, Q tokens: the decoder's own, 5 or with SAM 2 6, and the prompts', H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prosam.models.decoder_tokens import (
    as_linear,
    attend,
    attention,
    by_image,
    heads,
    merge_heads,
    output_tokens,
)
from prosam.models.embedding_details import Details, split_details
from prosam.models.segment_anything import Sam

_IOU_TOKEN, _MASK_TOKEN, _OBJECT_TOKEN = 0, 1, 5


class MaskTokenDecoder:
    """Decodes prompts with a frozen SAM; gradients reach the prompts, not the weights."""

    def __init__(self, sam: Sam):
        """Prepare the constants of a SAM, on its device.

        Args:
            sam: a frozen model. Its weights are referred to, not copied, except those of the upscaler.
        """
        self._sam = sam
        decoder, self._grid = sam.mask_decoder, sam.prompt_encoder.image_embedding_size[0]
        self._no_mask = sam.prompt_encoder.no_mask_embed.weight
        self._positions = sam.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)  # (1, T, d)
        self._output_tokens = output_tokens(decoder)
        self._first, self._second = decoder.transformer.layers
        self._final, self._final_norm = (
            decoder.transformer.final_attn_token_to_image,
            decoder.transformer.norm_final_attn,
        )
        self._kernel = decoder.output_hypernetworks_mlps[0]
        convolution1, self._upscale_norm, _, convolution2, _ = decoder.output_upscaling
        self._upscale1, self._upscale2 = _constants(convolution1), _constants(convolution2)

    def __call__(self, embedding: Tensor, prompts: Tensor) -> Tensor:
        """Mask logits of K prompt sets on each of B images.

        Args:
            embedding: (B, d, g, g), with details packed into further channels if the SAM has them.
            prompts: (B, K, N, d).

        Returns:
            (B, K, 4g, 4g).
        """
        tokens, queries, keys, details = self._transformed(embedding, prompts)
        mask_token = self._read_image(queries[:, _MASK_TOKEN], tokens[:, _MASK_TOKEN], keys)
        return self._upscale(keys, self._kernel(mask_token), details).unflatten(0, prompts.shape[:2])

    def rated(self, embedding: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """The mask logits, as `__call__` has them, and SAM's own estimate of their IoU, (B, K)."""
        tokens, queries, keys, details = self._transformed(embedding, prompts)
        mask_token = self._read_image(queries[:, _MASK_TOKEN], tokens[:, _MASK_TOKEN], keys)
        iou_token = self._read_image(queries[:, _IOU_TOKEN], tokens[:, _IOU_TOKEN], keys)
        masks = self._upscale(keys, self._kernel(mask_token), details)
        quality = self._sam.mask_decoder.iou_prediction_head(iou_token)[:, 0]  # of mask 0
        return masks.unflatten(0, prompts.shape[:2]), quality.unflatten(0, prompts.shape[:2])

    def object_scores(self, embedding: Tensor, prompts: Tensor) -> Tensor:
        """SAM 2's own logit that the object is in the image, (B, K); above 0 it says yes.

        Raises:
            ValueError: the SAM has no such score.
        """
        head = getattr(self._sam.mask_decoder, "pred_obj_score_head", None)
        if head is None:
            raise ValueError("only SAM 2 scores whether the object is there")
        tokens, queries, keys, _ = self._transformed(embedding, prompts)
        read = self._read_image(queries[:, _OBJECT_TOKEN], tokens[:, _OBJECT_TOKEN], keys)
        return head(read)[:, 0].unflatten(0, prompts.shape[:2])

    def _transformed(self, embedding: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor, Tensor, Details | None]:
        """Tokens and queries (M, Q, d), image tokens (M, T, d), and details, all before the final attention."""
        b, k, n, d = prompts.shape
        tokens = torch.cat([self._output_tokens.expand(b * k, -1, -1), prompts.reshape(b * k, n, d)], 1)
        embedding, details = split_details(self._sam, embedding)
        image = embedding.flatten(2).transpose(1, 2) + self._no_mask
        queries, keys = self._first_layer(tokens, image, k)
        queries, keys = self._second_layer(queries, keys, tokens)
        return tokens, queries, keys, details

    def _first_layer(self, tokens: Tensor, image: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """(M, Q, d) tokens and (B, T, d) image tokens to (M, Q, d) and (M, T, d)."""
        layer, b = self._first, image.shape[0]
        queries = layer.norm1(attend(layer.self_attn, tokens, tokens, tokens))  # no residual: SAM's first layer
        placed = image + self._positions
        # the K samples of an image read the same keys, so their queries form one long list
        read = attend(layer.cross_attn_token_to_image, by_image(queries + tokens, b), placed, image)
        queries = layer.norm2(queries + read.reshape(queries.shape))
        queries = layer.norm3(queries + layer.mlp(queries))
        module = layer.cross_attn_image_to_token
        asked = heads(module.q_proj(placed), module)[:, None].expand(-1, k, -1, -1, -1).flatten(0, 1)
        told = heads(module.k_proj(queries + tokens), module), heads(module.v_proj(queries), module)
        answer = module.out_proj(merge_heads(attention(asked, *told)))
        keys = image[:, None] + answer.unflatten(0, (b, k))
        return queries, layer.norm4(keys.flatten(0, 1))

    def _second_layer(self, queries: Tensor, keys: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        layer = self._second
        placed = queries + tokens
        queries = layer.norm1(queries + attend(layer.self_attn, placed, placed, queries))
        where = keys + self._positions
        queries = layer.norm2(queries + attend(layer.cross_attn_token_to_image, queries + tokens, where, keys))
        queries = layer.norm3(queries + layer.mlp(queries))
        keys = keys + attend(layer.cross_attn_image_to_token, where, queries + tokens, queries)
        return queries, layer.norm4(keys)

    def _read_image(self, query: Tensor, token: Tensor, keys: Tensor) -> Tensor:
        """The final attention of one token: (M, d) to (M, d)."""
        module, heads = self._final, self._final.num_heads
        asked = module.q_proj(query + token).unflatten(-1, (heads, -1))  # (M, H, d')
        key_weight, value_weight = (p.weight.unflatten(0, (heads, -1)) for p in (module.k_proj, module.v_proj))
        # q (W x + b) = (q W) x + q b, and softmax ignores q b, which is the same for all positions
        asked = torch.einsum("mhe,hed->mhd", asked, key_weight)
        scores = (asked @ keys.transpose(1, 2) + asked @ self._positions.transpose(1, 2)) / key_weight.shape[1] ** 0.5
        context = scores.softmax(-1) @ keys  # (M, H, d)
        read = torch.einsum("mhd,hed->mhe", context, value_weight).flatten(1) + module.v_proj.bias
        return self._final_norm(query + module.out_proj(read))

    def _upscale(self, keys: Tensor, kernel: Tensor, details: Details | None) -> Tensor:
        """(M, T, d) image tokens and (M, d / 8) kernels to (M, 4g, 4g) logits; details are of B images."""
        m, g = keys.shape[0], self._grid
        norm = self._upscale_norm
        x = F.linear(keys, *self._upscale1).view(m, 4 * g * g, -1)
        if details is not None:
            x = _added(x, details.twice)
        x = F.gelu(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
        x = F.linear(x, *self._upscale2).view(m, 16 * g * g, -1)
        if details is not None:
            x = _added(x, details.fourfold)
        mask = (F.gelu(x) @ kernel[..., None]).view(m, g, g, 2, 2, 2, 2)
        # token (row, column), then its four quarters, then their four quarters
        return mask.permute(0, 1, 3, 5, 2, 4, 6).reshape(m, 4 * g, 4 * g)


def _constants(convolution: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """Its matrix and bias, copied."""
    weight, bias = as_linear(convolution)
    return weight.detach().contiguous(), bias.detach()


def _added(x: Tensor, of_image: Tensor) -> Tensor:
    """(B K, L, C) and, for each image, (B, T, q, C) with T q = L: their sum."""
    return (x.unflatten(0, (of_image.shape[0], -1)) + of_image.flatten(1, 2)[:, None]).flatten(0, 1)
