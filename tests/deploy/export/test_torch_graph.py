from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from omniforge.deploy.export.exporter import UnsupportedError
from omniforge.deploy.export.torch_graph import write_module
from omniforge.deploy.runtimes import TensorSpec

X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)


def check(module: nn.Module, columns: int) -> None:
    module.eval()
    model = write_module(module, rows=TensorSpec((6,)), output="y", columns=columns)
    got = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"features": X})[0]
    with torch.inference_mode():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Tanh(), nn.Sigmoid(), nn.ELU(0.7), nn.SELU(), nn.LeakyReLU(0.2),
        nn.Identity(), nn.Dropout(0.9), nn.AlphaDropout(0.5), nn.Flatten(), nn.Softmax(dim=1), nn.Softmax(dim=-1),
        nn.LogSoftmax(dim=1), nn.LayerNorm(6), nn.LayerNorm(6, elementwise_affine=False), nn.Linear(6, 6, bias=False),
    ],
    ids=str,
)  # fmt: skip
def test_every_layer_is_written(layer: nn.Module) -> None:
    torch.manual_seed(0)
    check(nn.Sequential(nn.Linear(6, 6), layer), 6)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_uses_what_training_saw(affine: bool) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(6, affine=affine)
    norm.train()
    norm(torch.from_numpy(3 * X + 1))
    check(nn.Sequential(norm, nn.Linear(6, 2)), 2)


class Residual(nn.Module):
    """A module with what a trace has besides layers: sums, numbers, buffers, methods, functions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 6)
        self.register_buffer("scale", torch.full((1,), 3.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = functional.dropout(functional.gelu(self.first(x)), training=self.training)
        x = x + self.second(functional.silu(hidden)).tanh()
        x = 1.0 - x / self.scale
        return torch.cat([x.clamp(min=-0.5, max=0.5), -x.relu(), torch.sigmoid(x) * 2], dim=1)


def test_sums_numbers_buffers_and_functions_are_written() -> None:
    torch.manual_seed(0)
    check(Residual(), 18)


class Method(nn.Module):
    def __init__(self, forward: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self._forward = forward

    def forward(self, x: torch.Tensor) -> Any:
        return self._forward(self.layer(x))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: torch.cumsum(x, dim=1), "cumsum"),
        (lambda x: x.softmax(dim=0), "softmax over dimension 0"),
        (lambda x: x if x.sum() > 0 else -x, "traced"),
        (lambda x: (x, x), "one tensor"),
        (lambda x: torch.cat([x, x]), "dimension 0"),
        (lambda x: functional.glu(x), "glu"),
    ],
)
def test_what_is_not_known_is_named(forward: Any, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        write_module(Method(forward).eval(), rows=TensorSpec((6,)), output="y", columns=3)


@pytest.mark.parametrize("layer", [nn.Bilinear(6, 6, 2), nn.LayerNorm((9, 6)), nn.Softshrink(), nn.GLU()], ids=str)
def test_an_unknown_layer_is_named(layer: nn.Module) -> None:
    with pytest.raises(UnsupportedError, match=r"layer|LayerNorm|arguments|traced"):
        write_module(nn.Sequential(layer).eval(), rows=TensorSpec((6,)), output="y", columns=6)


def test_float64_is_not_written() -> None:
    with pytest.raises(UnsupportedError, match="Double"):
        write_module(nn.Sequential(nn.Linear(6, 2)).double().eval(), rows=TensorSpec((6,)), output="y", columns=2)
