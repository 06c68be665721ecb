from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conformance.strategy_suite import StrategySuite

from omniforge.search import Objective, SearchSpace, SearchStrategy, strategy


class TestSobol(StrategySuite):
    learns = False

    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy("sobol")


def test_its_points_fill_the_space_evenly() -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\ny: {type: float, range: [0.0, 1.0]}")
    made = strategy("sobol")
    made.bind_space(space, [Objective("a", "max")], seed=1)
    found = [candidate.config for _ in range(8) for candidate in made.generate_tasks(2)]
    cells = {(int(config["x"] * 4), int(config["y"] * 4)) for config in found}
    assert len(cells) == 16, "16 points of a Sobol sequence lie in 16 different quarters of quarters"
    assert sorted(np.floor([config["x"] * 16 for config in found])) == list(range(16))
