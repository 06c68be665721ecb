"""Small ONNX models with what they compute in numpy: what the suite of runtimes runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]

WEIGHTS = np.array([[1.0, -1.0], [0.5, 2.0], [-3.0, 0.25]], dtype=np.float32)


def build(
    nodes: Sequence[NodeProto],
    constants: dict[str, Array],
    *,
    row: Sequence[int | str],
    columns: int,
    rows: int | str = "batch",
    element: int = TensorProto.FLOAT,
    ml: bool = False,
) -> bytes:
    """Return a model from ``features`` ``[rows, *row]`` to ``scores`` ``[rows, columns]``."""
    graph = helper.make_graph(
        list(nodes),
        "model",
        [helper.make_tensor_value_info("features", element, [rows, *row])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rows, columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid("ai.onnx.ml", 3)] if ml else [])]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def linear_model(weights: Array = WEIGHTS, *, rows: int | str = "batch", op: str = "MatMul") -> bytes:
    """Return an ONNX model that multiplies its features by ``weights``."""
    width, columns = weights.shape
    node = helper.make_node(op, ["features", "weights"], ["scores"])
    return build([node], {"weights": weights}, row=[width], columns=columns, rows=rows)


def half_model() -> bytes:
    """Return ``linear_model`` with weights and multiplication in float16, input and output in float32."""
    nodes = [
        helper.make_node("Cast", ["features"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "weights"], ["product"]),
        helper.make_node("Cast", ["product"], ["scores"], to=TensorProto.FLOAT),
    ]
    return build(nodes, {"weights": WEIGHTS.astype(np.float16)}, row=[3], columns=2)


def half_sequence_model(*, inside: bool = True) -> bytes:
    """Return the sums of ``linear_model`` over sequences ``4 x 3``, in float16, the sequence first in between.

    Attention does so; ONNX Runtime 1.31 would end the process on it.

    Args:
        inside: Input and output are in float32 all the same.
    """
    nodes = [
        helper.make_node("Transpose", ["half"], ["sequence"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["sequence", "weights"], ["product"]),
        helper.make_node("ReduceSum", ["product", "axes"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["scores"], to=TensorProto.FLOAT),
    ]
    constants = {"weights": WEIGHTS.astype(np.float16), "axes": np.array([0])}
    if inside:
        nodes.insert(0, helper.make_node("Cast", ["features"], ["half"], to=TensorProto.FLOAT16))
        return build(nodes, constants, row=[4, 3], columns=2)
    nodes[0].input[0] = "features"
    return build(nodes, constants, row=[4, 3], columns=2, element=TensorProto.FLOAT16)


def quantized_model() -> bytes:
    """Return ``linear_model`` with weights in int8, a scale for each column, and activations in uint8."""
    scales = np.abs(WEIGHTS).max(axis=0) / 127
    constants = {
        "weights": np.round(WEIGHTS / scales).astype(np.int8),
        "scales": scales.astype(np.float32),
        "zeros": np.zeros(2, dtype=np.int8),
        "step": np.array(4.0 / 255, dtype=np.float32),
        "middle": np.array(128, dtype=np.uint8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["features", "step", "middle"], ["levels"]),
        helper.make_node("DequantizeLinear", ["levels", "step", "middle"], ["steps"]),
        helper.make_node("DequantizeLinear", ["weights", "scales", "zeros"], ["matrix"], axis=1),
        helper.make_node("MatMul", ["steps", "matrix"], ["scores"]),
    ]
    return build(nodes, constants, row=[3], columns=2)


def tree_model() -> bytes:
    """Return a regression tree of one split, an operator of ``ai.onnx.ml``."""
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["scores"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        nodes_missing_value_tracks_true=[0, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.0, 2.0],
    )
    return build([node], {}, row=[3], columns=1, ml=True)


def two_outputs() -> bytes:
    """Return a model with one output too many."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("features", "a", "b")]
    nodes = [helper.make_node("Neg", ["features"], ["a"]), helper.make_node("Abs", ["features"], ["b"])]
    graph = helper.make_graph(nodes, "two", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


@dataclass(frozen=True)
class Network:
    """A model with random weights, and the same computed by numpy.

    Args:
        content: The ONNX model.
        rows: Rows that it reads, ``n x ...``.
        expected: What it predicts for them, float32 ``n x k``.
    """

    content: bytes
    rows: Array
    expected: Array


def image_network(*, rows: int | str = "batch") -> Network:
    """Return a network on images ``3 x 8 x 8``: convolution, batch norm, ReLU, a residual block, pools, linear, softmax."""
    draw = np.random.default_rng(1)
    c = {name: draw.normal(size=size).astype(np.float32) * 0.4 for name, size in _IMAGE_WEIGHTS.items()}
    c |= {"variance": np.abs(c["variance"]) + 0.5}
    nodes = [
        helper.make_node("Conv", ["features", "kernel"], ["conv"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["conv", "scale", "shift", "mean", "variance"], ["norm"], epsilon=1e-3),
        helper.make_node("Relu", ["norm"], ["relu"]),
        helper.make_node("MaxPool", ["relu"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "Conv", ["pool", "depthwise", "bias"], ["deep"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=4
        ),
        helper.make_node("Add", ["deep", "pool"], ["block"]),
        helper.make_node("GlobalAveragePool", ["block"], ["average"]),
        helper.make_node("Flatten", ["average"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "offset"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    images = draw.normal(size=(5, 3, 8, 8)).astype(np.float32)
    hidden = _convolve(images, c["kernel"])
    channel = (slice(None), None, None)
    hidden = (hidden - c["mean"][channel]) / np.sqrt(c["variance"][channel] + 1e-3)
    hidden = np.maximum(hidden * c["scale"][channel] + c["shift"][channel], 0)
    pooled = hidden.reshape(5, 4, 4, 2, 4, 2).max(axis=(3, 5))
    deep = np.concatenate([_convolve(pooled[:, i : i + 1], c["depthwise"][i : i + 1]) for i in range(4)], axis=1)
    flat = (deep + c["bias"][channel] + pooled).mean(axis=(2, 3))
    expected = _softmax(flat @ c["weights"].T + c["offset"])
    return Network(build(nodes, c, row=[3, 8, 8], columns=3, rows=rows), images, expected)


_IMAGE_WEIGHTS: dict[str, tuple[int, ...]] = {
    "kernel": (4, 3, 3, 3),
    "scale": (4,),
    "shift": (4,),
    "mean": (4,),
    "variance": (4,),
    "depthwise": (4, 1, 3, 3),
    "bias": (4,),
    "weights": (3, 4),
    "offset": (3,),
}


def token_network() -> Network:
    """Return a network on six int64 tokens below 11: embedding, layer norm, mean over the tokens, linear, softmax."""
    draw = np.random.default_rng(2)
    sizes = {"embedding": (11, 8), "scale": (8,), "shift": (8,), "weights": (8, 4)}
    c = {name: draw.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    nodes = [
        helper.make_node("Gather", ["embedding", "features"], ["vectors"], axis=0),
        helper.make_node("LayerNormalization", ["vectors", "scale", "shift"], ["norm"], axis=-1),
        helper.make_node("ReduceMean", ["norm"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    tokens = draw.integers(0, 11, size=(5, 6), dtype=np.int64)
    vectors = c["embedding"][tokens]
    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    norm = centred / np.sqrt(centred.var(axis=-1, keepdims=True) + 1e-5) * c["scale"] + c["shift"]
    expected = _softmax(norm.mean(axis=1) @ c["weights"])
    content = build(nodes, c, row=[6], columns=4, element=TensorProto.INT64)
    return Network(content, tokens, expected)


def _convolve(images: Array, kernel: Array) -> Array:
    """Return the convolution of ``n x c x h x w`` with a 3 x 3 kernel, padded by one."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    result: Array = np.einsum("nchwij,ocij->nohw", windows, kernel)
    return result


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return result
