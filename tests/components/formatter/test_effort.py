from __future__ import annotations

from typing import Any

import pytest

from omniforge.components.formatter.effort import with_effort
from omniforge.search import strategy


@pytest.mark.parametrize("name", ["auto", "of", "of-hd", "bo", "of-trans"])
def test_a_strategy_that_plans_is_told_of_the_trials(name: str) -> None:
    chosen = with_effort(name, trials=30)
    assert chosen == {name: {"budget": 30}}
    strategy(chosen)


@pytest.mark.parametrize("choice", ["random", "smac", {"auto": {"initial": 5, "budget": 9}}])
def test_what_does_not_plan_or_has_a_budget_stays(choice: str | dict[str, Any]) -> None:
    assert with_effort(choice, trials=30) == choice


def test_what_is_nested_is_told_too() -> None:
    given = {"seeded": {"configs": [], "then": "auto"}}
    assert with_effort(given, trials=30) == {"seeded": {"configs": [], "then": {"auto": {"budget": 30}}}}
    assert given["seeded"]["then"] == "auto"
