from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from omniforge.search.space.domain import Bool, Choice, Constant, Ordinal


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_choice_is_drawn_uniformly():
    counts = Counter(Choice(("a", "b", "c")).sample(g) for g in [rng()] for _ in range(3000))
    assert all(abs(count - 1000) < 100 for count in counts.values())


def test_weights_shift_the_draws():
    choice, g = Choice(("a", "b"), (3.0, 1.0)), rng()
    counts = Counter(choice.sample(g) for _ in range(4000))
    assert abs(counts["a"] - 3000) < 120
    assert choice.default() == "a"
    assert Choice(("a", "b"), (1.0, 3.0)).default() == "b"


def test_quantiles_reach_every_value_and_stay_inside():
    choice = Choice(("a", "b", "c"), (0.1, 0.2, 0.7))
    assert [choice.quantile(u) for u in (0.0, 0.099, 0.101, 0.31, 1 - 1e-16)] == ["a", "a", "b", "c", "c"]


@pytest.mark.parametrize("domain", [Choice((1, 2, 3)), Choice((1, 2, 3), (1.0, 2.0, 3.0)), Ordinal((1, 2, 3)), Bool()])
def test_mutation_gives_another_value(domain):
    g = rng()
    for value in domain.values:
        seen = {domain.mutate(value, g) for _ in range(100)}
        assert value not in seen
        assert seen == set(domain.values) - {value} or isinstance(domain, Ordinal)


@pytest.mark.parametrize("domain", [Choice((1,)), Ordinal((1,)), Constant((1,))])
def test_a_single_value_has_no_other(domain):
    assert domain.mutate(1, rng()) == 1
    assert list(domain.alternatives(1)) == []


def test_an_ordinal_steps_mostly_by_one():
    ordinal, g = Ordinal(tuple(range(20))), rng()
    steps = Counter(abs(ordinal.mutate(10, g) - 10) for _ in range(1000))
    assert 0 not in steps
    assert steps[1] == max(steps.values())
    assert list(ordinal.alternatives(10))[:4] == [9, 11, 8, 12]


def test_an_ordinal_has_positions_and_a_middle():
    ordinal = Ordinal(("low", "mid", "high"))
    assert [ordinal.to_unit(value) for value in ordinal.values] == [0.0, 0.5, 1.0]
    assert [ordinal.from_unit(unit) for unit in (-1.0, 0.4, 2.0)] == ["low", "mid", "high"]
    assert ordinal.default() == "mid"
    assert Ordinal((7,)).to_unit(7) == 0.0


def test_a_value_is_found_as_a_number_and_comes_back_as_declared():
    choice = Choice((64, 256))
    assert choice.contains(64.0)
    assert not choice.contains(True)
    assert type(choice.normalize(64.0)) is int


def test_lists_are_values_that_callers_cannot_change():
    choice = Choice(([64], [64, 64]))
    drawn = choice.quantile(0.9)
    drawn.append(1)
    assert choice.values == ([64], [64, 64])
    assert choice.contains([64, 64])
    assert not choice.contains({1, 2})


def test_the_canonical_form_of_a_choice_has_no_order():
    one, two = Choice(("a", "b"), (1.0, 2.0)), Choice(("b", "a"), (2.0, 1.0))
    assert one.canonical_dict() == two.canonical_dict()
    assert Ordinal(("a", "b")).canonical_dict() != Ordinal(("b", "a")).canonical_dict()


def test_expected_shortens_long_lists():
    assert Choice(tuple(range(30))).expected().endswith("... (30 values)")
