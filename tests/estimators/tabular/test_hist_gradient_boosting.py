from __future__ import annotations

from typing import Any

from omniforge.estimators.tabular.algorithm import Problem


def test_rounds_are_added_not_started_over(make: Any, numbers: Any) -> None:
    X, y = numbers
    made = make("hist_gradient_boosting", Problem("regression", 0), max_iter=40)
    rounds = []
    for _ in made.steps(X, y, 100):
        rounds.append(made.model.n_iter_)
        first = made.model._predictors[0]
    assert rounds == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    assert made.model._predictors[0] is first


def test_no_rows_are_kept_back_for_its_own_early_stopping(make: Any, numbers: Any) -> None:
    X, y = numbers
    made = make("hist_gradient_boosting", Problem("regression", 0))
    list(made.steps(X, y, 50))
    assert made.model.n_iter_ == 50
    assert not made.model.do_early_stopping_
