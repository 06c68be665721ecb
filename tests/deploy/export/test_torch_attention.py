from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from omniforge.deploy.export.exporter import UnsupportedError
from omniforge.deploy.export.torch_graph import write_module
from omniforge.deploy.runtimes import TensorSpec

RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(5, 7, 8)).astype(np.float32)
CAUSAL = nn.Transformer.generate_square_subsequent_mask(7)
HIDDEN = torch.ones(7, 7, dtype=torch.bool).triu(1)


def attention(**settings: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, batch_first=True, **settings)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def padding(x: torch.Tensor) -> torch.Tensor:
    return x[..., 0] > 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: m.a(x, x, x)[0],
        lambda m, x: m.a(x, x, x, need_weights=False)[0],
        lambda m, x: m.a(x, 2 * x, x * x, need_weights=False)[0],
        lambda m, x: m.a(x[:, :3], x, x)[0],
        lambda m, x: m.a(x, x, x, attn_mask=CAUSAL, is_causal=True, need_weights=False)[0],
        lambda m, x: m.a(x, x, x, attn_mask=HIDDEN)[0],
        lambda m, x: m.a(x, x, x, key_padding_mask=padding(x))[0],
    ],
    ids=["self", "without weights", "cross", "shorter query", "causal", "bool mask", "padding"],
)
@pytest.mark.parametrize("bias", [True, False])
def test_multi_head_attention(call: Any, bias: bool, calling: Any, written: Callable[..., Any]) -> None:
    written(calling(lambda m, x: call(m, x).flatten(1), a=attention(bias=bias)), SEQUENCES)


@pytest.mark.parametrize("settings", [{"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 8, "vdim": 4}])
def test_other_attention_is_left_to_others(settings: dict[str, Any], calling: Any) -> None:
    module = calling(lambda m, x: m.a(x, x, x)[0].flatten(1), a=attention(**settings))
    with pytest.raises(UnsupportedError, match="MultiheadAttention"):
        write_module(module.eval(), rows=TensorSpec((7, 8)), output="y", columns=56)


def test_attention_over_the_batch_is_left_to_others(calling: Any) -> None:
    module = calling(lambda m, x: m.a(x, x, x)[0].flatten(1), a=nn.MultiheadAttention(8, 2))
    with pytest.raises(UnsupportedError, match="before the batch"):
        write_module(module.eval(), rows=TensorSpec((7, 8)), output="y", columns=56)


@pytest.mark.parametrize(
    "settings", [{}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": CAUSAL}, {"attn_mask": ~HIDDEN}],
    ids=["plain", "causal", "scaled", "added", "seen"],
)  # fmt: skip
def test_scaled_dot_product_attention(settings: dict[str, Any], calling: Any, written: Callable[..., Any]) -> None:
    def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
        q = x.unflatten(-1, (2, 4)).transpose(1, 2)
        return functional.scaled_dot_product_attention(q, 2 * q, q - 1, **settings).flatten(1)

    written(calling(forward), SEQUENCES)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu", functional.silu, nn.ELU()], ids=["relu", "gelu", "silu", "elu"])
def test_a_transformer_layer(norm_first: bool, activation: Any, written: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first, activation=activation)
    written(nn.Sequential(layer, nn.Flatten(1)), SEQUENCES)


def test_a_stack_of_transformer_layers_with_masks(calling: Any, written: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    stack = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False)

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.stack(x, mask=HIDDEN, src_key_padding_mask=padding(x) & (torch.arange(7) > 0)).flatten(1)

    written(calling(forward, stack=stack), SEQUENCES)
