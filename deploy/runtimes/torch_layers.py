"""ONNX operators in torch: activations, convolutions, pools, norms, resizing, quantization.

Functions of the form that ``torch_operators`` describes; importing this module adds them to its table.
"""

# ruff: noqa: D103  # what these functions are is said above, for all of them

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .torch_operators import Attributes, Function, as_ints, operator

Sizes = Sequence[int] | None

_TINY = 1e-30  # what a row of zeros is divided by: it stays zero

# Activations


@operator("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    return functional.leaky_relu(x, alpha)


@operator("PRelu")
def p_relu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x >= 0, x, slope * x)


@operator("ThresholdedRelu")
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.threshold(x, alpha, 0.0)


@operator("Elu")
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.elu(x, alpha)


@operator("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.celu(x, alpha)


@operator("Selu")
def selu(x: Tensor, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Tensor:
    return gamma * functional.elu(x, alpha)


@operator("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    return functional.gelu(x, approximate=approximate)


@operator("Mish")
def mish(x: Tensor) -> Tensor:
    return functional.mish(x)


@operator("Swish")
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.silu(x) if alpha == 1.0 else x * torch.sigmoid(alpha * x)


@operator("Softplus")
def softplus(x: Tensor) -> Tensor:
    return functional.softplus(x)


@operator("HardSwish")
def hard_swish(x: Tensor) -> Tensor:
    return functional.hardswish(x)


@operator("HardSigmoid")
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def _over_axis(x: Tensor, axis: int | None, opset: int, compute: Callable[..., Tensor]) -> Tensor:
    """Apply a softmax over one axis; before opset 13 it was over all from that axis on."""
    if opset >= 13:
        return compute(x, dim=-1 if axis is None else axis)
    first = (1 if axis is None else axis) % x.dim()
    return compute(x.flatten(first), dim=first).reshape(x.shape)


@operator("Softmax")
def softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    return _over_axis(x, axis, opset, torch.softmax)


@operator("LogSoftmax")
def log_softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    return _over_axis(x, axis, opset, torch.log_softmax)


# Convolutions and pools


def _pads(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], *, pads: Sizes, auto_pad: str
) -> tuple[list[int], list[int]]:
    """Return the padding before and after each axis of space, in rows and columns of values."""
    count = len(kernel)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        spans = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
        totals = [
            max((-(-x.shape[2 + at] // strides[at]) - 1) * strides[at] + spans[at] - x.shape[2 + at], 0)
            for at in range(count)
        ]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        return (less, more) if auto_pad == "SAME_UPPER" else (more, less)
    if pads is None or auto_pad == "VALID":
        return [0] * count, [0] * count
    return list(pads[:count]), list(pads[count:])


def _padded(x: Tensor, before: Sequence[int], after: Sequence[int], value: float) -> Tensor:
    widths = [width for at in reversed(range(len(before))) for width in (before[at], after[at])]
    return functional.pad(x, widths, value=value)


_CONVOLUTIONS: dict[int, Function] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED: dict[int, Function] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAX_POOLS: dict[int, Function] = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_MEAN_POOLS: dict[int, Function] = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


@operator("Conv")
def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sizes = None,  # noqa: ARG001  # the weight says it
    strides: Sizes = None,
    pads: Sizes = None,
    dilations: Sizes = None,
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Tensor:
    count = weight.dim() - 2
    strides, dilations = strides or (1,) * count, dilations or (1,) * count
    before, after = _pads(x, weight.shape[2:], strides, dilations, pads=pads, auto_pad=auto_pad)
    if before != after:
        x, before = _padded(x, before, after, 0.0), [0] * count
    result: Tensor = _CONVOLUTIONS[count](
        x, weight, bias, stride=tuple(strides), padding=tuple(before), dilation=tuple(dilations), groups=group
    )
    return result


@operator("ConvTranspose", limits=lambda a: "output_shape" if a.get("output_shape") else _not_automatic(a))
def transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sizes = None,  # noqa: ARG001
    strides: Sizes = None,
    pads: Sizes = None,
    dilations: Sizes = None,
    output_padding: Sizes = None,
    group: int = 1,
    auto_pad: str = "NOTSET",  # noqa: ARG001
) -> Tensor:
    count = weight.dim() - 2
    pads = pads or (0,) * (2 * count)
    full = _TRANSPOSED[count](
        x,
        weight,
        bias,
        stride=tuple(strides or (1,) * count),
        output_padding=tuple(output_padding or (0,) * count),
        groups=group,
        dilation=tuple(dilations or (1,) * count),
    )
    return _padded(full, [-width for width in pads[:count]], [-width for width in pads[count:]], 0.0)


def _not_automatic(attributes: Attributes) -> str | None:
    value = attributes.get("auto_pad", "NOTSET")
    return None if value in ("NOTSET", "VALID") else f"auto_pad = {value!r}"


@operator("MaxPool")
def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sizes = None,
    pads: Sizes = None,
    dilations: Sizes = None,
    ceil_mode: int = 0,
    auto_pad: str = "NOTSET",
) -> Tensor:
    count = len(kernel_shape)
    strides, dilations = strides or (1,) * count, dilations or (1,) * count
    before, after = _pads(x, kernel_shape, strides, dilations, pads=pads, auto_pad=auto_pad)
    if before != after or any(2 * width > size for width, size in zip(before, kernel_shape, strict=True)):
        x, before = _padded(x, before, after, float("-inf")), [0] * count
    result: Tensor = _MAX_POOLS[count](
        x, tuple(kernel_shape), tuple(strides), tuple(before), tuple(dilations), ceil_mode=bool(ceil_mode)
    )
    return result


@operator("AveragePool")
def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sizes = None,
    pads: Sizes = None,
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    auto_pad: str = "NOTSET",
) -> Tensor:
    count = len(kernel_shape)
    strides = strides or (1,) * count
    before, after = _pads(x, kernel_shape, strides, (1,) * count, pads=pads, auto_pad=auto_pad)
    pool = _MEAN_POOLS[count]
    settings = {"kernel_size": tuple(kernel_shape), "stride": tuple(strides), "ceil_mode": bool(ceil_mode)}
    if before == after and not any(2 * width > size for width, size in zip(before, kernel_shape, strict=True)):
        return _tensor(pool(x, padding=tuple(before), count_include_pad=bool(count_include_pad), **settings))
    means = pool(_padded(x, before, after, 0.0), **settings)
    if count_include_pad:
        return _tensor(means)
    return _tensor(means / pool(_padded(torch.ones_like(x[:1, :1]), before, after, 0.0), **settings))


def _tensor(value: Any) -> Tensor:
    result: Tensor = value
    return result


@operator("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def _resize_limits(attributes: Attributes) -> str | None:
    mode = attributes.get("mode", "nearest")
    place = attributes.get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        known = place == "asymmetric" and attributes.get("nearest_mode", "round_prefer_floor") == "floor"
    else:
        known = place in ("half_pixel", "pytorch_half_pixel", "align_corners")
    if mode == "cubic":
        known = known and attributes.get("cubic_coeff_a", -0.75) == -0.75
    unknown = [name for name in ("antialias", "exclude_outside", "axes") if attributes.get(name)]
    if attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        unknown.append("keep_aspect_ratio_policy")
    return None if known and not unknown else f"mode {mode} at {place} {' '.join(unknown)}".strip()


@operator("Resize", static=(1, 2, 3), limits=_resize_limits)
def resize(
    x: Tensor,
    roi: Any = None,  # noqa: ARG001  # of tf_crop_and_resize alone
    scales: Any = None,
    sizes: Any = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "floor",  # noqa: ARG001
    cubic_coeff_a: float = -0.75,  # noqa: ARG001
    keep_aspect_ratio_policy: str = "stretch",  # noqa: ARG001
    extrapolation_value: float = 0.0,  # noqa: ARG001
) -> Tensor:
    kind = {"linear": {1: "linear", 2: "bilinear", 3: "trilinear"}[x.dim() - 2], "cubic": "bicubic"}.get(mode, mode)
    aligned = None if mode == "nearest" else coordinate_transformation_mode == "align_corners"
    given = tuple(scales)[2:] if sizes is None else tuple(as_ints(sizes))[2:]
    goals = [int(size * scale) for size, scale in zip(x.shape[2:], given, strict=True)] if sizes is None else given
    if coordinate_transformation_mode == "pytorch_half_pixel" and 1 in goals:
        raise ValueError("Resize to a single value by pytorch_half_pixel is not known")
    if sizes is not None:
        return functional.interpolate(x, size=tuple(goals), mode=kind, align_corners=aligned)
    if aligned and any(size * scale != goal for size, scale, goal in zip(x.shape[2:], given, goals, strict=True)):
        raise ValueError("Resize by align_corners to a size that is no whole number is not known")
    return functional.interpolate(x, scale_factor=given, mode=kind, align_corners=aligned, recompute_scale_factor=False)


# Norms


@operator(
    "BatchNormalization",
    limits=lambda a: "a model in training" if a.get("training_mode") else None,
)
def batch_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,  # noqa: ARG001
    spatial: int = 1,  # noqa: ARG001
) -> Tensor:
    return functional.batch_norm(x, mean, variance, scale, bias, training=False, eps=epsilon)


@operator("InstanceNormalization")
def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


@operator("LayerNormalization")
def layer_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,  # noqa: ARG001
) -> Tensor:
    shape = x.shape[axis:]
    if scale.shape == shape and (bias is None or bias.shape == shape):
        return functional.layer_norm(x, shape, scale, bias, epsilon)
    plain = functional.layer_norm(x, shape, None, None, epsilon) * scale
    return plain if bias is None else plain + bias


@operator("RMSNormalization")
def rms_norm(
    x: Tensor,
    scale: Tensor,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,  # noqa: ARG001
) -> Tensor:
    return functional.rms_norm(x, x.shape[axis:], None, epsilon) * scale


@operator("GroupNormalization")
def group_norm(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,  # noqa: ARG001
    opset: int,
) -> Tensor:
    if opset < 21:  # one scale for a group; from then on, for a channel
        scale, bias = (value.repeat_interleave(x.shape[1] // num_groups) for value in (scale, bias))
    return functional.group_norm(x, num_groups, scale, bias, epsilon)


@operator("LpNormalization")
def lp_norm(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    return functional.normalize(x, p=float(p), dim=axis, eps=_TINY)


@operator("LRN")
def local_response_norm(x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    return functional.local_response_norm(x, size, alpha, beta, bias)


# Quantization


def _along(value: Tensor, axis: int, rank: int) -> Tensor:
    """Shape a scale of each channel so that it lies along one axis of ``rank``; one of all stays as it is."""
    if value.numel() == 1:
        return value.reshape(())
    return value.reshape([-1 if at == axis % rank else 1 for at in range(rank)])


@operator("QuantizeLinear")
def quantize(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    saturate: int = 1,  # noqa: ARG001
) -> Tensor:
    dtype = torch.uint8 if zero is None else zero.dtype
    levels = torch.round(x / _along(scale, axis, x.dim()))
    if zero is not None:
        levels = levels + _along(zero, axis, x.dim())
    limits = torch.iinfo(dtype)
    return torch.clamp(levels, limits.min, limits.max).to(dtype)


@operator("DequantizeLinear")
def dequantize(x: Tensor, scale: Tensor, zero: Tensor | None = None, *, axis: int = 1) -> Tensor:
    levels = x.to(torch.int32)
    if zero is not None:
        levels = levels - _along(zero.to(torch.int32), axis, x.dim())
    return levels * _along(scale, axis, x.dim())


@operator("DynamicQuantizeLinear")
def dynamic_quantize(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low, high = torch.clamp(x.amin(), max=0.0), torch.clamp(x.amax(), min=0.0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero = torch.clamp(torch.round(-low / scale), 0, 255).to(torch.uint8)
    return quantize(x, scale, zero), scale, zero


@operator("MatMulInteger")
def integer_matmul(a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None) -> Tensor:
    a, b = a.to(torch.int32), b.to(torch.int32)
    if a_zero is not None:
        a = a - (a_zero.to(torch.int32).unsqueeze(-1) if a_zero.dim() else a_zero.to(torch.int32))
    return torch.matmul(a, b if b_zero is None else b - b_zero.to(torch.int32))


@operator("ConvInteger")
def integer_convolution(  # in float64, which holds the sums exactly: torch has no convolution of integers
    x: Tensor, weight: Tensor, x_zero: Tensor | None = None, weight_zero: Tensor | None = None, **settings: Any
) -> Tensor:
    x, weight = x.double(), weight.double()
    if x_zero is not None:
        x = x - x_zero.double()
    if weight_zero is not None:
        weight = weight - _along(weight_zero.double(), 0, weight.dim())
    return torch.round(convolution(x, weight, **settings)).to(torch.int32)
