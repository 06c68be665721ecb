from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conformance.fidelity_suite import FidelitySuite

from omniforge.errors import SpecError
from omniforge.search import Objective, SearchSpace, SearchStrategy, strategy

EPOCHS = {"fidelity": "epochs", "low": 1, "high": 9}


class TestAsha(FidelitySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"asha": EPOCHS})


class TestHyperband(FidelitySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"hyperband": EPOCHS})


class TestHyperbandGuided(FidelitySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"hyperband": {**EPOCHS, "proposals": "evolution"}})


class TestBohb(FidelitySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"bohb": EPOCHS})


class TestMfes(FidelitySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"mfes": EPOCHS})


class TestFreezeThaw(FidelitySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"freeze-thaw": {**EPOCHS, "initial": 4}})


@pytest.mark.parametrize("name", ["asha", "hyperband", "bohb", "mfes", "freeze-thaw"])
def test_every_one_works_without_options(name: str) -> None:
    made = strategy(name)
    made.bind_space(SearchSpace.from_dict({"x": {"type": "int", "range": [1, 4]}}), [Objective("score", "max")], seed=0)
    (candidate,) = made.generate_tasks(1)
    assert candidate.fidelity is not None
    assert 1 <= candidate.fidelity["epochs"] <= 81


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        ({"asha": {"eta": 1}}, "eta"),
        ({"asha": {"low": 9, "high": 3}}, "high"),
        ({"hyperband": {"brackets": 0}}, "brackets"),
        ({"freeze-thaw": {"ratio": 0.5}}, "ratio"),
        ({"freeze-thaw": {"random": 2}}, "random"),
        ({"freeze-thaw": {"initial": 0}}, "initial"),
    ],
)
def test_options_out_of_range_are_refused(choice: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        strategy(choice)
