from __future__ import annotations

import itertools

import numpy as np
import pytest
from conformance.strategy_suite import CELLS, CONDITIONAL, FINITE, ORDERS

from omniforge.search import SearchSpace
from omniforge.search.methods.parzen import Columns, Parzen
from omniforge.search.space.permutation import discordant
from omniforge.search.space.values import Config

MIXED = SearchSpace.from_yaml(
    """
    x: {type: float, range: [0.0, 1.0]}
    k: {type: int, range: [1, 6]}
    o: {type: ordinal, range: [small, medium, large]}
    c: {type: choice, range: [u, v, w], weights: [3, 1, 1]}
    """
)


def mixture(space: SearchSpace, configs: list[Config]) -> tuple[Columns, Parzen]:
    columns = Columns(space)
    return columns, Parzen(columns, columns.encode(configs), weights=np.ones(len(configs)))


@pytest.mark.parametrize("space", [CONDITIONAL, FINITE, CELLS, MIXED, ORDERS])
def test_coordinates_come_back_as_they_went(space: SearchSpace) -> None:
    columns = Columns(space)
    for config in space.sample_many(30, np.random.default_rng(0)):
        (row,) = columns.encode([config])
        assert (~np.isnan(row)).sum() == sum(len(columns.place.get(path, ())) for path in config)
        for path, value in config.items():
            parameter = space.parameters[path]
            if path in columns.place:
                assert columns.value(parameter, [row[j] for j in columns.place[path]]) == pytest.approx(value)


@pytest.mark.parametrize("space", [CONDITIONAL, FINITE, CELLS, MIXED, ORDERS])
def test_draws_are_valid(space: SearchSpace) -> None:
    rng = np.random.default_rng(1)
    _, density = mixture(space, space.sample_many(5, rng))
    for config in density.draw(50, rng):
        space.validate(config)


def test_probabilities_of_a_finite_tree_add_up_to_one() -> None:
    columns, density = mixture(FINITE, [{"a": "x", "b": 2}, {"a": "x", "b": 4}, {"a": "z"}])
    every = [{"a": "z"}, *({"a": a, "b": b} for a, b in itertools.product("xy", range(1, 5)))]
    assert np.exp(density.log_density(columns.encode(every))).sum() == pytest.approx(1.0, abs=1e-9)


def test_probabilities_of_cells_add_up_to_one_and_are_those_of_the_draws() -> None:
    operations = ("none", "skip", "conv")
    columns, density = mixture(CELLS, [{"cell": dict.fromkeys(("0-1", "0-2", "1-2"), "conv")}] * 3)
    every = [{"cell": {"0-1": a, "0-2": b, "1-2": c}} for a, b, c in itertools.product(operations, repeat=3)]
    probability = np.exp(density.log_density(columns.encode(every)))
    assert probability.sum() == pytest.approx(1.0, abs=1e-9)
    drawn = density.draw(3000, np.random.default_rng(2))
    assert drawn.count(every[-1]) / 3000 == pytest.approx(probability[-1], abs=0.03)


def test_orders_are_drawn_near_those_that_were_seen() -> None:
    space = SearchSpace.from_dict({"o": {"type": "permutation", "items": list(range(6))}})
    seen = [5, 3, 4, 0, 1, 2]
    columns, density = mixture(space, [{"o": seen}] * 20)
    drawn = [config["o"] for config in density.draw(200, np.random.default_rng(3))]
    domain = space.parameters["o"].domain
    away = [discordant(domain.encode(order), domain.encode(seen)) for order in drawn]
    assert np.mean(away) < 5.0  # 7.5 by chance
    assert len({tuple(order) for order in drawn}) > 20
    near, far = density.log_density(columns.encode([{"o": seen}, {"o": seen[::-1]}]))
    assert near > far + 1.0


def test_a_density_integrates_to_one() -> None:
    space = SearchSpace.from_dict({"x": {"type": "float", "range": [1e-3, 1.0], "log": True}})
    columns, density = mixture(space, [{"x": 0.002}, {"x": 0.5}, {"x": 0.6}])
    grid = (np.arange(4000) + 0.5) / 4000
    assert np.exp(density.log_density(grid[:, None])).mean() == pytest.approx(1.0, abs=1e-3)
    assert len(columns) == 1


def test_it_is_dense_where_observations_are() -> None:
    near, far = {"x": 0.31, "k": 3, "o": "large", "c": "v"}, {"x": 0.9, "k": 6, "o": "small", "c": "u"}
    columns, density = mixture(MIXED, [{"x": 0.3, "k": 3, "o": "large", "c": "v"}] * 4)
    at_near, at_far = density.log_density(columns.encode([near, far]))
    assert at_near > at_far + 3


def test_without_observations_it_is_the_prior() -> None:
    columns, density = mixture(MIXED, [])
    drawn = density.draw(400, np.random.default_rng(3))
    assert 190 < sum(config["c"] == "u" for config in drawn) < 290
    row = columns.encode([{"x": 0.2, "k": 1, "o": "small", "c": "u"}])
    assert np.exp(density.log_density(row))[0] == pytest.approx(1 / 6 / 3 * 0.6)
