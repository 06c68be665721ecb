from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search import Objective, SearchSpace, strategy
from omniforge.search.fidelity.curves import Curves
from omniforge.search.fidelity.sources import Guided, Modelled, Priors, source
from omniforge.search.fidelity.staged import Situation

Make = Callable[..., Curves]


def situation(curves: Curves, seed: int = 0) -> Situation:
    return Situation(curves, lambda config: not curves.has(config), np.random.default_rng(seed), exhausted=False)


def test_sources_have_names() -> None:
    assert isinstance(source("random"), Priors)
    assert isinstance(source("model"), Modelled)
    assert source({"evolution": {"population_size": 9}}).name == "{'evolution': {'population_size': 9}}"
    with pytest.raises(UnknownNameError):
        source("modle")
    for choice in ("asha", {"seeded": {"then": "asha"}}, {"seeded": {"then": {"seeded": {"then": "mfes"}}}}):
        with pytest.raises(SpecError, match="chooses fidelities itself"):
            source(choice)
    assert isinstance(source({"seeded": {"then": "tpe"}}), Guided)
    with pytest.raises(SpecError, match="no option"):
        source({"evolution": {"size": 9}})


def test_a_strategy_learns_from_the_highest_level_with_enough_results(make_curves: Make) -> None:
    # at one epoch large x are better, at three small ones are
    seen: dict[float, dict[float, float | None]] = {x / 20: {1: x / 20, 3: -x / 20} for x in range(10)}
    guided = Guided({"evolution": {"population_size": 8, "tournament_size": 8}})
    low = [guided.next(situation(make_curves({x: {1: r[1]} for x, r in seen.items()}), i)) for i in range(12)]
    high = [guided.next(situation(make_curves(seen), i)) for i in range(12)]
    assert all(found is not None for found in (*low, *high))
    assert np.median([c["x"] for c in low if c]) > np.median([c["x"] for c in high if c])


def test_the_model_waits_for_data_and_leaves_a_share_to_the_priors(make_curves: Make) -> None:
    few = make_curves({x / 10: {1: x / 10} for x in range(5)})
    assert all(source("model").next(situation(few, i)) is None for i in range(3))
    many = make_curves({x / 20: {1: -abs(x / 20 - 0.5), 9: -abs(x / 20 - 0.5)} for x in range(0, 20, 2)})
    found = [source("model").next(situation(many, i)) for i in range(12)]
    assert 1 <= sum(config is None for config in found) <= 8
    assert all(abs(config["x"] - 0.5) < 0.2 for config in found if config is not None)


@pytest.mark.parametrize(
    ("proposals", "count", "says"),
    [
        ({"bo": {"acquisition": "logei"}}, 2, "takes one objective, not 2"),
        ({"bo": {"acquisition": "ehvi"}}, 1, "takes several objectives, not 1"),
        ({"bo": {"optimizer": "exhaustive"}}, 1, "at most"),
        ({"bo": {"acquisition": {"ucb": {"beta": "3"}}}}, 1, "beta is '3'"),
        ({"ensemble": {"surrogate": {"rf": {"trees": 1}}}}, 1, "trees is 1"),
    ],
)
def test_what_a_source_cannot_search_is_refused_when_the_space_is_bound(
    proposals: dict[str, Any], count: int, says: str
) -> None:
    made = strategy({"asha": {"proposals": proposals}})
    objectives = [Objective("f", "max"), Objective("g", "min")][:count]
    with pytest.raises(SpecError, match=says):
        made.bind_space(SearchSpace.from_yaml("x: {type: float, range: [0, 1]}"), objectives, seed=0)


def test_a_space_that_a_source_cannot_search_is_not_changed_to() -> None:
    made = strategy({"asha": {"proposals": {"bo": {"optimizer": "exhaustive"}}}})
    made.bind_space(SearchSpace.from_yaml("x: {type: int, range: [0, 9]}"), [Objective("f", "max")], seed=0)
    with pytest.raises(SpecError, match="at most"):
        made.change_space(SearchSpace.from_yaml("x: {type: float, range: [0, 9]}"))
    assert all(isinstance(candidate.config["x"], int) for candidate in made.generate_tasks(3))
