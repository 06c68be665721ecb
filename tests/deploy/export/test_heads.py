from __future__ import annotations

import numpy as np
import pytest
from conformance.runtime_suite import LOCAL

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.deploy.export.graph import INPUT, Graph
from omniforge.deploy.export.heads import Link, add_link


def linked(link: Link, raw: np.ndarray, columns: int) -> np.ndarray:
    graph = Graph(raw.shape[1])
    model = graph.finish(add_link(graph, INPUT, link=link), output="y", columns=columns)
    runtime = RUNTIMES.get("onnxruntime")()
    with runtime.prepare(model.SerializeToString(), device=LOCAL, options=RuntimeOptions()) as session:
        return session.run(raw.astype(np.float32))


def test_identity_and_exp() -> None:
    raw = np.array([[1.0], [-2.0]])
    np.testing.assert_array_equal(linked("identity", raw, 1), raw)
    np.testing.assert_allclose(linked("exp", raw, 1), np.exp(raw), rtol=1e-6)


def test_softmax_sums_to_one() -> None:
    got = linked("softmax", np.array([[1.0, 2.0, 3.0], [500.0, 0.0, 0.0]]), 3)
    np.testing.assert_allclose(got.sum(axis=1), 1.0, rtol=1e-6)
    assert got[1, 0] == 1.0


@pytest.mark.parametrize("score", [-30.0, -1.0, 0.0, 40.0])
def test_sigmoid_keeps_small_probabilities_of_both_classes(score: float) -> None:
    got = linked("sigmoid", np.array([[score]]), 2)[0].astype(np.float64)
    np.testing.assert_allclose(got, [1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score))], rtol=1e-5)


def test_a_complement_is_never_negative() -> None:
    above_one = np.nextafter(np.float32(1), np.float32(2))
    got = linked("complement", np.array([[0.25], [above_one]]), 2)
    np.testing.assert_array_equal(got, [[0.75, 0.25], [0.0, 1.0]])
