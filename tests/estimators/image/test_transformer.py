from __future__ import annotations

import pytest
import torch
from torch import fx

from omniforge.estimators.image import VisionTransformer
from omniforge.estimators.image.transformer import Attention

SETTINGS = {"grid": 4, "width": 16, "depth": 2, "head_width": 8, "mlp_ratio": 2}


def test_attention_is_what_the_formula_says() -> None:
    layer = Attention(16, 4, 9).eval()
    x = torch.randn(3, 9, 16)
    query, key, value = layer.query(x), layer.key(x), layer.value(x)
    heads = []
    for head in range(4):
        part = slice(4 * head, 4 * head + 4)
        likeness = query[..., part] @ key[..., part].transpose(1, 2) / 4**0.5
        heads.append(torch.softmax(likeness, dim=2) @ value[..., part])
    torch.testing.assert_close(layer(x), layer.mix(torch.cat(heads, dim=2)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "tokens"), [((3, 32, 32), 16), ((1, 8, 8), 16), ((1, 3, 9), 3), ((1, 10, 7), 6), ((1, 6, 6), 9)]
)
def test_every_size_of_image_fits(shape: tuple[int, int, int], tokens: int) -> None:
    made = VisionTransformer(shape, 5, SETTINGS, dropout=0.1).eval()
    assert made.positions.shape == (1, tokens, 16)
    images = torch.randn(2, *shape)
    result = made(images)
    assert result.shape == (2, 5)
    torch.testing.assert_close(fx.symbolic_trace(made)(images), result)


def test_the_batch_is_free_in_the_trace() -> None:
    made = VisionTransformer((1, 8, 8), 5, SETTINGS, dropout=0.0).eval()
    traced, images = fx.symbolic_trace(made), torch.randn(7, 1, 8, 8)
    torch.testing.assert_close(traced(images)[:1], made(images[:1]), atol=1e-5, rtol=1e-5)


def test_positions_count() -> None:
    made = VisionTransformer((1, 8, 8), 5, SETTINGS, dropout=0.0).eval()
    image = torch.randn(1, 1, 8, 8)  # sixteen patches of 2 x 2
    swapped = torch.cat([image[..., 4:], image[..., :4]], dim=3)
    torch.nn.init.normal_(made.positions, std=1.0)
    assert not torch.allclose(made(image), made(swapped), atol=1e-4)
    torch.nn.init.zeros_(made.positions)
    torch.testing.assert_close(made(image), made(swapped), atol=1e-5, rtol=1e-4)
