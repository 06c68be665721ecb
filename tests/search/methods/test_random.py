from __future__ import annotations

from collections.abc import Callable

import pytest
from conformance.strategy_suite import CONDITIONAL, StrategySuite

from omniforge.search import Objective, SearchStrategy, strategy


class TestRandom(StrategySuite):
    learns = False

    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy("random")


def test_it_draws_from_the_priors() -> None:
    made = strategy("random")
    made.bind_space(CONDITIONAL, [Objective("accuracy", "max")], seed=0)
    kinds = [candidate.config["kind"] for candidate in made.generate_tasks(900) if "momentum" in candidate.config]
    assert 250 < len(kinds) < 600
