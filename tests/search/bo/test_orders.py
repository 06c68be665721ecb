from __future__ import annotations

import numpy as np
import pytest
import torch

from omniforge.search import Objective, Reward, SearchSpace, strategy
from omniforge.search.bo.orders import KINDS, OrderFeatures
from omniforge.search.bo.rows import MIDDLE, Rows
from omniforge.search.bo.structured import StructuredProcess
from omniforge.search.space.permutation import Permutation, discordant, moved, turned

SEVEN = Permutation(tuple("abcdefg"))


def places(*orders: list[str]) -> torch.Tensor:
    return torch.tensor([SEVEN.encode(order) for order in orders], dtype=torch.float64) / 6


def distances(one: list[str], other: list[str]) -> list[float]:
    """Return the squared distance of two orders in each kind of feature."""
    return [float((block[0] - block[1]).square().sum()) for block in OrderFeatures(7)(places(one, other))]


def test_distances_count_what_differs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = SEVEN.sample(rng), SEVEN.sample(rng)
        before, early, at, after, beside = distances(one, other)
        assert before == pytest.approx(2 * discordant(SEVEN.encode(one), SEVEN.encode(other)) / 21)
        apart = np.array(SEVEN.encode(one)) - np.array(SEVEN.encode(other))
        assert early == pytest.approx(6 * float(apart @ apart) / (7 * 48))
        assert at == pytest.approx(sum(a != b for a, b in zip(one, other, strict=True)) / 7)
        steps = [{(order[i - 1], order[i]) for i in range(7)} for order in (one, other)]
        assert after == pytest.approx(len(steps[0] - steps[1]) / 7)
        pairs = [{frozenset(step) for step in found} for found in steps]
        assert beside == pytest.approx(len(pairs[0] - pairs[1]) / 7)


def test_random_orders_are_about_one_apart() -> None:
    rng = np.random.default_rng(1)
    table = np.array([distances(SEVEN.sample(rng), SEVEN.sample(rng)) for _ in range(400)])
    assert table.shape == (400, KINDS)
    assert table.mean(axis=0) == pytest.approx([1.0, 1.0, 6 / 7, 5 / 6, 4 / 6], abs=0.1)


def test_each_kind_is_blind_for_something() -> None:
    here = list("abcdefg")
    *others, after, beside = distances(here, moved(here, 0, 6))  # the same round trip
    assert min(others) > 0.2
    assert (after, beside) == pytest.approx((0.0, 0.0), abs=1e-12)
    *others, beside = distances(here, turned(here, 0, 6))  # the other way round
    assert min(others) > 0.8
    assert beside == pytest.approx(0.0, abs=1e-12)


def test_an_order_that_is_not_active_is_between_all_others() -> None:
    none = torch.full((1, 7), MIDDLE, dtype=torch.float64)
    assert not any(block.any() for block in OrderFeatures(7)(none))


def test_numbers_between_places_are_read_by_size() -> None:
    exact, loose = places(list("gabcdef")), places(list("gabcdef")) * 0.7 + 0.1
    for one, other in zip(OrderFeatures(7)(exact), OrderFeatures(7)(loose), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("what", ["precedence", "place", "tour"])
def test_a_process_learns_what_an_order_is_worth_for_any_reason(what: str) -> None:
    rng = np.random.default_rng(2)
    table = rng.standard_normal((9, 9))

    def worth(order: list[int]) -> float:
        if what == "place":
            return float(table[np.arange(9), order].sum())
        if what == "tour":
            return float(table[order, np.roll(order, -1)].sum())
        return float(np.triu(table[np.ix_(order, order)], 1).sum())

    space = SearchSpace.from_dict({"order": {"type": "permutation", "items": list(range(9))}})
    rows, configs = Rows(space), space.sample_many(160, rng)
    y = torch.tensor([worth(config["order"]) for config in configs], dtype=torch.float64)
    X, y = rows.encode(configs), (y - y.mean()) / y.std()
    model = StructuredProcess(rows)
    model.fit(X[:100], y[:100, None])
    with torch.no_grad():
        mean = model.posterior(X[100:, None]).mean[:, 0, 0]
    assert float(torch.corrcoef(torch.stack([mean, y[100:]]))[0, 1]) > 0.6


def test_a_process_finds_the_items_that_matter() -> None:
    space = SearchSpace.from_dict({"order": {"type": "permutation", "items": list("abcdefgh")}})
    rows, configs = Rows(space), space.sample_many(60, np.random.default_rng(3))
    y = [float(config["order"].index("a") < config["order"].index("b")) for config in configs]
    Y = torch.tensor(y, dtype=torch.float64)[:, None]
    model = StructuredProcess(rows)
    model.fit(rows.encode(configs), (Y - Y.mean()) / Y.std())
    matters = model.hyperparameters[0][-11:-3]
    assert min(matters[:2]) > max(matters[2:])


@pytest.mark.slow
def test_auto_finds_a_better_round_trip_than_random_search() -> None:
    places = np.random.default_rng(4).random((9, 2))
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    space = SearchSpace.from_dict({"tour": {"type": "permutation", "items": list(range(9))}})

    def best(name: str) -> float:
        search, found = strategy(name), []
        search.bind_space(space, [Objective("length", "min")], seed=0)
        for _ in range(40):
            for candidate in search.generate_tasks(1):
                tour = np.array(candidate.config["tour"])
                found.append(float(distance[tour, np.roll(tour, -1)].sum()))
                search.handle_rewards([Reward(candidate, {"length": found[-1]})])
        return min(found)

    assert best("auto") < 0.95 * best("random")


def test_permutations_are_learned_by_their_values_and_cells_by_ranks() -> None:
    order = {"order": {"type": "permutation", "items": ["a", "b", "c"]}}
    cell = {"cell": {"type": "cell", "nodes": 3, "operations": ["none", "conv"]}}
    assert StructuredProcess(Rows(SearchSpace.from_dict(order))).scale == "compressed"
    assert StructuredProcess(Rows(SearchSpace.from_dict(cell))).scale == "ranks"
    assert StructuredProcess(Rows(SearchSpace.from_dict(order)), scale="ranks").scale == "ranks"
