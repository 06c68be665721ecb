from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from omniforge.deploy.export.exporter import UnsupportedError
from omniforge.deploy.export.torch_graph import write_module
from omniforge.deploy.export.torch_shapes import rows_in, shape_of_view
from omniforge.deploy.export.torch_writing import BATCH, Value
from omniforge.deploy.runtimes import TensorSpec

IMAGES = np.random.default_rng(0).normal(size=(5, 4, 6, 8)).astype(np.float32)


def heads(_: Any, x: torch.Tensor) -> torch.Tensor:
    b, c, h, w = x.shape
    y = x.permute(0, 2, 1, 3).reshape(b * h, c, w)  # the batch takes the rows of the image in
    y = (y @ y.transpose(1, 2) / math.sqrt(8)).softmax(-1)
    return y.view(b, h, -1, c).flatten(1)


def unpacked(_: Any, x: torch.Tensor) -> torch.Tensor:
    q, k, v = torch.stack([x, 2 * x, -x], dim=1).unbind(1)
    return torch.cat([q, k[..., ::2], v[..., 3:5]], dim=-1)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: x.view(x.size(0), -1),
        lambda m, x: x.reshape(-1, 4, 48).transpose(-1, 1),
        lambda m, x: x.reshape((x.shape[0], 2, 2, 48)).squeeze().unsqueeze(1),
        lambda m, x: torch.flatten(x, 2).unflatten(1, (2, -1)),
        lambda m, x: x[:, 0], lambda m, x: x[:, -1, ..., 2], lambda m, x: x[:, :, 1:5:2, None, -3:],
        lambda m, x: x[..., :4] * x[..., 4:], lambda m, x: x[:, 1, 2, 3:4],
        lambda m, x: torch.cat(x.chunk(2, dim=1), dim=3), lambda m, x: x.split([1, 3], dim=1)[1],
        lambda m, x: torch.split(x, 2, dim=1)[0] - torch.chunk(x, 2, 1)[1], lambda m, x: torch.stack([x, x * 2], dim=-1),
        unpacked, heads,
        lambda m, x: functional.pad(x, (1, 2, 0, 3), value=0.5),
        lambda m, x: functional.pad(x, (1, 1, 2, 0), mode="replicate"),
        lambda m, x: torch.cat([x, m.token.expand(x.shape[0], -1, -1, -1)], dim=1),
        lambda m, x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1), lambda m, x: x[:, :1].expand_as(x),
        lambda m, x: x.swapaxes(1, 2), lambda m, x: torch.permute(x, (0, 3, 1, 2)), lambda m, x: x.flatten(0, 1).view(-1, 192),
    ],
)  # fmt: skip
def test_every_change_of_shape(function: Any, calling: Any, written: Callable[..., Any]) -> None:
    module = calling(lambda m, x: function(m, x).flatten(1))
    module.register_parameter("token", nn.Parameter(torch.ones(1, 1, 6, 8)))
    written(module, IMAGES)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: x[0], "dimension 0"),
        (lambda m, x: x[1:].flatten(1), "dimension 0"),
        (lambda m, x: x[[0, 1]], "index"),
        (lambda m, x: torch.stack([x, x]), "dimension 0"),
        (lambda m, x: x.view(7, -1), "view"),
        (lambda m, x: functional.pad(x, (1, 1, 1, 1), mode="circular"), "circular"),
    ],
)
def test_what_mixes_rows_is_named(function: Any, message: str, calling: Any) -> None:
    with pytest.raises(UnsupportedError, match=message):
        write_module(calling(function).eval(), rows=TensorSpec((4, 6, 8)), output="y", columns=192)


@pytest.mark.parametrize(
    ("sizes", "shape", "times"),
    [
        ((-1, 24), (0, 24), 2), ((BATCH, -1), (0, 48), 1), ((2 * BATCH, 4, 6), (0, 4, 6), 2),
        (((4, 6, -1),), (4, 6, 0), 2), ((-1, 6), (0, 6), 8),
    ],
)  # fmt: skip
def test_a_view_is_counted_without_rows(sizes: Any, shape: tuple[int, ...], times: int) -> None:
    value = Value("x", torch.empty(0, 4, 6), times=2)
    empty, found = shape_of_view(value, *sizes)
    assert (tuple(empty.shape), found) == (shape, times)
    assert rows_in(value, shape) == times


def test_a_view_of_another_size_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="view"):
        shape_of_view(Value("x", torch.empty(0, 4, 6)), -1, 5, 5)
