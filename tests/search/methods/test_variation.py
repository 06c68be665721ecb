from __future__ import annotations

import numpy as np
import pytest
from conformance.strategy_suite import CELLS, CONDITIONAL, FINITE, ORDERS

from omniforge.search import SearchSpace
from omniforge.search.methods.variation import crossover, mutated

FLAT = SearchSpace.from_dict({f"x{i}": {"type": "choice", "range": ["a", "b", "c"]} for i in range(12)})
NUMBERS = SearchSpace.from_dict({"x": {"type": "float", "range": [1e-4, 1.0], "log": True}})


@pytest.mark.parametrize("space", [CONDITIONAL, FINITE, CELLS, FLAT, ORDERS])
def test_children_are_valid(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        one, other = space.sample_many(2, rng)
        space.validate(crossover(space, one, other, rng=rng))
        space.validate(mutated(space, one, rng=rng, expected=2.0))


def test_a_child_has_what_its_parents_have() -> None:
    rng = np.random.default_rng(1)
    one, other = {f"x{i}": "a" for i in range(12)}, {f"x{i}": "b" for i in range(12)}
    drawn = [crossover(FLAT, one, other, rng=rng)["x3"] for _ in range(200)]
    assert 60 < drawn.count("a") < 140
    assert set(drawn) == {"a", "b"}


def test_a_branch_comes_with_the_values_of_the_parent_that_has_it() -> None:
    rng = np.random.default_rng(2)
    tree = {"kind": "tree", "kind.tree.depth": 7, "kind.tree.rate": 0.5, "seed": 3, "scaled": False}
    line = {"kind": "line", "kind.line.penalty": "l2", "seed": 3, "scaled": False}
    children = [crossover(CONDITIONAL, tree, line, rng=rng) for _ in range(20)]
    assert all(child in (tree, line) for child in children)
    assert tree in children
    assert line in children


def test_an_edge_of_a_cell_comes_from_either_parent() -> None:
    rng = np.random.default_rng(3)
    one, other = ({"cell": dict.fromkeys(("0-1", "0-2", "1-2"), op)} for op in ("skip", "conv"))
    found = {tuple(crossover(CELLS, one, other, rng=rng)["cell"].values()) for _ in range(100)}
    assert len(found) == 8


def test_an_order_keeps_a_stretch_of_one_parent_and_the_order_of_the_other() -> None:
    rng = np.random.default_rng(6)
    space = SearchSpace.from_dict({"o": {"type": "permutation", "items": list(range(8))}})
    one, other = list(range(8)), [3, 0, 7, 5, 1, 6, 2, 4]
    found = [crossover(space, {"o": one}, {"o": other}, rng=rng)["o"] for _ in range(200)]
    for child in found:
        assert any(
            child[i:j] == base[i:j]
            and [item for item in child if item not in base[i:j]] == [item for item in mate if item not in base[i:j]]
            for base, mate in ((one, other), (other, one))
            for i in range(8)
            for j in range(i + 1, 9)
        )
    assert len({tuple(child) for child in found}) > 30
    moved = [mutated(space, {"o": one}, rng=rng)["o"] != one for _ in range(200)]
    assert 80 < sum(moved) < 180


def test_numbers_stay_near_their_parents_on_their_own_scale() -> None:
    rng = np.random.default_rng(4)
    exponents = [np.log10(crossover(NUMBERS, {"x": 1e-3}, {"x": 1e-1}, rng=rng)["x"]) for _ in range(300)]
    nearest = [min(abs(e + 3), abs(e + 1)) for e in exponents]
    assert np.median(nearest) < 0.1
    assert 90 < sum(e > -2 for e in exponents) < 210
    assert min(exponents) >= -4
    assert max(exponents) <= 0


def test_as_many_parameters_move_as_are_expected() -> None:
    rng = np.random.default_rng(5)
    before = {f"x{i}": "a" for i in range(12)}
    moved = [sum(value != "a" for value in mutated(FLAT, before, rng=rng, expected=3.0).values()) for _ in range(300)]
    assert 2.6 < np.mean(moved) < 3.4
