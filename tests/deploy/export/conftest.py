"""How the tests of the torch writers compare an ONNX graph with the module that it was written from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from omniforge.deploy.export.torch_graph import write_module
from omniforge.deploy.runtimes import TensorSpec

Written = Callable[..., onnx.ModelProto]


def write(module: nn.Module, rows: np.ndarray, *, batch: int | None = None) -> onnx.ModelProto:
    """Write a module that maps rows to any tensor: flattened where it is not ``n x k``."""
    module.eval()
    with torch.inference_mode():
        columns = module(torch.from_numpy(rows)).reshape(len(rows), -1).shape[1]
    spec = TensorSpec(tuple(rows.shape[1:]), str(rows.dtype), batch)
    return write_module(module, rows=spec, output="y", columns=columns)


@pytest.fixture
def written() -> Written:
    """Write a module, check that ONNX accepts it and that it predicts the same in any batch, and return the model."""

    def check(module: nn.Module, rows: np.ndarray, *, tolerance: float = 1e-5) -> onnx.ModelProto:
        model = write(module, rows)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString(), _silent())
        for part in (rows, rows[:1], rows[1:4]):
            with torch.inference_mode():
                expected = module(torch.from_numpy(part)).reshape(len(part), -1).numpy()
            got = session.run(None, {"features": part})[0]
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
        fixed = onnxruntime.InferenceSession(write(module, rows, batch=2).SerializeToString(), _silent())
        with torch.inference_mode():
            expected = module(torch.from_numpy(rows[:2])).reshape(2, -1).numpy()
        np.testing.assert_allclose(fixed.run(None, {"features": rows[:2]})[0], expected, rtol=tolerance, atol=tolerance)
        return model

    return check


class Calling(nn.Module):
    """A module whose forward is a function of it and its input."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self._function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> Any:
        return self._function(self, x)


@pytest.fixture
def calling() -> type[Calling]:
    """Return a class of modules that are made of a function."""
    return Calling


def _silent() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return options
