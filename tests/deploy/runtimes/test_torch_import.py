"""Whole networks as torch's exporters write them, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conformance.runtime_models import linear_model
from conformance.runtime_suite import IMAGES, LOCAL
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.deploy.runtimes.torch_import import import_onnx
from omniforge.errors import MeasurementError


class Attention(nn.Module):
    """A causal transformer block by hand, on tokens, with a mask of the padding: many computed shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        self.start = nn.Parameter(torch.randn(1, 1, 16))
        self.norm, self.qkv, self.head = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = torch.cat([self.start.expand(tokens.shape[0], -1, -1), self.embedding(tokens)], 1)
        batch, length, width = x.shape
        parts = self.qkv(self.norm(x)).split(width, -1)
        q, k, v = (part.view(batch, length, 4, width // 4).transpose(1, 2) for part in parts)
        x = x + functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        mask = functional.pad((tokens != 0).float(), (1, 0), value=1.0).unsqueeze(-1)
        return torch.softmax(self.head((x * mask).sum(1) / mask.sum(1).clamp(min=1)), -1)


class Inverted(nn.Module):
    """A MobileNet block with squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(4, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.Hardswish())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Hardsigmoid())
        self.reduce = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depth(self.expand(x))
        return x + self.reduce(y * self.gate(y))


NETWORKS = {
    "attention": (Attention, torch.randint(0, 20, (5, 6))),
    "mobile": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), Inverted(), nn.SiLU(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3), nn.LogSoftmax(1),
        ),
        torch.randn(5, 3, 16, 16),
    ),
    "encoder": (
        lambda: nn.Sequential(
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1, enable_nested_tensor=False),
            nn.Flatten(), nn.Linear(40, 3),
        ),
        torch.randn(5, 5, 8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_an_exported_network_computes_the_same(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, rows = NETWORKS[name]
    module = make().eval()
    _export(module, rows[:2], tmp_path / "model.onnx", dynamo=dynamo)
    with torch.no_grad():
        expected = module(rows).numpy()
    for runtime in ("torch", "onnxruntime", "openvino"):
        if runtime == "openvino":
            pytest.importorskip("openvino")
        with RUNTIMES.get(runtime)().prepare(
            tmp_path / "model.onnx", device=LOCAL, options=RuntimeOptions()
        ) as session:
            for count in (5, 1, 2):
                got = session.run(rows[:count].numpy())
                np.testing.assert_allclose(got, expected[:count], rtol=1e-4, atol=1e-5, err_msg=runtime)


def _export(module: nn.Module, rows: Tensor, path: Path, *, dynamo: bool) -> None:
    shapes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (rows,), str(path), dynamo=dynamo, external_data=False, verbose=False, input_names=["x"], **shapes
        )


def test_a_network_can_be_traced_without_its_rows() -> None:
    module, spec = import_onnx(onnx.load_model_from_string(IMAGES.content))
    assert spec.shape == (3, 8, 8)
    program = torch.export.export(module, (torch.randn(2, 3, 8, 8),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    got = program.module()(torch.from_numpy(IMAGES.rows))
    np.testing.assert_allclose(got.numpy(), IMAGES.expected, rtol=1e-4, atol=1e-6)


def test_what_depends_on_constants_alone_is_computed_once() -> None:
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("Exp", ["t"], ["e"]),
        helper.make_node("MatMul", ["features", "e"], ["scores"]),
    ]
    module, _ = import_onnx(_model(nodes, w=np.ones((2, 3), dtype=np.float32)))
    assert [node.op for node in module.graph.nodes] == ["placeholder", "get_attr", "call_function", "output"]


def test_nodes_may_come_in_any_order_but_not_in_a_circle() -> None:
    nodes = [
        helper.make_node("Relu", ["b"], ["scores"]),
        helper.make_node("Neg", ["a"], ["b"]),
        helper.make_node("Sub", ["features", "w"], ["a"]),
    ]
    module, _ = import_onnx(_model(nodes, w=np.float32(5)))
    assert module(torch.tensor([[1.0, 7.0]])).tolist() == [[4.0, 0.0]]
    nodes[2] = helper.make_node("Sub", ["b", "w"], ["a"])
    with pytest.raises(MeasurementError, match="nothing computes"):
        import_onnx(_model(nodes, w=np.float32(5)))


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([helper.make_node("LSTM", ["features"], ["scores"], name="first")], r"LSTM \(node 'first'\) is not known"),
        ([helper.make_node("Gelu", ["features"], ["scores"], domain="com.microsoft")], r"com\.microsoft\.Gelu"),
        ([helper.make_node("Exp", ["nothing"], ["scores"])], "'nothing'"),
        ([helper.make_node("Exp", ["features"], ["other"])], "'scores'"),
        ([helper.make_node("Elu", ["features"], ["scores"], beta=2.0)], "Elu has attributes .*: beta"),
        ([helper.make_node("Reshape", ["features", "features"], ["scores"])], "Reshape .*'features'"),
        ([helper.make_node("LayerNormalization", ["features", "w"], ["a", "scores"])], "outputs that are not known"),
        (
            [helper.make_node("If", ["features"], ["scores"], then_branch=helper.make_graph([], "g", [], []))],
            "If .*graph",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(nodes: list, said: str) -> None:
    with pytest.raises(MeasurementError, match=said):
        import_onnx(_model(nodes, w=np.ones((2, 3), dtype=np.float32)))


def test_a_weight_of_another_type_is_refused() -> None:
    model = onnx.load_model_from_string(linear_model())
    model.graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [1], [b"a"]))
    with pytest.raises(MeasurementError, match="'text'"):
        import_onnx(model)


def _model(nodes: list, **constants: np.ndarray) -> onnx.ModelProto:
    from conformance.runtime_models import build

    return onnx.load_model_from_string(build(nodes, constants, row=[3], columns=2))
