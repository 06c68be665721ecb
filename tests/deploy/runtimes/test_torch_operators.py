"""Each operator against ONNX's own cases; where one is refused, that is said and it is not computed wrongly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
import torch
from conformance.onnx_cases import OperatorCase
from onnx import TensorProto, helper

from omniforge.deploy.runtimes.torch_import import to_module
from omniforge.deploy.runtimes.torch_operators import DTYPES, OPERATORS
from omniforge.errors import MeasurementError

# Their one input may not depend on the rows, or their types are not plain numbers: cases of other tests.
WITHOUT_CASES = {"Cast", "CastLike", "ConstantOfShape", "Range"}
REFUSED_WHEN_RUN = ("empty_set", "empty_set_bool", "align_corners", "linear_pytorch_half_pixel")


@pytest.mark.oracle
@pytest.mark.parametrize("name", sorted(set(OPERATORS) - WITHOUT_CASES))
def test_it_computes_what_onnx_says(onnx_cases: Mapping[str, list[OperatorCase]], name: str) -> None:
    computed, refused = 0, []
    for case in onnx_cases[name]:
        try:
            got = to_module(case.model).forward(torch.from_numpy(case.given)).numpy()
        except (MeasurementError, ValueError, IndexError) as e:
            refused.append((case.name, e))
            continue
        close = 1e-2 if case.expected.dtype == np.float16 else 1e-4
        np.testing.assert_allclose(got, case.expected, rtol=close, atol=close, err_msg=case.name)
        assert (got.dtype, got.shape) == (case.expected.dtype, case.expected.shape), case.name
        computed += 1
    assert computed
    for at, refusal in refused:
        assert name in str(refusal) if isinstance(refusal, MeasurementError) else at.endswith(REFUSED_WHEN_RUN), at


@pytest.mark.parametrize("code", sorted(DTYPES))
def test_types_are_cast(code: int) -> None:
    node = helper.make_node("Cast", ["x"], ["y"], to=code)
    assert _run(node, torch.tensor([[0.0, 1.0]])).dtype == DTYPES[code]


def test_a_type_is_cast_to_that_of_another() -> None:
    node = helper.make_node("CastLike", ["x", "like"], ["y"])
    like = helper.make_tensor("like", TensorProto.INT32, [1], [0])
    assert _run(node, torch.tensor([[0.0, 1.0]]), like).dtype == torch.int32


def test_of_equals_the_first_are_the_top() -> None:
    node = helper.make_node("TopK", ["x", "k"], ["values", "y"])
    k = helper.make_tensor("k", TensorProto.INT64, [1], [2])
    assert _run(node, torch.tensor([[1.0, 3.0, 3.0, 3.0]]), k).tolist() == [[1, 2]]


def _run(node: onnx.NodeProto, x: torch.Tensor, *constants: onnx.TensorProto) -> torch.Tensor:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", x.shape[1]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    result: torch.Tensor = to_module(model).forward(x)
    return result
