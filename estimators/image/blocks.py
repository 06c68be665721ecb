"""The blocks that stages of a convolutional network are made of: plain, residual, inverted residual.

Every block maps ``n x c_in x h x w`` to ``n x c_out x ceil(h / stride) x ceil(w / stride)``. They are layers and sums and
products of tensors, with no branch on data: they can be traced, and written as ONNX operator by operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}
_SQUEEZED_SHARE = 4  # the bottleneck of squeeze-and-excitation has a quarter of the channels


def activation(name: str) -> nn.Module:
    """Return an activation by name: ``relu`` or ``silu``."""
    return _ACTIVATIONS[name]()


def conv(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1, act: str | None = "relu"
) -> nn.Sequential:
    """Return a convolution that keeps the size (``stride`` 1), with its batch normalization and activation.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Width of the square kernel, odd.
        stride: 1 or 2.
        groups: 1, or ``inputs`` for a depthwise convolution.
        act: The activation's name; None: none.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([] if act is None else [activation(act)]))


class SqueezeExcite(nn.Module):
    """Weigh each channel by what the whole image says of it (Hu et al. 2018, figure 2).

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(4, channels // _SQUEEZED_SHARE)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x c x h x w`` to the same shape."""
        result: Tensor = x * self.weigh(x)
        return result


class Residual(nn.Module):
    """A body beside a shortcut: the input itself, or its projection where the shape changes (He et al. 2016).

    A stride leaves out pixels before the projection, which is the same as a 1 x 1 convolution with that stride: the
    gradient of the latter corrupts the heap of torch 2.13 where 3 to 15 channels come last.

    Args:
        body: Maps ``inputs`` channels to ``outputs`` channels, without an activation at its end.
        inputs: Channels in.
        outputs: Channels out.
        stride: That of the body.
        act: The activation after the sum; None: none, as in inverted residuals.
    """

    def __init__(self, body: nn.Module, inputs: int, outputs: int, *, stride: int, act: str | None) -> None:
        super().__init__()
        self.body = body
        same = stride == 1 and inputs == outputs
        self.fewer = nn.Identity() if stride == 1 else nn.MaxPool2d(1, stride=stride)
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, kernel=1, act=None)
        self.act = nn.Identity() if act is None else activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of body plus shortcut."""
        result: Tensor = self.act(self.body(x) + self.shortcut(self.fewer(x)))
        return result


def plain(inputs: int, outputs: int, *, stride: int, kernel: int, act: str, settings: Mapping[str, Any]) -> nn.Module:
    """Return one convolution, as in VGG (Simonyan and Zisserman 2015)."""
    del settings
    return conv(inputs, outputs, kernel=kernel, stride=stride, act=act)


def resnet(inputs: int, outputs: int, *, stride: int, kernel: int, act: str, settings: Mapping[str, Any]) -> nn.Module:
    """Return a residual block: two convolutions, or a bottleneck between two 1 x 1 convolutions (He et al. 2016).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: Of the first ``kernel`` x ``kernel`` convolution.
        kernel: Width of the kernel.
        act: The activation's name.
        settings: ``squeeze``: how many times narrower the bottleneck is; 1 means two full convolutions.
    """
    inner = max(4, outputs // settings["squeeze"])
    if settings["squeeze"] == 1:
        body = nn.Sequential(
            conv(inputs, outputs, kernel=kernel, stride=stride, act=act),
            conv(outputs, outputs, kernel=kernel, act=None),
        )
    else:
        body = nn.Sequential(
            conv(inputs, inner, kernel=1, act=act),
            conv(inner, inner, kernel=kernel, stride=stride, act=act),
            conv(inner, outputs, kernel=1, act=None),
        )
    return Residual(body, inputs, outputs, stride=stride, act=act)


def mobilenet(
    inputs: int, outputs: int, *, stride: int, kernel: int, act: str, settings: Mapping[str, Any]
) -> nn.Module:
    """Return an inverted residual: expand, depthwise convolution, project (Sandler et al. 2018; Howard et al. 2019).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: Of the depthwise convolution.
        kernel: Width of the depthwise kernel.
        act: The activation's name.
        settings: ``expansion``: how many times wider the inside is; ``squeeze_excite``: whether channels are weighed.
    """
    inner = inputs * settings["expansion"]
    layers: list[nn.Module] = []
    if settings["expansion"] > 1:
        layers.append(conv(inputs, inner, kernel=1, act=act))
    layers.append(conv(inner, inner, kernel=kernel, stride=stride, groups=inner, act=act))
    if settings["squeeze_excite"]:
        layers.append(SqueezeExcite(inner))
    layers.append(conv(inner, outputs, kernel=1, act=None))
    body = nn.Sequential(*layers)
    if stride == 1 and inputs == outputs:
        return Residual(body, inputs, outputs, stride=stride, act=None)
    return body


BLOCKS: Mapping[str, Callable[..., nn.Module]] = {"plain": plain, "resnet": resnet, "mobilenet": mobilenet}
