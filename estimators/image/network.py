"""A whole network: one of the architectures, and what turns its output into a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...registry import Registry

ARCHITECTURES: Registry[type[nn.Module]] = Registry(
    "architecture", {"cnn": ".cnn:CNN", "transformer": ".transformer:VisionTransformer"}, package=__package__
)


class Affine(nn.Module):
    """Put a standardized prediction of a value into the unit of the target.

    Attributes:
        center: The mean of the target, 1.
        scale: Its standard deviation, 1.
    """

    center: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(1))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``n x 1`` to ``n x 1``."""
        return x * self.scale + self.center


class Network(nn.Module):
    """A body, and what turns its output into probabilities or a value.

    Args:
        body: Maps ``n x c x h x w`` to logits ``n x k``, or to a standardized value ``n x 1``.
        classes: The number of classes ``k``; 0 for regression.
    """

    def __init__(self, body: nn.Module, *, classes: int) -> None:
        super().__init__()
        self.body = body
        self.final: nn.Module = nn.Softmax(dim=1) if classes else Affine()

    def forward(self, images: Tensor) -> Tensor:
        """Map ``n x c x h x w`` to probabilities ``n x k``, or to a prediction ``n x 1``."""
        result: Tensor = self.final(self.body(images))
        return result


def build_network(arguments: Mapping[str, Any], shape: tuple[int, int, int], *, classes: int) -> Network:
    """Build the network that a configuration describes, with weights from torch's current seed.

    Args:
        arguments: A configuration of ``space.yaml``: ``architecture``, the paths below the chosen one, ``dropout``.
        shape: ``(c, h, w)`` of one image.
        classes: The number of classes; 0 for regression.

    Raises:
        UnknownNameError: There is no such architecture.
    """
    name = arguments["architecture"]
    prefix = f"architecture.{name}."
    settings = {path.removeprefix(prefix): value for path, value in arguments.items() if path.startswith(prefix)}
    body = ARCHITECTURES.get(name)(shape, max(classes, 1), settings, dropout=arguments["dropout"])
    return Network(body, classes=classes)
