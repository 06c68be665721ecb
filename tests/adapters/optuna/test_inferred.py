from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from omniforge.adapters.optuna.inferred import InferredSpace

K = CategoricalDistribution(["a", "b"])
X = FloatDistribution(0.0, 1.0)


def study(*trials: FrozenTrial) -> list[FrozenTrial]:
    """Return trials with the numbers that a study gives them."""
    made = optuna.create_study()
    made.add_trials(trials)
    return list(made.trials)


def done(state: TrialState = TrialState.COMPLETE, **params: tuple[Any, BaseDistribution]) -> FrozenTrial:
    values = {name: value for name, (value, _) in params.items()}
    distributions = {name: distribution for name, (_, distribution) in params.items()}
    value = 1.0 if state == TrialState.COMPLETE else None
    return optuna.create_trial(state=state, params=values, distributions=distributions, value=value)


def test_nothing_is_known_before_the_first_trial() -> None:
    assert InferredSpace().view([]) is None
    assert InferredSpace().view(study(done(x=(1.0, FloatDistribution(1.0, 1.0))))) is None


def test_given_distributions_count_from_the_start() -> None:
    view = InferredSpace({"--x": X, "one": IntDistribution(2, 2)}).view([])
    assert view is not None
    assert view.distributions == {"--x": X}
    assert set(view.space.parameters) == {"x"}


def test_the_latest_range_counts() -> None:
    view = InferredSpace().view(study(done(x=(0.5, X)), done(x=(4.0, FloatDistribution(0.0, 5.0)))))
    assert view is not None
    assert view.config({"x": 4.5}, complete=False) == {"x": 4.5}
    asked = InferredSpace().view(study(done(x=(0.5, X))), {"x": FloatDistribution(0.0, 0.4)})
    assert asked is not None
    assert asked.config({"x": 0.5}, complete=False) is None


def test_conditions_come_from_complete_trials_only() -> None:
    trials = [done(k=("a", K), x=(0.1, X)), done(k=("b", K)), done(k=("a", K), x=(0.5, X))]
    view = InferredSpace().view(study(*trials))
    assert view is not None
    assert view.config({"k": "b"}, complete=False) == {"k": 1}
    assert view.params({"k": 0, "x": 0.25}) == {"k": "a", "x": 0.25}
    broken = done(TrialState.FAIL, k=("a", K))
    assert InferredSpace().view(study(*trials, broken)).space == view.space
    assert InferredSpace().view(study(*trials, done(k=("a", K)))).space != view.space


def test_a_condition_that_the_range_has_left_behind_is_dropped() -> None:
    wide, narrow = IntDistribution(1, 9), IntDistribution(1, 3)
    trials = [done(n=(1, wide)), done(n=(8, wide), x=(0.5, X)), done(n=(2, wide)), done(n=(9, wide), x=(0.2, X))]
    assert InferredSpace().view(study(*trials)).space.parameters["x"].when is not None
    assert InferredSpace().view(study(*trials, done(n=(2, narrow)))).space.parameters["x"].when is None


def test_the_view_is_kept_while_nothing_changes() -> None:
    inferred = InferredSpace()
    first = inferred.view(study(done(x=(0.5, X))))
    assert inferred.view(study(done(x=(0.5, X)), done(x=(0.6, X)))) is first
    third = inferred.view(study(done(x=(0.5, X)), done(x=(0.6, X), y=(0.6, X))))
    assert third is not first
    assert set(third.links) == {"x", "y"}


def test_what_only_optuna_can_hold_is_left_out() -> None:
    view = InferredSpace().view(study(done(x=(0.5, X), big=(7, IntDistribution(0, 2**60)))))
    assert view.distributions == {"x": X}
