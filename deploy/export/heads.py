"""What turns raw scores into predictions: the last nodes of an ONNX graph."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .graph import Graph

Link = Literal["identity", "exp", "softmax", "sigmoid", "complement"]


def add_link(graph: Graph, raw: str, *, link: Link) -> str:
    """Add an inverse link function and return the name of its result.

    Args:
        graph: The graph.
        raw: Raw scores, ``[batch, t]``.
        link: ``"softmax"``: of ``t`` classes. ``"sigmoid"``: one score, of the second of two classes.
            ``"complement"``: the same, already a probability. ``"exp"`` and ``"identity"``: of each score.
    """
    if link == "identity":
        return raw
    if link == "exp":
        return graph.add("Exp", raw)
    if link == "softmax":
        return graph.add("Softmax", raw, axis=1)
    if link == "sigmoid":
        # As a softmax of two: 1 - sigmoid(s) loses small probabilities, and runtimes cut a sigmoid's tails off.
        both = graph.add("Mul", raw, graph.constant(np.array([-0.5, 0.5], dtype=np.float32)))
        return graph.add("Softmax", both, axis=1)
    one = graph.constant(np.array(1, dtype=np.float32))
    second = graph.add("Min", raw, one)  # a float32 mean of ones can end above one, and 1 - p below zero
    return graph.add("Concat", graph.add("Sub", one, second), second, axis=1)
