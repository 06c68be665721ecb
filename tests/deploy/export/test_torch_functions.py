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
IMAGES = RNG.normal(size=(5, 4, 6, 8)).astype(np.float32)
TOKENS = RNG.integers(0, 4, size=(5, 6))
POSITIONS = torch.arange(8.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: x.mean((2, 3)), lambda m, x: x.mean(dim=-1, keepdim=True), lambda m, x: x.sum(1),
        lambda m, x: x.amax((1, 2)), lambda m, x: torch.amin(x, dim=1, keepdim=True),
        lambda m, x: torch.matmul(x, x.transpose(2, 3)), lambda m, x: x.abs().sqrt() + x.square().exp().log(),
        lambda m, x: x ** 2 - 3 / (x.abs() + 1) + torch.rsqrt(x * x + 1),
        lambda m, x: torch.where(x > 0, x, 0.1 * x), lambda m, x: x.masked_fill(x < 0, -1.0),
        lambda m, x: torch.maximum(x, -x).clamp(max=0.3), lambda m, x: torch.minimum(x, m.positions.mean()),
        lambda m, x: (~((x >= 0) & (x <= 1) | (x != x))).float(),
        lambda m, x: x + POSITIONS, lambda m, x: x * m.positions[: x.size(-1)].sin(),
        lambda m, x: x + m.positions.view(1, -1, 4).repeat(1, 3, 2) * torch.arange(x.shape[-1]),
        lambda m, x: functional.max_pool2d(x, 2), lambda m, x: functional.avg_pool2d(x, 2, stride=1),
        lambda m, x: functional.adaptive_avg_pool2d(x, 1), lambda m, x: functional.relu6(x) + functional.hardswish(x),
        lambda m, x: functional.hardsigmoid(x) * functional.softplus(x), lambda m, x: functional.layer_norm(x, (8,)),
        lambda m, x: functional.log_softmax(x, dim=1), lambda m, x: functional.gelu(x, approximate="tanh"),
        lambda m, x: x.contiguous().to(torch.float32).type_as(x).detach(),
    ],
)  # fmt: skip
def test_every_function_of_images(function: Any, calling: Any, written: Callable[..., Any]) -> None:
    module = calling(lambda m, x: function(m, x).flatten(1))
    module.register_buffer("positions", POSITIONS)
    module.register_parameter("token", nn.Parameter(torch.ones(1, 1, 6, 8)))
    written(module, IMAGES)


def test_whole_numbers_stay_whole(calling: Any, written: Callable[..., Any]) -> None:
    def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
        seen = (x != 0).unsqueeze(-1).float()
        places = torch.arange(x.shape[1])
        return (seen.sum(1) + (x * 2 + places).float() / 2.5).flatten(1)

    written(calling(forward), TOKENS)


def test_a_sum_in_place_is_written(calling: Any, written: Callable[..., Any]) -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = m.conv(x)
        y += x
        return functional.relu(y, inplace=True).flatten(1)

    torch.manual_seed(0)
    written(calling(forward, conv=nn.Conv2d(4, 4, 1)), IMAGES)


def in_place_and_read_later(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.conv(x)
    z = functional.relu(y, inplace=True)
    return (y + z).flatten(1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (in_place_and_read_later, "in place"),
        (lambda m, x: x.mean(), "ReduceMean|operation"),
        (lambda m, x: x.sum(0), "dimension 0"),
        (lambda m, x: m.conv.bias.repeat(x.shape[0], 1), "repeat.*number of rows"),
        (lambda m, x: x.new_zeros(x.shape), "new_zeros"),
        (lambda m, x: x.flatten(1).add(x.flatten(1), alpha=2), "alpha"),
        (lambda m, x: (x / x.shape[0]).flatten(1), "argument 1000003"),
        (lambda m, x: torch.fft.rfft(x), "fft_rfft"),
        (lambda m, x: (x.flatten(1).double() * 2).float(), "double"),
        (lambda m, x: functional.linear(x, x[:, 0, 0:1, :].sum(0)), "dimension 0|linear"),
    ],
)
def test_what_mixes_rows_or_is_unknown_is_named(function: Any, message: str, calling: Any) -> None:
    module = calling(function, conv=nn.Conv2d(4, 4, 1)).eval()
    with pytest.raises(UnsupportedError, match=message):
        write_module(module, rows=TensorSpec((4, 6, 8)), output="y", columns=192)
