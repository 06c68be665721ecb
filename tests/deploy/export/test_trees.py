from __future__ import annotations

import numpy as np
import pytest
from conformance.runtime_suite import LOCAL
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.deploy.export.graph import Graph
from omniforge.deploy.export.trees import Tree, add_forest, round_down


def stump(threshold: float, left: float, right: float, *, missing_left: bool = False, target: int = 0) -> Tree:
    """Return a tree that splits feature 0 once."""
    return Tree(
        feature=np.array([0, 0, 0]),
        threshold=np.array([threshold, 0.0, 0.0]),
        left=np.array([1, 0, 0]),
        right=np.array([2, 0, 0]),
        is_leaf=np.array([False, True, True]),
        missing_left=np.array([missing_left, False, False]),
        leaf_values=np.array([[left], [right]]),
        target=target,
    )


def predict(trees: list[Tree], base: list[float], values: list[float], *, average: bool = False) -> NDArray[np.float32]:
    graph = Graph(1)
    total = add_forest(graph, trees, base=np.array(base), average=average)
    content = graph.finish(total, output="y", columns=len(base)).SerializeToString()
    with RUNTIMES.get("onnxruntime")().prepare(content, device=LOCAL, options=RuntimeOptions()) as session:
        return session.run(np.array(values, dtype=np.float32)[:, None])


def test_trees_add_up_from_the_base() -> None:
    got = predict([stump(0.5, 1.0, 2.0), stump(1.5, 10.0, 20.0)], [100.0], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(got[:, 0], [111.0, 112.0, 122.0])


def test_the_mean_of_trees() -> None:
    got = predict([stump(0.5, 1.0, 2.0), stump(1.5, 3.0, 4.0)], [0.0], [0.0, 1.0], average=True)
    np.testing.assert_array_equal(got[:, 0], [2.0, 2.5])


def test_trees_of_several_targets() -> None:
    got = predict([stump(0.5, 1.0, 2.0, target=0), stump(0.5, 3.0, 4.0, target=1)], [0.0, 0.5], [0.0, 1.0])
    np.testing.assert_array_equal(got, [[1.0, 3.5], [2.0, 4.5]])


def test_a_leaf_of_zero_is_still_a_leaf() -> None:
    np.testing.assert_array_equal(predict([stump(0.5, 0.0, 2.0)], [0.0], [0.0, 1.0])[:, 0], [0.0, 2.0])


@pytest.mark.parametrize(("missing_left", "expected"), [(True, 1.0), (False, 2.0)])
def test_a_missing_value_goes_where_it_should(missing_left: bool, expected: float) -> None:
    trees = [stump(0.5, 1.0, 2.0, missing_left=missing_left), stump(9.0, 0.0, 0.0)]
    assert predict(trees, [0.0], [np.nan])[0, 0] == expected


def test_a_single_leaf_is_a_tree() -> None:
    zeros = np.zeros(1, dtype=np.int64)
    leaf = Tree(zeros, np.zeros(1), zeros, zeros, np.ones(1, bool), np.zeros(1, bool), np.array([[7.0]]))
    np.testing.assert_array_equal(predict([leaf, stump(0.5, 1.0, 2.0)], [0.0], [0.0])[:, 0], [8.0])


floats = st.floats(allow_nan=False, allow_infinity=False, width=64)


@pytest.mark.property
@given(threshold=floats, value=st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_rounded_threshold_parts_float32_the_same_way(threshold: float, value: float) -> None:
    rounded = round_down(np.array([threshold]))[0]
    assert (np.float32(value) <= rounded) == (float(np.float32(value)) <= threshold)


@pytest.mark.property
@given(base=st.floats(-1e6, 1e6, width=32), offset=st.sampled_from([-1e-9, 0.0, 1e-9]))
def test_a_threshold_beside_a_value_parts_it_the_same_way(base: float, offset: float) -> None:
    threshold = base + offset * max(abs(base), 1e-3)
    assert (np.float32(base) <= round_down(np.array([threshold]))[0]) == (base <= threshold)
