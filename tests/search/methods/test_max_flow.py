from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from conformance.strategy_suite import CELLS, CONDITIONAL

from omniforge.search import SearchSpace
from omniforge.search.methods.max_flow import LISTED_NODES, Network, max_flow

OPERATIONS = ("none", "skip", "conv")


def oracle(nodes: int, row: np.ndarray) -> float:
    graph = nx.DiGraph()
    pairs = [(i, j) for j in range(1, nodes) for i in range(j)]
    for (i, j), capacity in zip(pairs, row, strict=True):
        graph.add_edge(i, j, capacity=float(capacity))
    return float(nx.maximum_flow_value(graph, 0, nodes - 1))


@pytest.mark.parametrize("nodes", [2, 3, 4, 6, LISTED_NODES, LISTED_NODES + 1, 12])
def test_flows_are_those_of_networkx(nodes: int) -> None:
    capacity = np.random.default_rng(nodes).uniform(size=(12, nodes * (nodes - 1) // 2)).round(3)
    capacity[:, ::3] *= np.random.default_rng(1).integers(2, size=capacity[:, ::3].shape)
    flows, cuts = max_flow(nodes, capacity)
    assert flows == pytest.approx([oracle(nodes, row) for row in capacity], abs=1e-5)
    assert flows == pytest.approx((capacity * cuts).sum(axis=1), abs=1e-9)


def test_links_are_operations_values_and_intervals() -> None:
    space = SearchSpace.from_yaml(
        "c: {type: choice, range: [u, v], submodule: {u: {k: {type: int, range: [1, 2]}}}}\nx: {type: float, range: [0.0, 1.0]}"
    )
    network = Network(space)
    found = network.links([{"c": "u", "c.u.k": 2, "x": 1.0}, {"c": "v", "x": 0.0}, {"c": "v", "x": 0.5}])
    order = [column.path for column in network._columns.columns]
    table = {path: found[:, order.index(path)].tolist() for path in order}
    assert table == {"c": [0, 1, 1], "c.u.k": [1, -1, -1], "x": [4, 0, 2]}


def test_a_zero_operation_carries_nothing_and_what_is_not_reached_limits_nothing() -> None:
    network = Network(CELLS)
    capacity = np.where(network.zero, 0.0, 1.0)
    cells = [("conv", "none", "conv"), ("none", "none", "conv"), ("conv", "conv", "conv")]
    links = network.links([{"cell": dict(zip(("0-1", "0-2", "1-2"), cell, strict=True))} for cell in cells])
    assert network.flow(capacity, links)[0].tolist() == [1.0, 0.0, 2.0]


def test_capacities_are_learned_so_that_flows_order_what_was_not_seen() -> None:
    network = Network(CELLS)
    rng = np.random.default_rng(0)
    truth = np.where(network.zero, 0.0, rng.uniform(size=network.shape))
    links = network.links(CELLS.sample_many(27 * 4, rng))
    worth = network.flow(truth, links)[0]
    fitted = network.fit(links[:40], worth[:40], weights=np.ones(40))
    assert np.corrcoef(network.flow(fitted, links[40:])[0], worth[40:])[0, 1] > 0.9
    assert (fitted >= 0).all()
    assert not fitted[network.zero].any()


def test_flows_of_parameters_outside_of_cells_add_up() -> None:
    network = Network(CONDITIONAL)
    configs = CONDITIONAL.sample_many(10, np.random.default_rng(2))
    flows, limits = network.flow(np.ones(network.shape), network.links(configs))
    assert flows.tolist() == [len(config) - 1 for config in configs]  # the constant is no link
    assert limits.sum(axis=1).tolist() == flows.tolist()


def test_an_order_flows_through_a_link_per_item() -> None:
    space = SearchSpace.from_dict({"o": {"type": "permutation", "items": ["a", "b", "c"]}})
    network = Network(space)
    links = network.links([{"o": ["a", "b", "c"]}, {"o": ["c", "a", "b"]}])
    assert links.tolist() == [[0, 1, 2], [1, 2, 0]]
    capacity = np.arange(9.0).reshape(3, 3)
    flows, limits = network.flow(capacity, links)
    assert flows.tolist() == [0 + 4 + 8, 1 + 5 + 6]
    assert limits.tolist() == [[1.0] * 3] * 2
