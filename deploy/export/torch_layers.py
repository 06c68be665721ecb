"""How each layer of ``torch.nn`` is written in ONNX. Attention and transformer layers are in ``torch_attention``.

A writer takes the graph in the making, what torch returns for the layer (for no rows), the layer, and the
arguments of the call; it returns the name of the result, or a list of names.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from . import torch_functions as functions
from .exporter import UnsupportedError
from .torch_attention import multi_head_attention, transformer_encoder, transformer_encoder_layer
from .torch_shapes import reshaped
from .torch_writing import Value, Writing, array

Layer = Callable[..., Any]
NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold_norm(layer: nn.Module, norm: nn.Module, x: Any) -> nn.Module | None:
    """Return a copy of a layer that does the batch normalization after it too; ``None`` if it cannot.

    ``y = g (W x + b - m) / sqrt(v + e) + s`` is ``W' x + b'`` with ``W' = W g / sqrt(v + e)`` along the output channels.

    Args:
        layer: A linear layer or a convolution.
        norm: What alone reads its result.
        x: What the layer reads.
    """
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear) or not isinstance(
        norm, nn.BatchNorm1d | nn.BatchNorm2d
    ):
        return None
    is_plain = type(layer) in (nn.Conv1d, nn.Conv2d) or (type(layer) is nn.Linear and x.rank == 2)
    hooks = (norm._forward_hooks, norm._forward_pre_hooks, layer._forward_hooks, layer._forward_pre_hooks)
    if not is_plain or any(hooks) or norm.running_mean is None or norm.running_var is None:
        return None
    weight, bias = layer.weight, layer.bias
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale if bias is None else (bias.double() - norm.running_mean) * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    folded = copy.copy(layer)
    folded._parameters = {
        "weight": nn.Parameter((weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))).to(weight.dtype)),
        "bias": nn.Parameter(shift.to(weight.dtype)),
    }
    return folded


def _linear(w: Writing, result: torch.Tensor, layer: nn.Linear, x: Value) -> str:
    return functions.linear(w, result, x, layer.weight, layer.bias)


def _batch_norm(w: Writing, result: torch.Tensor, layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Value) -> str:
    del result
    if layer.running_mean is None or layer.running_var is None:
        raise UnsupportedError(f"a {type(layer).__name__} without running statistics")
    size = layer.num_features
    scale = layer.weight if layer.weight is not None else torch.ones(size)
    shift = layer.bias if layer.bias is not None else torch.zeros(size)
    statistics = [w.name(v) for v in (scale, shift, layer.running_mean, layer.running_var)]
    return w.add("BatchNormalization", x.name, *statistics, epsilon=layer.eps)


def _layer_norm(w: Writing, result: torch.Tensor, layer: nn.LayerNorm, x: Value) -> str:
    return functions.layer_norm(w, result, x, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


def _group_norm(w: Writing, result: torch.Tensor, layer: nn.GroupNorm, x: Value) -> str:
    """Normalize groups of channels: each group as one channel of an instance normalization, then scale and shift."""
    groups = layer.num_groups
    per_group = int(np.prod(x.shape[1:])) // groups
    ones, zeros = w.name(torch.ones(groups)), w.name(torch.zeros(groups))
    grouped = w.reshape(x.name, (x.shape[0], groups, per_group))
    normed = w.add("InstanceNormalization", grouped, ones, zeros, epsilon=layer.eps)
    y = w.reshape(normed, result.shape)
    if not layer.affine:
        return y
    shape = (-1, *[1] * (x.rank - 2))
    return w.add("Add", w.add("Mul", y, w.name(layer.weight.reshape(shape))), w.name(layer.bias.reshape(shape)))


def _convolution(w: Writing, result: torch.Tensor, layer: nn.Conv1d | nn.Conv2d, x: Value) -> str:
    if x.rank != result.ndim or x.rank != layer.weight.ndim:
        raise UnsupportedError(f"a {type(layer).__name__} of one image without a batch")
    name, before, after = x.name, *_padding(layer)
    if layer.padding_mode != "zeros" and any((*before, *after)):
        modes = {"reflect": "reflect", "replicate": "edge"}
        if layer.padding_mode not in modes:
            raise UnsupportedError(f"a {type(layer).__name__} padded by {layer.padding_mode!r}")
        name = w.add("Pad", name, w.integers([0, 0, *before, 0, 0, *after]), mode=modes[layer.padding_mode])
        before = after = [0] * len(before)
    bias = [] if layer.bias is None else [w.name(layer.bias)]
    return w.add(
        "Conv",
        name,
        w.name(layer.weight),
        *bias,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=layer.groups,
        pads=[*before, *after],
    )


def _padding(layer: nn.Conv1d | nn.Conv2d) -> tuple[list[int], list[int]]:
    """Return how many positions a convolution pads before and after each axis."""
    if isinstance(layer.padding, str):
        if layer.padding == "valid":
            return [0] * len(layer.kernel_size), [0] * len(layer.kernel_size)
        totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return [total // 2 for total in totals], [total - total // 2 for total in totals]
    return [int(p) for p in layer.padding], [int(p) for p in layer.padding]


def _max_pool(w: Writing, result: Any, layer: nn.MaxPool1d | nn.MaxPool2d, x: Value) -> Any:
    return functions.max_pool(
        w, result, x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode,
        layer.return_indices,
    )  # fmt: skip


def _avg_pool(w: Writing, result: torch.Tensor, layer: nn.AvgPool1d | nn.AvgPool2d, x: Value) -> str:
    return functions.avg_pool(
        w, result, x, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad,
        getattr(layer, "divisor_override", None),
    )  # fmt: skip


def _embedding(w: Writing, result: torch.Tensor, layer: nn.Embedding, x: Value) -> str:
    del result
    if layer.max_norm is not None:
        raise UnsupportedError("an Embedding with max_norm")
    return w.add("Gather", w.name(layer.weight), w.name(x), axis=0)


def _prelu(w: Writing, result: torch.Tensor, layer: nn.PReLU, x: Value) -> str:
    slope = array(layer.weight).reshape(-1, *[1] * (result.ndim - 2)) if result.ndim > 1 else array(layer.weight)
    return w.add("PRelu", x.name, w.graph.constant(slope))


def _calls(function: Callable[..., str], *fields: str) -> Layer:
    """Return the writer of a layer that is a function of its input and of some of its fields."""
    return lambda w, result, layer, x: function(w, result, x, *(getattr(layer, field) for field in fields))


def _activation(op: str, **attributes: str) -> Layer:
    """Return the writer of an activation whose ONNX attributes are fields of the layer."""

    def write(w: Writing, result: torch.Tensor, layer: nn.Module, x: Value) -> str:
        del result
        return w.add(op, x.name, **{name: float(getattr(layer, field)) for name, field in attributes.items()})

    return write


def _flatten(w: Writing, result: torch.Tensor, layer: nn.Module, x: Value) -> str:
    del layer
    return reshaped(w, result, x)


def _same(w: Writing, result: torch.Tensor, layer: nn.Module, x: Value) -> str:
    del w, result, layer
    return x.name


def _adaptive(op: str) -> Layer:
    def write(w: Writing, result: torch.Tensor, layer: nn.Module, x: Value) -> str:
        if getattr(layer, "return_indices", False):
            raise UnsupportedError(f"a {type(layer).__name__} with indices")
        return functions.adaptive_pool(w, result, x, op=op)

    return write


def _each(layers: Sequence[type[nn.Module]], writer: Layer) -> dict[type[nn.Module], Layer]:
    return dict.fromkeys(layers, writer)


LAYERS: dict[type[nn.Module], Layer] = {
    **_each((nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout), _same),
    **_each((nn.Conv1d, nn.Conv2d), _convolution),
    **_each((nn.BatchNorm1d, nn.BatchNorm2d), _batch_norm),
    **_each((nn.MaxPool1d, nn.MaxPool2d), _max_pool),
    **_each((nn.AvgPool1d, nn.AvgPool2d), _avg_pool),
    **_each((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d), _adaptive("AveragePool")),
    **_each((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d), _adaptive("MaxPool")),
    **_each((nn.Flatten, nn.Unflatten), _flatten),
    nn.ELU: _activation("Elu", alpha="alpha"),
    nn.Embedding: _embedding,
    nn.GELU: _calls(functions.gelu, "approximate"),
    nn.GroupNorm: _group_norm,
    nn.Hardsigmoid: _calls(functions.hardsigmoid),
    nn.Hardswish: _activation("HardSwish"),
    nn.Hardtanh: _calls(functions.clamp, "min_val", "max_val"),
    nn.LayerNorm: _layer_norm,
    nn.LeakyReLU: _activation("LeakyRelu", alpha="negative_slope"),
    nn.Linear: _linear,
    nn.LogSoftmax: _calls(functions.log_softmax, "dim"),
    nn.MultiheadAttention: multi_head_attention,
    nn.PReLU: _prelu,
    nn.ReLU: _activation("Relu"),
    nn.ReLU6: _calls(functions.relu6),
    nn.SELU: _activation("Selu"),
    nn.SiLU: _calls(functions.silu),
    nn.Sigmoid: _activation("Sigmoid"),
    nn.Softmax: _calls(functions.softmax, "dim"),
    nn.Softplus: _calls(functions.softplus, "beta", "threshold"),
    nn.Tanh: _activation("Tanh"),
    nn.TransformerEncoder: transformer_encoder,
    nn.TransformerEncoderLayer: transformer_encoder_layer,
}
