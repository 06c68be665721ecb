from __future__ import annotations

import numpy as np
import onnx
import pytest
from conformance.runtime_suite import LOCAL
from onnx import TensorProto, helper, numpy_helper

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.deploy.export.graph import INPUT, Graph, keep_only, spread_columns
from omniforge.deploy.runtimes import TensorSpec


def run(model: onnx.ModelProto, X: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model)
    runtime = RUNTIMES.get("onnxruntime")()
    with runtime.prepare(model.SerializeToString(), device=LOCAL, options=RuntimeOptions()) as session:
        return session.run(np.asarray(X, dtype=np.float32))


def test_a_graph_computes() -> None:
    graph = Graph(2)
    total = graph.add("Add", INPUT, graph.constant(np.array([1.0, 2.0], dtype=np.float32)))
    model = graph.finish(graph.add("Mul", total, total), output="prediction", columns=2)
    np.testing.assert_array_equal(run(model, np.array([[1, 1], [0, -2]])), [[4, 9], [1, 0]])
    assert [value.name for value in model.graph.output] == ["prediction"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_node_can_have_several_outputs() -> None:
    graph = Graph(4)
    best, place = graph.add_many("TopK", INPUT, graph.constant(np.array([1])), outputs=2, axis=1)
    assert best != place
    np.testing.assert_array_equal(run(graph.finish(best, output="y", columns=1), np.array([[1, 5, 2, 3]])), [[5]])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1, 2]), [1, 2]),
        (np.array([True, False]), [1, 0]),
        (np.array([0.5, 2.0]), [0.5, 2.0]),
        ([b"a", b"bc"], [b"a", b"bc"]),
        (3, 3),
        ("text", b"text"),
    ],
)
def test_attributes_are_those_of_onnx(value: object, expected: object) -> None:
    graph = Graph(1)
    model = graph.finish(graph.add("Anything", INPUT, setting=value), output="y", columns=1)
    assert helper.get_attribute_value(model.graph.node[0].attribute[0]) == expected


def converted() -> onnx.ModelProto:
    """Return a model as converters make it: a label that is not wanted, an unused constant, a fixed batch."""
    nodes = [
        helper.make_node("Softmax", [INPUT], ["scores"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "converted",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [1, 1]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3]),
        ],
        [numpy_helper.from_array(np.ones(1000, dtype=np.float32), "unused")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_only_the_wanted_output_is_kept() -> None:
    model = keep_only(converted(), "scores", name="probabilities", columns=3, rows=TensorSpec((3,)))
    assert [node.op_type for node in model.graph.node] == ["Softmax", "Identity"]
    assert len(model.graph.initializer) == 0
    assert len(model.opset_import) == 1
    assert run(model, np.zeros((5, 3))).shape == (5, 3)


def test_what_a_subgraph_reads_is_kept() -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["row", "outer"], ["sum"])],
        "body",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [2])],
    )
    graph = Graph(2)
    outer = graph.constant(np.array([10.0, 20.0], dtype=np.float32))
    body.node[0].input[1] = outer
    model = graph.finish(graph.add("Scan", INPUT, body=body, num_scan_inputs=1), output="y", columns=2)
    kept = keep_only(model, "y", name="y", columns=2, rows=TensorSpec((2,)))
    np.testing.assert_array_equal(run(kept, np.array([[1, 2]])), [[11, 22]])


def test_columns_are_spread_over_all_classes() -> None:
    graph = Graph(2)
    model = graph.finish(graph.add("Softmax", INPUT, axis=1), output="probabilities", columns=2)
    spread = run(spread_columns(model, np.array([1, 3]), columns=4), np.zeros((1, 2)))
    np.testing.assert_array_equal(spread, [[0, 0.5, 0, 0.5]])
