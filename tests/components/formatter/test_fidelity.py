from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.formatter.fidelity import with_fidelity
from omniforge.components.formatter.formatter import check, format_job
from omniforge.components.spec import JobSpec
from omniforge.errors import SpecError
from omniforge.estimators import load_bundle
from omniforge.estimators.bundle import Bundle
from omniforge.search import strategy
from omniforge.settings import Settings
from omniforge.store import Store


@pytest.fixture
def tabular() -> Bundle:
    """The tabular estimator: from 1 to 100 percent."""
    return load_bundle("tabular")


@pytest.mark.parametrize("name", ["asha", "hyperband", "bohb", "mfes", "freeze-thaw"])
def test_a_strategy_that_varies_the_fidelity_is_told_of_it(tabular: Bundle, name: str) -> None:
    chosen, (said,) = with_fidelity(name, tabular, trials=60)
    assert chosen == {name: {"fidelity": "run_epochs", "low": 4, "high": 100}}
    assert said == "Candidates begin with 4 percent of training, and the best go on up to 100."
    strategy(chosen)


@pytest.mark.parametrize(("trials", "low"), [(1, 34), (6, 34), (20, 12), (60, 4), (200, 2), (10_000, 1)])
def test_few_trials_begin_higher_so_that_some_get_to_the_end(tabular: Bundle, trials: int, low: int) -> None:
    chosen, _ = with_fidelity("asha", tabular, trials=trials)
    assert isinstance(chosen, dict)
    assert chosen["asha"]["low"] == low


@pytest.mark.parametrize(
    "choice", ["auto", "random", {"evolution": {"population_size": 9}}, {"seeded": {"configs": []}}]
)
def test_other_strategies_are_left_alone(tabular: Bundle, choice: Any) -> None:
    assert with_fidelity(choice, tabular, trials=50) == (choice, [])


def test_what_the_user_says_stays(tabular: Bundle) -> None:
    chosen, _ = with_fidelity({"asha": {"low": 10, "high": 90, "eta": 2}}, tabular, trials=50)
    assert chosen == {"asha": {"fidelity": "run_epochs", "low": 10, "high": 90, "eta": 2}}


def test_a_strategy_within_another_is_told_too(tabular: Bundle) -> None:
    chosen, _ = with_fidelity({"seeded": {"configs": [], "then": "asha"}}, tabular, trials=60)
    assert chosen == {"seeded": {"configs": [], "then": {"asha": {"fidelity": "run_epochs", "low": 4, "high": 100}}}}


def test_what_does_not_fit_the_estimator_is_refused(tabular: Bundle, probe: Path) -> None:
    with pytest.raises(SpecError, match="called 'run_epochs'"):
        with_fidelity({"asha": {"fidelity": "epochs"}}, tabular, trials=50)
    with pytest.raises(SpecError, match="high is 200, and estimator 'tabular' takes 1 to 100 percent"):
        with_fidelity({"asha": {"high": 200}}, tabular, trials=50)
    with pytest.raises(SpecError, match="has none"):
        with_fidelity("asha", replace(tabular, fidelity=None), trials=50)


def test_a_job_takes_the_fidelity_of_its_estimator(settings: Settings, store: Store, iris_csv: Path) -> None:
    asked = {"data": str(iris_csv), "target": "species", "strategy": "asha", "trials": 60, "stopping": "learning-curve"}
    plan = format_job(check(JobSpec.parse(asked), settings), settings, store)
    assert plan.phase("search").strategy == {"asha": {"fidelity": "run_epochs", "low": 4, "high": 100}}
    assert "Candidates begin with 4 percent of training, and the best go on up to 100." in plan.reasons
    assert plan.stopping == "learning-curve"
