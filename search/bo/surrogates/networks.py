"""Many small networks at once: their parameters in one matrix, evaluated and trained by batched products. Not a surrogate.

A batch of `k` networks is a `k x P`-dim Tensor, one row of parameters each; all have the same shape and one output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..rows import Rows

_SQRT_3 = math.sqrt(3.0)


class Inputs:
    """Rows as inputs of networks: numbers of about unit variance, an indicator per value of a choice, 0 where not active.

    Args:
        rows: The space's rows.

    Attributes:
        width: The number of inputs.
        active: About how many of them are not 0 at once.
    """

    def __init__(self, rows: Rows) -> None:
        cards = rows.encoding.cardinalities
        self._rows = rows
        pairs = [(column, code) for column in rows.categorical for code in range(cards[column])]
        self._column = torch.tensor([column for column, _ in pairs], dtype=torch.long)
        self._code = torch.tensor([code for _, code in pairs], dtype=torch.float64)
        self.width = len(rows.numeric) + len(pairs)
        self.active = max(1, rows.width)

    def __call__(self, X: Tensor) -> Tensor:
        """Return the inputs of `N x d` rows, a `N x width`-dim Tensor."""
        active = self._rows.active(X)[:, self._rows.numeric]
        numeric = torch.where(active, (2.0 * X[:, self._rows.numeric] - 1.0) * _SQRT_3, torch.zeros((), dtype=X.dtype))
        indicators = (X[:, self._column] == self._code).to(X) * _SQRT_3
        return torch.cat([numeric, indicators], dim=-1)


@dataclass(frozen=True)
class Shape:
    """The layers of a network with tanh units.

    Args:
        inputs: The number of inputs.
        active: About how many inputs are not 0 at once.
        units: Of each hidden layer, at least one.
    """

    inputs: int
    active: int
    units: tuple[int, ...]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The inputs and outputs of each layer, the linear output last."""
        widths = [self.inputs, *self.units, 1]
        return list(pairwise(widths))

    @property
    def spread(self) -> Tensor:
        """The prior standard deviation of each parameter, a `P`-dim Tensor: what comes in keeps its variance."""
        parts = []
        for layer, (fan_in, fan_out) in enumerate(self.sizes):
            # tanh units of normal inputs have a variance of about a half
            scale = math.sqrt(0.5 / self.active) if layer == 0 else math.sqrt(2.0 / fan_in)
            parts += [torch.full((fan_in * fan_out,), scale), torch.full((fan_out,), 0.7)]
        return torch.cat(parts).to(torch.float64)

    def draw(self, k: int, generator: torch.Generator) -> Tensor:
        """Return `k` networks from the prior."""
        spread = self.spread
        return torch.randn(k, len(spread), generator=generator, dtype=torch.float64) * spread

    def units_and_output(self, theta: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate `k` networks.

        Args:
            theta: A `k x P`-dim Tensor.
            inputs: A `N x inputs`-dim Tensor.

        Returns:
            The last hidden layer, `k x N x H`, and the output, `k x N`.
        """
        lengths = [length for fan_in, fan_out in self.sizes for length in (fan_in * fan_out, fan_out)]
        parts = torch.split(theta, lengths, dim=1)
        k = theta.shape[0]
        units = inputs.expand(k, *inputs.shape)
        for layer, (fan_in, fan_out) in enumerate(self.sizes[:-1]):
            weight = parts[2 * layer].reshape(k, fan_in, fan_out)
            units = torch.tanh(torch.baddbmm(parts[2 * layer + 1][:, None, :], units, weight))
        output = torch.baddbmm(parts[-1][:, None, :], units, parts[-2][..., None])
        return units, output.squeeze(-1)


Loss = Callable[[Tensor], Tensor]
"""Maps `k x P` parameters to a `k`-dim Tensor, one loss per network."""


def gradient(loss: Loss, theta: Tensor) -> Tensor:
    """Return the gradient of each network's loss, a `k x P`-dim Tensor."""
    theta = theta.detach().requires_grad_()
    (slope,) = torch.autograd.grad(loss(theta).sum(), theta)
    return slope


def descend(loss: Loss, theta: Tensor, *, steps: int, rate: float) -> Tensor:
    """Return `k x P` parameters after Adam (Kingma and Ba, ICLR 2015) with a rate that falls to zero along a cosine."""
    first, second = torch.zeros_like(theta), torch.zeros_like(theta)
    for step in range(1, steps + 1):
        slope = gradient(loss, theta)
        first = torch.lerp(first, slope, 0.1)
        second = torch.lerp(second, slope * slope, 0.01)
        fall = 0.5 * (1.0 + math.cos(math.pi * (step - 1) / steps))
        scaled = (second / (1.0 - 0.99**step)).sqrt_().add_(1e-8)
        theta = theta - (rate * fall / (1.0 - 0.9**step)) * first / scaled
    return theta


def seeded(seed: int) -> torch.Generator:
    """Return a generator of its own, which leaves the global one alone."""
    return torch.Generator().manual_seed(seed)
