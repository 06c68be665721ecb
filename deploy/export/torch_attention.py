"""How attention and transformer layers are written in ONNX: as matrix products and softmaxes, which every runtime knows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .exporter import UnsupportedError
from .torch_writing import Value, Writing

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# What is added where nothing may be looked at: its exponential is 0, and it stays finite in half precision.
_HIDDEN = -1e4


def scaled_dot_product_attention(
    w: Writing,
    result: torch.Tensor,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> str:
    """Write ``softmax(Q K' scale + mask) V`` over the last two axes."""
    del dropout_p, result  # models are written as they predict
    if enable_gqa or not isinstance(key, Value) or not isinstance(query, Value):
        raise UnsupportedError("attention with grouped queries, or with constant queries or keys")
    scaled = w.add("Mul", query.name, w.name(1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale)))
    order = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
    scores = w.add("MatMul", scaled, w.add("Transpose", key.name, perm=order))
    if is_causal:
        causal = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
        scores = _masked(w, scores, causal, hidden=False)
    scores = _masked(w, scores, attn_mask, hidden=False)
    return w.add("MatMul", w.add("Softmax", scores, axis=-1), w.name(value))


def multi_head_attention(
    w: Writing,
    result: Any,
    layer: nn.MultiheadAttention,
    query: Value,
    key: Value,
    value: Value,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> list[str | None]:
    """Write an attention layer that has the batch first; its second output, the weights, may not be used."""
    del result, need_weights, average_attn_weights, is_causal  # is_causal only says what the mask is
    if not layer.batch_first or query.rank != 3 or layer.in_proj_weight is None or layer.add_zero_attn:
        raise UnsupportedError("a MultiheadAttention with the sequence before the batch, or of several widths")
    if layer.bias_k is not None:
        raise UnsupportedError("a MultiheadAttention with add_bias_kv")
    heads, depth = layer.num_heads, layer.head_dim
    q, k, v = (
        w.reshape(name, (each.shape[0], each.shape[1], heads, depth))
        for name, each in zip(_projected(w, layer, query, key, value), (query, key, value), strict=True)
    )
    scores = w.add("MatMul", w.add("Transpose", q, perm=[0, 2, 1, 3]), w.add("Transpose", k, perm=[0, 2, 3, 1]))
    if isinstance(attn_mask, torch.Tensor) and attn_mask.ndim == 3:
        raise UnsupportedError("a MultiheadAttention with a mask for each head")
    scores = _masked(w, scores, attn_mask, hidden=True)
    if key_padding_mask is not None:
        padding = _reshaped_mask(w, key_padding_mask, key)
        scores = _masked(w, scores, padding, hidden=True)
    mixed = w.add("MatMul", w.add("Softmax", scores, axis=-1), w.add("Transpose", v, perm=[0, 2, 1, 3]))
    joined = w.reshape(w.add("Transpose", mixed, perm=[0, 2, 1, 3]), query.shape)
    return [_affine(w, joined, layer.out_proj.weight, layer.out_proj.bias), None]


def _projected(
    w: Writing, layer: nn.MultiheadAttention, query: Value, key: Value, value: Value
) -> tuple[str, str, str]:
    """Write the projections, those of the same input as one product; the scale is put into the query's."""
    width = layer.embed_dim
    factor = torch.ones(3 * width)
    factor[:width] = 1.0 / math.sqrt(layer.head_dim)
    weight = layer.in_proj_weight * factor[:, None].to(layer.in_proj_weight)
    bias = None if layer.in_proj_bias is None else layer.in_proj_bias * factor.to(layer.in_proj_bias)
    if query.name == key.name == value.name:
        together = _affine(w, query.name, weight, bias)
        q, k, v = w.graph.add_many("Split", together, w.integers([width] * 3), outputs=3, axis=2)
        return q, k, v
    biases = (None, None, None) if bias is None else bias.chunk(3)
    names = [
        _affine(w, each.name, part, shift)
        for each, part, shift in zip((query, key, value), weight.chunk(3), biases, strict=True)
    ]
    return names[0], names[1], names[2]


def _affine(w: Writing, name: str, weight: torch.Tensor, bias: torch.Tensor | None) -> str:
    product = w.add("MatMul", name, w.name(weight.t().contiguous()))
    return product if bias is None else w.add("Add", product, w.name(bias))


def _masked(w: Writing, scores: str, mask: Any, *, hidden: bool) -> str:
    """Add a mask to scores.

    Args:
        w: The graph.
        scores: The scores, ``[..., queries, keys]``.
        mask: Float: is added. Bool: says what is hidden, or what is seen. ``None``: none.
        hidden: What a true value of a bool mask means.
    """
    if mask is None:
        return scores
    if isinstance(mask, torch.Tensor):
        if mask.dtype == torch.bool:
            mask = torch.where(mask if hidden else ~mask, _HIDDEN, 0.0)
        return w.add("Add", scores, w.name(torch.clamp(mask, min=_HIDDEN)))
    if mask.dtype != torch.bool:
        return w.add("Add", scores, w.add("Max", mask.name, w.name(_HIDDEN)))
    is_hidden = mask.name if hidden else w.add("Not", mask.name)
    return w.add("Where", is_hidden, w.name(_HIDDEN), scores)


def _reshaped_mask(w: Writing, mask: Any, key: Value) -> Any:
    """Return a mask of the keys as one for every head and query."""
    if not isinstance(mask, Value):
        raise UnsupportedError("a MultiheadAttention with a constant padding mask")
    shape = (key.shape[0], 1, 1, key.shape[1])
    return Value(w.reshape(mask.name, shape), mask.empty.reshape(0, 1, 1, key.shape[1]))


def transformer_encoder_layer(
    w: Writing,
    result: Any,
    layer: nn.TransformerEncoderLayer,
    src: Value,
    src_mask: Any = None,
    src_key_padding_mask: Any = None,
    is_causal: bool = False,
) -> str:
    """Write self-attention and two linear layers, each with its sum and normalization (before or after)."""
    del result, is_causal

    def attended(x: Value) -> Value:
        attention = layer.self_attn
        out: Value = w.layer(
            attention, x, x, x, key_padding_mask=src_key_padding_mask, attn_mask=src_mask, need_weights=False
        )[0]
        return out

    def mapped(x: Value) -> Value:
        inner = w.layer(layer.linear1, x)
        out: Value = w.layer(layer.linear2, Value(_activated(w, layer.activation, inner), inner.empty))
        return out

    x = src
    for step, norm in ((attended, layer.norm1), (mapped, layer.norm2)):
        x = _sum(w, x, step(w.layer(norm, x))) if layer.norm_first else w.layer(norm, _sum(w, x, step(x)))
    return x.name


def _sum(w: Writing, a: Value, b: Value) -> Value:
    return Value(w.add("Add", a.name, b.name), a.empty)


def _activated(w: Writing, activation: Any, x: Value) -> str:
    """Write the activation of a transformer layer, which is a function or a layer."""
    if isinstance(activation, nn.Module):
        name: str = w.layer(activation, x).name
        return name
    layers: dict[Callable[..., Any], nn.Module] = {
        functional.relu: nn.ReLU(),
        functional.gelu: nn.GELU(),
        functional.silu: nn.SiLU(),
    }
    if activation not in layers:
        raise UnsupportedError(f"a transformer layer with the activation {activation!r}")
    return _activated(w, layers[activation], x)


def transformer_encoder(
    w: Writing,
    result: Any,
    layer: nn.TransformerEncoder,
    src: Value,
    mask: Any = None,
    src_key_padding_mask: Any = None,
    is_causal: Any = None,
) -> str:
    """Write a stack of transformer layers and its last normalization."""
    del result, is_causal
    x = src
    for each in layer.layers:
        x = w.layer(each, x, src_mask=mask, src_key_padding_mask=src_key_padding_mask)
    return x.name if layer.norm is None else w.layer(layer.norm, x).name
