from __future__ import annotations

from collections.abc import Callable

import pytest
from conformance.strategy_suite import StrategySuite

from omniforge.errors import SpecError
from omniforge.search import SearchStrategy, strategy


class TestSmac(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"smac": {"initial": 5, "trees": 16}})


class TestBohamiann(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"bohamiann": {"initial": 5, "steps": 30}})


def test_their_options_are_those_of_their_parts() -> None:
    with pytest.raises(SpecError, match="no option 'networks'"):
        strategy({"smac": {"networks": 3}})
    with pytest.raises(SpecError, match="initial is 1"):
        strategy({"bohamiann": {"initial": 1}})
