from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.strategy_suite import StrategySuite

from omniforge.errors import SpecError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy, strategy


class TestTPE(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"tpe": {"initial": 6}})


MIXED = SearchSpace.from_yaml(
    """
    kind: {type: choice, range: {a, b}, submodule: {a: {x: {type: float, range: [0.0, 1.0]}}, b: {y: {type: int, range: [1, 50]}}}}
    """
)


def value(config: dict[str, Any]) -> float:
    """Peak at 1 for kind a and x = 0.7; kind b reaches 0.3 at most."""
    return 1.0 - 4 * (config["kind.a.x"] - 0.7) ** 2 if config["kind"] == "a" else 0.006 * config["kind.b.y"]


def best(name: str, seed: int, *, failing: bool = False) -> float:
    made = strategy(name)
    made.bind_space(MIXED, [Objective("v", "max")], seed=seed)
    found = []
    for _ in range(40):
        (candidate,) = made.generate_tasks(1)
        if failing and candidate.config["kind"] == "b":
            made.handle_rewards([Reward(candidate, {}, state="failed")])
            continue
        found.append(value(candidate.config))
        made.handle_rewards([Reward(candidate, {"v": found[-1]})])
    return max(found)


def test_it_comes_nearer_to_the_optimum_than_random_search() -> None:
    assert np.mean([best("tpe", s) for s in range(3)]) > np.mean([best("random", s) for s in range(3)])
    assert best("tpe", 0) > 0.999


def test_failures_count_as_bad() -> None:
    assert best("tpe", 1, failing=True) > 0.999


def test_pending_candidates_keep_others_away() -> None:
    space = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})
    made = strategy("tpe")
    made.bind_space(space, [Objective("v", "max")], seed=0)
    for x in np.linspace(0.05, 0.95, 19).round(3).tolist():
        made.handle_rewards([Reward(Candidate({"x": x}), {"v": -abs(x - 0.5)})])
    state = made.dump()

    def asked(pending: list[Candidate]) -> float:
        made.load(state)
        return float(made.generate_tasks(1, pending=pending)[0].config["x"])

    first = asked([])
    crowd = [Candidate({"x": round(min(max(first + d, 0.0), 1.0), 6)}) for d in (-0.02, -0.01, 0.0, 0.01, 0.02)]
    assert abs(asked(crowd) - first) > 0.02


def test_bounds_come_before_the_objective() -> None:
    space = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})
    made = strategy("tpe")
    made.bind_space(space, [Objective("v", "max"), Objective("t", "min", bound=0.4, weight=0.0)], seed=0)
    found = []
    for _ in range(50):
        (candidate,) = made.generate_tasks(1)
        x = candidate.config["x"]
        found.append(x)
        made.handle_rewards([Reward(candidate, {"v": x, "t": x})])
    assert sum(x <= 0.4 for x in found[-20:]) >= 10
    assert max(x for x in found if x <= 0.4) > 0.38


@pytest.mark.parametrize(
    ("options", "says"),
    [({"initial": 1}, "initial is 1"), ({"gamma": 1.0}, "gamma is 1.0"), ({"candidates": 0}, "candidates is 0")],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        strategy({"tpe": options})
