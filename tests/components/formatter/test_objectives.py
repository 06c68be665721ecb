from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.components.formatter.objectives import devices_of, known_goals, resolve_objectives
from omniforge.errors import SpecError, UnknownNameError
from omniforge.estimators import load_bundle
from omniforge.search import Objective


@pytest.fixture
def goals() -> dict[str, str]:
    return known_goals(load_bundle("tabular"), "classification")


def test_an_estimators_metrics_and_those_of_a_deployment_are_known(probe: Path, goals: dict[str, str]) -> None:
    assert goals["roc_auc"] == "max"
    assert goals["latency_ms"] == "min"
    assert "rmse" not in goals
    assert known_goals(load_bundle("tabular"), "regression")["rmse"] == "min"
    assert set(known_goals(load_bundle(probe), "classification")) & {"accuracy", "roc_auc"} == {"accuracy"}


def test_the_default_metric_alone_without_a_wish(goals: dict[str, str]) -> None:
    assert resolve_objectives((), goals=goals, default="accuracy") == [Objective("accuracy", "max")]


def test_goals_and_devices_are_filled_in(goals: dict[str, str]) -> None:
    found = resolve_objectives(("roc_auc", "latency_ms@cpu<=5", "model_bytes"), goals=goals, default="accuracy")
    assert found == [
        Objective("roc_auc", "max"),
        Objective("latency_ms", "min", device="local", bound=5.0),
        Objective("model_bytes", "min"),
    ]
    assert devices_of(found) == ["local"]
    assert devices_of(found[:1]) == []


@pytest.mark.parametrize(
    ("texts", "error", "says"),
    [
        (("acuracy",), UnknownNameError, "'accuracy'"),
        (("accuracy", "latency_ms@locall"), UnknownNameError, "'local'"),
        (("accuracy@local",), SpecError, "has no device"),
        (("accuracy", "accuracy:max"), SpecError, "given 2 times"),
        (("accuracy", "latency_ms", "latency_ms@cpu"), SpecError, "'latency_ms' is given 2 times"),
        (("latency_ms", "model_bytes"), SpecError, "--objective accuracy"),
        (("accuracy:most",), SpecError, "'most'"),
    ],
)
def test_a_wrong_objective_is_named(
    texts: tuple[str, ...], error: type[Exception], says: str, goals: dict[str, str]
) -> None:
    with pytest.raises(error) as caught:
        resolve_objectives(texts, goals=goals, default="accuracy")
    assert says in str(caught.value)
