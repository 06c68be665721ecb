from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace, ablation
from omniforge.search.ablation import ablation_path
from omniforge.search.space.values import Config

FLAT = SearchSpace.from_dict({f"x{i}": {"type": "float", "range": [0.0, 1.0]} for i in range(5)})
TREE = SearchSpace.from_yaml(
    """
    kind:
      type: choice
      range: {tree, net}
      submodule:
        tree: {depth: {type: int, range: [1, 9]}}
        net: {width: {type: int, range: [8, 64]}, momentum: {type: float, range: [0.0, 1.0]}}
    scaled: {type: bool}
    noise: {type: float, range: [0.0, 1.0], when: {scaled: true}}
    """
)
ZERO, ONE = ({f"x{i}": value for i in range(5)} for value in (0.0, 1.0))


def each(function: Callable[[Config], float]) -> Callable[[Sequence[Config]], list[float]]:
    return lambda configs: [function(config) for config in configs]


def test_a_sum_is_taken_apart_into_its_terms_the_largest_first() -> None:
    worth = [0.3, -0.2, 2.0, 0.0, 0.7]
    found = ablation_path(FLAT, ZERO, ONE, predict=each(lambda c: sum(w * c[f"x{i}"] for i, w in enumerate(worth))))
    assert [step.path for step in found.steps] == ["x2", "x4", "x0", "x3", "x1"]
    assert [step.gain for step in found.steps] == pytest.approx([2.0, 0.7, 0.3, 0.0, -0.2])
    assert (found.start, found.end) == (0.0, pytest.approx(2.8))
    assert list(found.gains) == ["x2", "x4", "x0", "x3", "x1"]


def test_what_is_minimized_gains_by_falling() -> None:
    found = ablation_path(FLAT, ONE, ZERO, predict=each(lambda c: c["x0"] + 3 * c["x1"]), goal="min")
    assert [step.path for step in found.steps][:2] == ["x1", "x0"]
    assert [step.gain for step in found.steps][:2] == [3.0, 1.0]


def test_every_step_is_the_best_of_all_that_were_left() -> None:
    rng = np.random.default_rng(0)
    table = {bits: float(rng.normal()) for bits in itertools.product((0.0, 1.0), repeat=5)}
    found = ablation_path(FLAT, ZERO, ONE, predict=each(lambda c: table[tuple(c[f"x{i}"] for i in range(5))]))
    here = [0.0] * 5
    for step in found.steps:
        left = [i for i in range(5) if here[i] == 0.0]
        reached = {i: table[(*here[:i], 1.0, *here[i + 1 :])] for i in left}
        best = max(reached, key=lambda i: reached[i])
        assert step.path == f"x{best}"
        assert step.value == reached[best]
        here[best] = 1.0
    assert here == [1.0] * 5


def test_a_branch_is_changed_at_once_with_what_is_in_it() -> None:
    source = {"kind": "tree", "kind.tree.depth": 3, "scaled": False}
    target = {"kind": "net", "kind.net.width": 32, "kind.net.momentum": 0.9, "scaled": True, "noise": 0.2}

    def value(c: Config) -> float:
        return (1.0 + c["kind.net.momentum"] if c["kind"] == "net" else 0.1 * c["kind.tree.depth"]) + c.get(
            "noise", 0.0
        )

    found = ablation_path(TREE, source, target, predict=each(value))
    first, second = found.steps
    assert (first.path, first.before, first.after) == ("kind", "tree", "net")
    assert dict(first.along) == {
        "kind.tree.depth": (3, None),
        "kind.net.width": (None, 32),
        "kind.net.momentum": (None, 0.9),
    }
    assert first.gain == pytest.approx(1.6)
    assert (second.path, dict(second.along)) == ("scaled", {"noise": (None, 0.2)})
    assert second.gain == pytest.approx(0.2)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_change_that_a_rule_forbids_waits() -> None:
    space = SearchSpace.from_yaml(
        "a: {type: choice, range: [x, y]}\nb: {type: choice, range: [x, y]}\nforbid: [{a: y, b: x}]"
    )
    found = ablation_path(
        space, {"a": "x", "b": "x"}, {"a": "y", "b": "y"}, predict=each(lambda c: 5.0 * (c["a"] == "y"))
    )
    assert [step.path for step in found.steps] == ["b", "a"]


def test_changes_that_are_only_allowed_together_are_made_together() -> None:
    space = SearchSpace.from_yaml(
        "a: {type: choice, range: [x, y]}\nb: {type: choice, range: [x, y]}\nforbid: [{a: y, b: x}, {a: x, b: y}]"
    )
    found = ablation_path(
        space, {"a": "x", "b": "x"}, {"a": "y", "b": "y"}, predict=each(lambda c: 5.0 * (c["a"] == "y"))
    )
    (step,) = found.steps
    assert (step.path, dict(step.along), step.gain) == ("a", {"b": ("x", "y")}, 5.0)


@pytest.mark.parametrize("seed", range(5))
def test_any_two_configurations_are_joined_by_valid_ones(seed: int) -> None:
    from conformance.strategy_suite import CONDITIONAL

    asked: list[Config] = []

    def predict(configs: Sequence[Config]) -> list[float]:
        asked.extend(configs)
        return [float(len(config)) for config in configs]

    source, target = CONDITIONAL.sample_many(2, np.random.default_rng(seed))
    found = ablation_path(CONDITIONAL, source, target, predict=predict)
    for config in asked:
        CONDITIONAL.validate(config)
    here = dict(source)
    for step in found.steps:
        for path, (_, after) in {step.path: (step.before, step.after), **step.along}.items():
            here.pop(path, None)
            if after is not None:
                here[path] = after
    assert here == target


def test_the_same_configuration_needs_no_step() -> None:
    found = ablation_path(FLAT, ONE, ONE, predict=each(lambda c: c["x0"]))
    assert (found.steps, found.start, found.end) == ((), 1.0, 1.0)


def test_a_forest_finds_what_brute_force_finds() -> None:
    def value(c: Config) -> float:
        return (2.0 if c["kind"] == "net" else 0.0) + (1.0 if c["scaled"] else 0.0)

    configs = TREE.sample_many(80, np.random.default_rng(1))
    source = {"kind": "tree", "kind.tree.depth": 5, "scaled": False}
    found = ablation(TREE, configs, [value(c) for c in configs], source=source)
    assert [step.path for step in found.steps][:2] == ["kind", "scaled"]
    assert [step.gain for step in found.steps][:2] == pytest.approx([2.0, 1.0], abs=0.25)
    assert value(found.target) == 3.0
    assert found.note is None
    assert found.r2 > 0.8
    assert found == ablation(TREE, configs, [value(c) for c in configs], source=source)


def test_it_starts_at_the_default_and_ends_at_the_best() -> None:
    configs = FLAT.sample_many(30, np.random.default_rng(2))
    values: list[Any] = [config["x0"] for config in configs]
    found = ablation(FLAT, [*configs, ONE], [*values, math.nan], goal="min")
    assert found.source == FLAT.default()
    assert found.target == configs[int(np.argmin(values))]


def test_it_says_when_observations_are_few_or_tell_little() -> None:
    configs = FLAT.sample_many(40, np.random.default_rng(3))
    few = ablation(FLAT, configs[:5], [1.0] * 5)
    assert few.steps == ()
    assert "needs 8, there are 5" in str(few.note)
    random = ablation(FLAT, configs, np.random.default_rng(4).normal(size=40).tolist())
    assert "predicts unseen observations poorly" in str(random.note)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="2 configurations have 1 values"):
        ablation(FLAT, [ONE, ZERO], [1.0])
    with pytest.raises(SpaceError):
        ablation_path(FLAT, ONE, {"x0": 3.0}, predict=each(lambda _: 0.0))
