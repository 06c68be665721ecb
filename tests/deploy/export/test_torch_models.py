from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from omniforge.deploy import export_onnx
from omniforge.deploy.export.torch_models import TorchExporter
from omniforge.errors import ExportError
from omniforge.search import SearchSpace

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
    assert (exported.method, exported.input.shape, exported.columns) == ("direct", (4,), 3)
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

    with pytest.raises(
        ExportError, match=r"Branching.*test_torch_models\.py, line \d+.*aten\.item.*depends on the val"
    ):
        export_onnx(Branching(4), three_classes[0], tmp_path / "m.onnx", task="classification")
    assert list(tmp_path.iterdir()) == []


def test_a_recurrence_of_a_length_that_is_data_is_refused_by_its_layer(tmp_path: Path) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            lengths = (x.abs().sum(-1) > 0).sum(1)
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return torch.softmax(self.head(self.cells(packed)[1][0][-1]), dim=1)

    rows = np.random.default_rng(0).normal(size=(20, 7, 3))
    with pytest.raises(ExportError, match=r"Recurrent, in the layer torch\.nn\.modules\.rnn\.LSTM"):
        export_onnx(Recurrent(), rows, tmp_path / "m.onnx", task="classification")


def test_dynamo_can_fix_the_batch(three_classes: Rows, tmp_path: Path) -> None:
    exported = export_onnx(Unusual(4), three_classes[0], tmp_path / "m.onnx", task="classification", batch=1)
    assert (exported.method, exported.input.batch) == ("torch.onnx", 1)
    shape = onnx.load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 4]


def test_a_value_for_each_row_becomes_a_column(values: Rows, tmp_path: Path) -> None:
    class Single(nn.Module):
        def __init__(self, unusual: bool) -> None:
            super().__init__()
            self.layer, self.unusual = nn.Linear(10, 1), unusual

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.cumsum(x, dim=1) if self.unusual else x).squeeze(-1)

    for unusual, method in ((False, "direct"), (True, "torch.onnx")):
        exported = export_onnx(Single(unusual), values[0], tmp_path / "m.onnx", task="regression")
        assert (exported.method, exported.columns) == (method, 1)


@pytest.mark.parametrize("seed", range(6))
def test_the_image_family_is_written_directly(seed: int, tmp_path: Path) -> None:
    from omniforge.estimators import image
    from omniforge.estimators.image.network import build_network

    space = SearchSpace.from_yaml((Path(image.__file__).parent / "space.yaml").read_text())
    rng = np.random.default_rng(seed)
    drawn = space.sample(rng)
    while drawn["architecture"] != ("transformer", "cnn", "cnn")[seed % 3]:
        drawn = space.sample(rng)
    torch.manual_seed(seed)
    rows = rng.normal(size=(40, 3, 16, 16)).astype(np.float32)
    module = build_network(drawn, (3, 16, 16), classes=4)
    with torch.no_grad():
        module.train()(torch.from_numpy(rows))  # statistics of the normalizations
    exported = export_onnx(module, rows, tmp_path / "m.onnx", task="classification")
    assert exported.method == "direct"
    assert exported.agreement.max_abs < 1e-5
    assert "BatchNormalization" not in [node.op_type for node in onnx.load(exported.path).graph.node]
    started = time.perf_counter()
    TorchExporter().convert(module, example=rows, task="classification")
    assert time.perf_counter() - started < 0.5  # 10 to 50 ms; the limit is for a machine that does other work


class Counting(nn.Module):
    """Counts its calls in a buffer of a part."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1  # type: ignore[assignment]
        return torch.softmax(self.linear(x), dim=1)


@pytest.mark.parametrize("wrap", [lambda m: m, nn.Sequential], ids=["itself", "inside"])
def test_what_forward_assigns_is_put_back(wrap: Any, tmp_path: Path) -> None:
    module = Counting()
    export_onnx(wrap(module), np.eye(4, dtype=np.float32), tmp_path / "m.onnx", task="classification")
    assert torch.equal(module.calls, torch.zeros(1))
    assert dict(module.named_buffers()).keys() == {"calls"}


class Pair(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.softmax(a + b, dim=1)


@pytest.mark.parametrize(
    ("module", "rows", "hint"),
    [
        (Pair(), np.zeros((4, 3)), "takes a, b"),
        (nn.Linear(3, 1).double(), np.zeros((4, 3)), "float64"),
        (nn.Linear(3, 1).half(), np.zeros((4, 3)), r"model\.float"),
        (nn.Linear(3, 1), np.zeros((4, 5)), r"n x \[5\]"),
        (nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Linear(6, 1)), np.full((4, 3), 9), "0|9 to 9"),
        (torch.jit.script(nn.Linear(3, 1)), np.zeros((4, 3)), "made of"),
    ],
    ids=["two-arguments", "double", "half", "width", "tokens", "script"],
)
def test_ordinary_mistakes_are_told(module: nn.Module, rows: np.ndarray, hint: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        export_onnx(module, rows, tmp_path / "m.onnx", task="regression")
    assert re.search(hint, str(caught.value.hint))


def test_a_part_in_a_plain_list_goes_to_the_general_converter(tmp_path: Path) -> None:
    class Listing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [nn.Linear(4, 3)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.parts[0](x), dim=1)

    rows = np.eye(4, dtype=np.float32)
    assert export_onnx(Listing(), rows, tmp_path / "m.onnx", task="classification").method == "torch.onnx"


def test_numbers_of_64_bits_become_32(tmp_path: Path) -> None:
    class Double(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3).double()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.linear(x.double()), dim=1)

    exported = export_onnx(Double(), np.eye(4, dtype=np.float32), tmp_path / "m.onnx", task="classification")
    assert (exported.method, exported.agreement.ok) == ("torch.onnx", True)
