from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from omniforge.deploy import export_onnx
from omniforge.deploy.export.torch_models import TorchExporter
from omniforge.errors import ExportError

Rows = tuple[np.ndarray, np.ndarray]


def network(width: int, outputs: int, *last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.Linear(width, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*first, nn.Linear(16, outputs), *last)


class Unusual(nn.Module):
    """A module with an operation that is left to torch's exporter."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layer(torch.cumsum(x, dim=1)), dim=1)


def test_a_perceptron_of_classes(three_classes: Rows, tmp_path: Path) -> None:
    exported = export_onnx(
        network(4, 3, nn.Softmax(dim=1)), three_classes[0], tmp_path / "m.onnx", task="classification"
    )
    assert (exported.method, exported.width, exported.columns) == ("direct", 4, 3)
    assert exported.agreement.max_abs < 1e-6


def test_a_perceptron_of_values(values: Rows, tmp_path: Path) -> None:
    exported = export_onnx(network(10, 1), values[0], tmp_path / "m.onnx", task="regression")
    assert (exported.method, exported.columns) == ("direct", 1)
    assert exported.agreement.max_abs < 1e-6


def test_the_mode_of_a_module_stays(three_classes: Rows) -> None:
    module = network(4, 3, nn.Softmax(dim=1)).train()
    module[1].eval()
    TorchExporter().convert(module, example=three_classes[0], task="classification")
    assert [child.training for child in module] == [True, False, True, True, True, True]


def test_an_unknown_operation_goes_through_dynamo(three_classes: Rows, tmp_path: Path) -> None:
    exported = export_onnx(Unusual(4), three_classes[0], tmp_path / "m.onnx", task="classification")
    assert exported.method == "torch.onnx"
    assert exported.agreement.max_abs < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]  # the weights are in the file
    shape = onnx.load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.shape
    assert [dim.dim_param or dim.dim_value for dim in shape.dim] == ["batch", 4]


@pytest.mark.oracle
def test_the_direct_way_is_dynamo_s(three_classes: Rows) -> None:
    import onnxruntime

    from omniforge.deploy.export.exporter import UnsupportedError
    from omniforge.deploy.export.torch_models import _by_dynamo

    X = three_classes[0]
    module = network(4, 3, nn.Softmax(dim=1)).eval()
    direct = TorchExporter().convert(module, example=X, task="classification")
    reference = _by_dynamo(module, example=X, task="classification", columns=3, reason=UnsupportedError(""))
    got = [
        onnxruntime.InferenceSession(c.model.SerializeToString()).run(None, {"features": X})[0]
        for c in (direct, reference)
    ]
    np.testing.assert_allclose(got[0], got[1], atol=1e-6)


def test_an_operation_without_a_counterpart_is_named(three_classes: Rows, tmp_path: Path) -> None:
    class Bessel(Unusual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.layer(torch.special.bessel_j0(x)), dim=1)

    with pytest.raises(ExportError, match="bessel_j0") as caught:
        export_onnx(Bessel(4), three_classes[0], tmp_path / "m.onnx", task="classification")
    assert "Bessel" in caught.value.message


def test_a_branch_on_data_is_refused(three_classes: Rows, tmp_path: Path) -> None:
    class Branching(Unusual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sign = 1 if x.sum() > 0 else -1
            return torch.softmax(sign * self.layer(x), dim=1)

    with pytest.raises(ExportError, match="Branching"):
        export_onnx(Branching(4), three_classes[0], tmp_path / "m.onnx", task="classification")
    assert list(tmp_path.iterdir()) == []


def test_raw_scores_are_no_probabilities(three_classes: Rows, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="Softmax"):
        export_onnx(network(4, 3), three_classes[0], tmp_path / "m.onnx", task="classification")


def test_a_module_that_returns_several_tensors_is_refused(values: Rows, tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    with pytest.raises(ExportError, match="returns tuple"):
        export_onnx(Two(), values[0], tmp_path / "m.onnx", task="regression")
