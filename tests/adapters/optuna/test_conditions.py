from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from omniforge.adapters.optuna.conditions import CHOICE, FLOAT, INTEGER, conditions

KINDS = {"kernel": CHOICE, "degree": INTEGER, "layers": INTEGER, "gamma": FLOAT, "x": FLOAT, "y": FLOAT}


def rows(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"x": 0.3 + 0.01 * i, **row} for i, row in enumerate(given)]


def test_nothing_is_conditional_that_all_or_none_have() -> None:
    assert conditions(rows({"kernel": 0}, {"kernel": 1}), KINDS) == {}
    assert conditions([], KINDS) == {}


def test_a_choice_explains() -> None:
    seen = rows({"kernel": 0, "gamma": 1.0}, {"kernel": 1}, {"kernel": 2, "gamma": 0.5}, {"kernel": 1})
    assert conditions(seen, KINDS) == {"gamma": {"kernel": {"in": [0, 2]}}}


def test_a_contradiction_is_noticed() -> None:
    seen = rows({"kernel": 0, "gamma": 1.0}, {"kernel": 1}, {"kernel": 0})
    assert "kernel" not in conditions(seen, KINDS).get("gamma", {})


def test_an_integer_explains_by_a_threshold() -> None:
    seen = rows({"layers": 3, "gamma": 1.0}, {"layers": 1}, {"layers": 5, "gamma": 0.5}, {"layers": 2})
    assert conditions(seen, KINDS) == {"gamma": {"layers": {"min": 3}}}
    seen = rows({"layers": 3}, {"layers": 1, "gamma": 1.0}, {"layers": 5}, {"layers": 2, "gamma": 1.0})
    assert conditions(seen, KINDS) == {"gamma": {"layers": {"max": 2}}}


def test_a_float_explains_by_a_threshold_between() -> None:
    seen = [{"y": 0.1}, {"y": 0.9, "gamma": 1.0}, {"y": 0.3}, {"y": 0.5, "gamma": 1.0}]
    assert conditions(seen, KINDS) == {"gamma": {"y": {"min": 0.4}}}


def test_what_lies_below_another_depends_on_it() -> None:
    seen = rows(
        {"kernel": 0, "degree": 2}, {"kernel": 0, "degree": 3, "gamma": 0.1}, {"kernel": 1}, {"kernel": 1},
        {"kernel": 0, "degree": 2}, {"kernel": 0, "degree": 4, "gamma": 0.3},
    )  # fmt: skip
    assert conditions(seen, KINDS) == {"degree": {"kernel": {"in": [0]}}, "gamma": {"degree": {"min": 3}}}


def test_two_choices_explain_together_once_there_is_enough() -> None:
    kinds = {"a": CHOICE, "b": CHOICE, "z": FLOAT}
    seen = [
        {"a": a, "b": b} | ({"z": 0.5} if a == 1 and b == 0 else {})
        for a, b in [*itertools.product((0, 1), (0, 1))] * 4
    ]
    assert conditions(seen, kinds) == {"z": {"a": {"in": [1]}, "b": {"in": [0]}}}
    assert conditions(seen[:8], kinds) == {}


def test_one_that_is_new_to_the_study_depends_on_nothing() -> None:
    rng = np.random.default_rng(0)
    seen = [{"kernel": int(rng.integers(3)), "layers": int(rng.integers(5)), "x": rng.random()} for _ in range(30)]
    seen = [row | ({"gamma": 0.5} if i >= 20 else {}) for i, row in enumerate(seen)]
    assert conditions(seen, KINDS) == {}


def test_nothing_depends_on_what_depends_on_it() -> None:
    kinds = dict.fromkeys("abcdef", CHOICE)
    rng = np.random.default_rng(1)
    for _ in range(50):
        seen = [{name: int(rng.integers(2)) for name in "abcdef" if rng.random() < 0.7} for _ in range(6)]
        found = conditions(seen, kinds)
        trail = {name: set(when) for name, when in found.items()}
        for _ in range(6):
            trail = {name: above.union(*(trail.get(other, set()) for other in above)) for name, above in trail.items()}
        assert not any(name in above for name, above in trail.items())
