from __future__ import annotations

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from omniforge.adapters.optuna.given import view_of
from omniforge.adapters.optuna.view import Link, OutsideError, View, positions, written
from omniforge.search import SearchSpace

NUMBERS = {
    "float": FloatDistribution(-1.0, 1.0),
    "log": FloatDistribution(1e-7, 10.0, log=True),
    "step": FloatDistribution(-10.2, 10.2, step=0.1),
    "fine": FloatDistribution(0.0, 1.0, step=1e-7),
    "int": IntDistribution(-10, 10, step=2),
    "log_int": IntDistribution(1, 100, log=True),
}
CHOICES = {"any": CategoricalDistribution(["a", None, 2.5]), "flag": CategoricalDistribution([True, False])}


def view(distributions: dict[str, BaseDistribution]) -> View:
    space = SearchSpace.from_dict({name: written(d) for name, d in distributions.items()})
    return View(space, {name: Link(d, name, values=positions(d)) for name, d in distributions.items()})


def test_every_configuration_is_a_valid_trial_and_back(rng) -> None:
    both = view(NUMBERS | CHOICES)
    for config in both.space.sample_many(100, rng):
        params = both.params(config)
        for name, value in params.items():
            distribution = both.links[name].distribution
            assert distribution._contains(distribution.to_internal_repr(value)), (name, value)
        optuna.create_trial(params=params, distributions=both.distributions, value=0.0)
        back = both.config(params, complete=False)
        assert back == {**config, "fine": pytest.approx(config["fine"], abs=1e-6)}
        both.space.validate(back)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_ends_of_a_range_are_in_it(name: str) -> None:
    distribution = NUMBERS[name]
    one = view({name: distribution})
    for value in (distribution.low, distribution.high):
        config = one.config({name: value}, complete=False)
        assert config is not None
        assert one.params(config) == {name: pytest.approx(value, abs=1e-6)}


def test_values_outside_and_missing_ones_are_none_of_the_space() -> None:
    both = view({"x": FloatDistribution(0, 1), "k": CHOICES["any"]})
    assert both.config({"x": 2.0, "k": "a"}, complete=True) is None
    assert both.config({"x": 0.5, "k": "b"}, complete=True) is None
    assert both.config({"x": 0.5}, complete=False) is None
    assert both.config({"x": 0.5}, complete=True) == {"x": 0.5, "k": 0}
    assert both.config({"x": 0.5, "k": None, "other": 3}, complete=False) == {"x": 0.5, "k": 1}


def test_a_broken_rule_is_outside() -> None:
    space = SearchSpace.from_yaml("a: {type: bool}\nb: {type: bool}\nforbid: [{a: true, b: true}]")
    assert view_of(space).config({"a": True, "b": True}, complete=True) is None
    assert view_of(space).config({"a": True, "b": False}, complete=True) == {"a": True, "b": False}


def test_true_is_not_one() -> None:
    link = Link(CategoricalDistribution(["one", "true"]), "x", values=(1, True))
    assert [link.outward(1), link.outward(True)] == ["one", "true"]
    with pytest.raises(OutsideError):
        link.inward("two")


@pytest.mark.parametrize("distribution", [IntDistribution(0, 2**60), FloatDistribution(-1e308, 1e308)])
def test_what_only_optuna_can_hold_is_left_to_it(distribution: BaseDistribution) -> None:
    assert written(distribution) is None
