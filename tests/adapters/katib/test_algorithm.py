from __future__ import annotations

from typing import Any

import pytest

from omniforge.adapters.katib.algorithm import algorithm_names, read_algorithm
from omniforge.errors import SpecError
from omniforge.search import Objective, strategies


def test_every_strategy_is_an_algorithm() -> None:
    assert algorithm_names() == ["omniforge", *(f"omniforge-{name}" for name in strategies())]


def test_settings_are_options_of_the_strategy(make: Any) -> None:
    asked = make.experiment(
        algorithm="omniforge-bo", initial="5", acquisition="logei", surrogate='{"gp": {}}', random_state="7"
    )
    found = read_algorithm(asked)
    assert found.choice == {"bo": {"initial": 5, "acquisition": "logei", "surrogate": {"gp": {}}}}
    assert found.seed == 7
    assert found.objectives == (Objective("accuracy", "max"),)
    assert found.metrics == {"accuracy": "accuracy"}


def test_the_plain_name_is_auto_and_the_seed_follows_from_the_name(make: Any) -> None:
    first, again = (read_algorithm(make.experiment(algorithm="omniforge", goal="MINIMIZE")) for _ in range(2))
    assert first == again
    assert first.choice == {"auto": {}}
    assert first.objectives == (Objective("accuracy", "min"),)
    other = make.experiment(algorithm="omniforge")
    other.name = "another"
    assert read_algorithm(other).seed != first.seed


def test_additional_metrics_are_optimized_when_they_are_named(make: Any) -> None:
    asked = make.experiment(more=("latency/ms", "size", "loss"), objectives="latency_ms:min<=5, size:min*2")
    found = read_algorithm(asked)
    assert found.objectives == (
        Objective("accuracy", "max"), Objective("latency_ms", "min", bound=5.0), Objective("size", "min", weight=2.0),
    )  # fmt: skip
    assert found.metrics == {"accuracy": "accuracy", "latency_ms": "latency/ms", "size": "size"}
    assert len(read_algorithm(make.experiment(more=("size",))).objectives) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"algorithm": "tpe"}, "no algorithm 'tpe'"),
        ({"algorithm": "omniforge-"}, "no algorithm 'omniforge-'"),
        ({"random_state": "-3"}, "random_state is -3"),
        ({"random_state": "abc"}, "random_state is 'abc'"),
        ({"temperature": "1"}, "no option 'temperature'"),
        ({"goal": "UNKNOWN"}, "has no type"),
        ({"objectives": "accuracy:max"}, "names 'accuracy'"),
        ({"more": ("size",), "objectives": "size"}, "does not say its goal"),
        ({"more": ("size",), "objectives": "size:min, size:min"}, "given twice"),
    ],
)
def test_what_cannot_be_used_is_named(make: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_algorithm(make.experiment(**given))
    assert said in caught.value.message


def test_an_objective_needs_a_metric(make: Any) -> None:
    asked = make.experiment()
    asked.spec.objective.objective_metric_name = ""
    with pytest.raises(SpecError, match="has no metric"):
        read_algorithm(asked)
