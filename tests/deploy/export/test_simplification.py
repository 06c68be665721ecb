from __future__ import annotations

import numpy as np
import onnx
import pytest
from conformance.runtime_suite import linear_model
from onnx import TensorProto, helper, numpy_helper

from omniforge.deploy.export.simplification import finished, simplified
from omniforge.errors import ExportError


def wasteful() -> onnx.ModelProto:
    """Return a model that adds a constant sum to its features and doubles back and forth."""
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["a", "a"], ["twice"]),
            helper.make_node("Identity", ["features"], ["same"]),
            helper.make_node("Transpose", ["same"], ["turned"], perm=[1, 0]),
            helper.make_node("Transpose", ["turned"], ["back"], perm=[1, 0]),
            helper.make_node("Add", ["back", "twice"], ["scores"]),
            helper.make_node("Exp", ["a"], ["unused"]),
        ],
        "wasteful",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.ones(3, dtype=np.float32), "a")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_is_constant_or_dead_goes() -> None:
    import onnxruntime

    model = wasteful()
    content = model.SerializeToString()
    slim = simplified(model)
    assert [node.op_type for node in slim.graph.node] == ["Add"]
    assert model.SerializeToString() == content
    assert [value.name for value in (*slim.graph.input, *slim.graph.output)] == ["features", "scores"]
    rows = np.ones((2, 3), dtype=np.float32)
    got = onnxruntime.InferenceSession(slim.SerializeToString()).run(None, {"features": rows})[0]
    np.testing.assert_array_equal(got, rows + 2)


def test_trees_are_left_as_they_are() -> None:
    model = onnx.load_model_from_string(linear_model())
    model.graph.node[0].domain = "ai.onnx.ml"
    assert simplified(model) is model


def test_a_finished_model_has_the_shapes_of_its_values() -> None:
    model = finished(wasteful())
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.value_info
    }
    assert shapes["turned"] == [3, "batch"]


def test_what_is_no_onnx_is_refused_by_name() -> None:
    with pytest.raises(ExportError, match="Transmogrify"):
        finished(onnx.load_model_from_string(linear_model(op="Transmogrify")))
