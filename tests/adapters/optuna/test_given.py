from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from omniforge.adapters.optuna import suggest
from omniforge.adapters.optuna.given import view_of
from omniforge.search import SearchSpace

SPACE = SearchSpace.from_yaml(
    """
    depth: {type: int, range: [1, 3], submodule: {width: {type: ordinal, range: [16, 32, 64]}}}
    rate: {type: float, range: [1e-4, 1.0], log: true}
    momentum: {type: float, range: [0, 1], step: 0.25}
    units: {type: int, range: [8, 64], step: 8, log: true}
    kind: {type: choice, range: [sgd, [1, 2], null], submodule: {sgd: {nesterov: {type: bool}}}}
    seed: {type: constant, value: 3}
    arch: {type: cell, nodes: 3, operations: [none, skip, conv], zero: none, identity: skip}
    steps: {type: permutation, items: [crop, flip, 3]}
    forbid: [{depth: 3, momentum: 0.0}]
    """
)


def test_the_names_are_the_paths_and_the_edges() -> None:
    distributions = view_of(SPACE).distributions
    assert list(distributions)[:1] == ["depth"]
    assert set(distributions) == {
        "depth", "depth[0].width", "depth[1].width", "depth[2].width", "rate", "momentum", "units", "kind",
        "kind.sgd.nesterov", "arch[0-1]", "arch[0-2]", "arch[1-2]", "steps[crop]", "steps[flip]", "steps[3]",
    }  # fmt: skip
    assert distributions["depth"] == IntDistribution(1, 3)
    assert distributions["depth[0].width"] == CategoricalDistribution([16, 32, 64])
    assert distributions["rate"] == FloatDistribution(1e-4, 1.0, log=True)
    assert distributions["units"] == IntDistribution(8, 64, step=8)
    assert distributions["steps[3]"] == IntDistribution(0, 2)
    assert distributions["kind"] == CategoricalDistribution(["sgd", "[1, 2]", None])


def test_configurations_and_parameters_are_each_other(rng: np.random.Generator) -> None:
    view = view_of(SPACE)
    for config in SPACE.sample_many(200, rng):
        params = view.params(config)
        assert "seed" not in params
        assert view.config(params, complete=False) == config


def test_places_that_are_equal_put_items_as_they_are_declared() -> None:
    space = SearchSpace.from_yaml("steps: {type: permutation, items: [crop, flip, 3]}")
    found = view_of(space).config({"steps[crop]": 1, "steps[flip]": 1, "steps[3]": 0}, complete=False)
    assert found == {"steps": [3, "crop", "flip"]}
    assert view_of(space).config({"steps[crop]": 1}, complete=False) is None


def test_an_objective_asks_for_a_configuration() -> None:
    seen = []

    def objective(trial: optuna.Trial) -> float:
        config = suggest(trial, SPACE)
        seen.append(config)
        return float(config["rate"])

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert all(SPACE.is_valid(config) or (config["depth"], config["momentum"]) == (3, 0.0) for config in seen)
    assert {len(config) for config in seen} == {9, 10, 11, 12}
    view = view_of(SPACE)
    valid = [(t, c) for t, c in zip(study.trials, seen, strict=True) if SPACE.is_valid(c)]
    assert all(view.config(trial.params, complete=False) == config for trial, config in valid)


def test_a_fixed_trial_gives_its_values() -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0, 1]}\nk: {type: choice, range: [a, b]}")
    assert suggest(optuna.trial.FixedTrial({"x": 0.25, "k": "b"}), space) == {"x": 0.25, "k": "b"}
    with pytest.raises(ValueError, match="k"):
        suggest(optuna.trial.FixedTrial({"x": 0.25}), space)
