"""A small vision transformer: patches, learned positions, encoder blocks, the mean of the tokens, a linear head.

After Dosovitskiy et al. 2021, with normalization before attention and the mean in place of a class token (Beyer et al.
2022), which do better on small data. There is no branch on data and no size that is read from it: it can be traced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAST_PATCH = 2  # single pixels say too little to be tokens
_POSITION_SPREAD = 0.7  # as much as patches differ; with the usual 0.02 a short training does not see the places


class Attention(nn.Module):
    """Scaled dot-product attention over all tokens (Vaswani et al. 2017, section 3.2).

    Args:
        width: Width of a token; a multiple of ``heads``.
        heads: How many heads share it.
        tokens: How many tokens there are.
    """

    def __init__(self, width: int, heads: int, tokens: int) -> None:
        super().__init__()
        self.heads, self.tokens, self.each = heads, tokens, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mix = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        """Return ``n x heads x tokens x each`` of ``n x tokens x width``."""
        return x.reshape(-1, self.tokens, self.heads, self.each).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x tokens x width`` to the same shape."""
        query, key, value = self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.mix(mixed.transpose(1, 2).reshape(-1, self.tokens, self.heads * self.each))
        return result


class EncoderBlock(nn.Module):
    """Attention and a perceptron for each token, each beside a shortcut.

    Args:
        width: Width of a token.
        heads: Heads of the attention.
        tokens: How many tokens there are.
        mlp_ratio: How many times wider the inside of the perceptron is.
        dropout: Share of what each part adds that is dropped.
    """

    def __init__(self, width: int, *, heads: int, tokens: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), Attention(width, heads, tokens), nn.Dropout(dropout))
        inner = width * mlp_ratio
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x tokens x width`` to the same shape."""
        x = x + self.attend(x)
        result: Tensor = x + self.think(x)
        return result


class VisionTransformer(nn.Module):
    """A transformer over square patches of an image.

    Args:
        shape: ``(c, h, w)`` of one image. Pixels beyond the last whole patch are not seen.
        outputs: Width of the output.
        settings: ``grid`` (patches along the longer side, so that large images do not have more tokens), ``width``,
            ``depth``, ``head_width`` (as many heads as fit) and ``mlp_ratio``. A patch has at least 2 x 2 pixels.
        dropout: Share that is dropped inside the blocks.
    """

    def __init__(
        self, shape: tuple[int, int, int], outputs: int, settings: Mapping[str, Any], *, dropout: float
    ) -> None:
        super().__init__()
        channels, height, breadth = shape
        width = settings["width"]
        patch = min(max(LEAST_PATCH, -(-max(height, breadth) // settings["grid"])), height, breadth)
        tokens = (height // patch) * (breadth // patch)
        self.patches = nn.Sequential(nn.Conv2d(channels, width, patch, stride=patch), nn.Flatten(2))
        self.positions = nn.Parameter(torch.randn(1, tokens, width) * _POSITION_SPREAD)
        shared = {
            "heads": max(1, width // settings["head_width"]),
            "tokens": tokens,
            "mlp_ratio": settings["mlp_ratio"],
            "dropout": dropout,
        }
        self.blocks = nn.Sequential(*(EncoderBlock(width, **shared) for _ in range(settings["depth"])))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``n x c x h x w`` to ``n x outputs``, without a softmax."""
        tokens = self.patches(images).transpose(1, 2) + self.positions
        result: Tensor = self.head(self.norm(self.blocks(tokens)).mean(dim=1))
        return result
