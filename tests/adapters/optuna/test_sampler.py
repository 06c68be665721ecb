from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase, RelativeSamplerTestCase
from optuna.trial import TrialState

from omniforge.adapters.optuna import OmniforgeSampler, suggest
from omniforge.errors import SpecError, UnknownNameError
from omniforge.search import SearchSpace

EARLY = {"auto": {"initial": 4}}


class TestOptunasOwnSuite(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """What Optuna asks of each of its own samplers."""

    @pytest.fixture
    def sampler(self) -> Callable[[], OmniforgeSampler]:
        return lambda: OmniforgeSampler(EARLY, seed=0)


def mixed(trial: optuna.Trial) -> float:
    """A conditional function of numbers and choices with its minimum, 0, in one of three branches."""
    kind = trial.suggest_categorical("kind", ["near", "far", None])
    rate = trial.suggest_float("--rate", 1e-4, 1.0, log=True)
    layers = trial.suggest_int("layers", 1, 3)
    total = (np.log10(rate) + 2) ** 2 + 0.2 * abs(layers - 2)
    total += sum((trial.suggest_float(f"units.{i}", -1, 1) - 0.3) ** 2 for i in range(layers))
    if kind == "near":
        return float(total + (trial.suggest_float("shift", 0.0, 2.0, step=0.25) - 0.5) ** 2)
    return float(total + 0.5 + 0.1 * trial.suggest_int("power", 0, 10, step=2))


def run(objective: Callable[[optuna.Trial], Any], count: int, sampler: Any = None, **more: Any) -> optuna.Study:
    study = optuna.create_study(sampler=sampler or OmniforgeSampler(EARLY, seed=0), **more)
    study.optimize(objective, n_trials=count, catch=(ArithmeticError,))
    return study


def told(study: optuna.Study) -> list[dict[str, Any]]:
    (memory,) = study.sampler._studies.values()
    observations: list[dict[str, Any]] = memory._follower._strategy.dump()["history"]["observations"]
    return observations


# ------------------------------------------------------------------------------------------------------- the search


@pytest.mark.slow
def test_it_is_better_than_random_on_a_mixed_conditional_objective() -> None:
    ours = run(mixed, 40, OmniforgeSampler(seed=0)).best_value
    random = [run(mixed, 40, optuna.samplers.RandomSampler(seed=seed)).best_value for seed in range(6)]
    assert ours < 0.5 * np.median(random)


class Watched(OmniforgeSampler):
    """A sampler that notes which trials have a parameter that was drawn by itself."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.blind: set[int] = set()

    def sample_independent(self, study: optuna.Study, trial: Any, *given: Any) -> Any:
        self.blind.add(trial.number)
        return super().sample_independent(study, trial, *given)


def test_the_conditions_are_found_so_that_nothing_is_drawn_blindly() -> None:
    sampler = Watched("sobol", seed=0)
    run(mixed, 50, sampler)
    assert 0 in sampler.blind
    assert max(sampler.blind) < 40


def test_the_same_seed_gives_the_same_trials() -> None:
    first, second, other = (run(mixed, 9, OmniforgeSampler(EARLY, seed=seed)) for seed in (1, 1, 2))
    assert [t.params for t in first.trials] == [t.params for t in second.trials]
    assert [t.params for t in first.trials] != [t.params for t in other.trials]


def test_several_objectives_find_a_front() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x**2 + y**2, (1 - x) ** 2 - y

    def area(study: optuna.Study) -> float:
        from omniforge.search import hypervolume

        values = np.array([[-t.values[0], t.values[1]] for t in study.trials])
        return float(hypervolume(values, np.array([-2.0, -1.0])))

    directions = ["minimize", "maximize"]
    ours = run(objective, 25, OmniforgeSampler(seed=0), directions=directions)
    random = [run(objective, 25, optuna.samplers.RandomSampler(seed=s), directions=directions) for s in range(5)]
    assert area(ours) > max(map(area, random))


def test_constraints_are_respected() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("circle", (x - 0.2) ** 2 + (y - 0.2) ** 2 - 0.05)
        return -x - y

    study = run(objective, 30, OmniforgeSampler(EARLY, seed=0))
    feasible = [t for t in study.trials if t.constraints["circle"] <= 0]
    assert len(feasible) >= 5
    assert min(t.value for t in feasible) < -0.65


def test_the_constraints_of_a_function_are_recorded() -> None:
    sampler = OmniforgeSampler(EARLY, seed=0, constraints_func=lambda trial: [trial.params["x"] - 0.4, -1.0])
    study = run(lambda trial: -trial.suggest_float("x", 0, 1), 12, sampler)
    assert all(t.constraints == {"0": t.params["x"] - 0.4, "1": -1.0} for t in study.trials)
    assert told(study)[3]["metrics"].keys() == {"value_0", "constraint_0", "constraint_1"}


# ------------------------------------------------------------------------------------------------ states of trials


def test_failed_and_pruned_trials_are_learned_from() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 4 == 1:
            raise ZeroDivisionError
        trial.report(x, 0)
        if trial.number % 4 == 2:
            raise optuna.TrialPruned
        return x + 1

    study = run(objective, 13)
    states = [observation["state"] for observation in told(study)]
    assert states.count("failed") == 3
    assert states.count("succeeded") == 9
    pruned = told(study)[2]["metrics"]["value_0"]
    assert pruned >= study.trials[0].value


def test_enqueued_trials_are_run_and_learned() -> None:
    study = optuna.create_study(sampler=OmniforgeSampler(EARLY, seed=0))
    study.enqueue_trial({"x": 0.125})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=6)
    assert study.trials[0].params["x"] == 0.125
    assert len(told(study)) == 5


def test_running_trials_are_waited_for() -> None:
    study = optuna.create_study(sampler=OmniforgeSampler(EARLY, seed=0))
    space = {"x": FloatDistribution(0, 1), "k": CategoricalDistribution(["a", "b"])}
    for _ in range(8):
        trial = study.ask(space)
        study.tell(trial, (trial.params["x"] - 0.5) ** 2)
    waiting = [study.ask(space) for _ in range(4)]
    assert len({(trial.params["x"], trial.params["k"]) for trial in waiting}) == 4
    assert len(told(study)) == 8


def test_what_another_process_proposed_is_pending_before_it_has_asked() -> None:
    study = optuna.create_study(sampler=OmniforgeSampler("random", seed=0, space={"x": CategoricalDistribution("abc")}))
    first = study.ask()
    assert first.relative_params.keys() == {"x"}
    study.sampler = OmniforgeSampler("random", seed=0, space={"x": CategoricalDistribution("abc")})
    second, third = study.ask(), study.ask()
    assert {trial.relative_params["x"] for trial in (first, second, third)} == set("abc")


# --------------------------------------------------------------------------------------------- a study that changes


def test_parameters_may_come_and_ranges_may_change() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1 if trial.number < 8 else 3)
        y = trial.suggest_float("y", 0, 1) if trial.number >= 12 else 0.5
        return (x - 2.5) ** 2 + (y - 0.2) ** 2

    study = run(objective, 28)
    assert len(told(study)) == 27
    assert study.best_value < 0.1


def test_a_narrowed_range_is_kept_to_and_nothing_is_lost() -> None:
    study = run(lambda trial: trial.suggest_float("x", 0, 10), 10)
    study.optimize(lambda trial: trial.suggest_float("x", 4, 5), n_trials=4)
    assert all(4 <= trial.params["x"] <= 5 for trial in study.trials[10:])
    study.optimize(lambda trial: trial.suggest_float("x", 0, 10), n_trials=2)
    assert len(told(study)) == 15


def test_a_finite_space_is_searched_to_its_end_and_on() -> None:
    study = run(lambda trial: trial.suggest_int("x", 0, 2) + trial.suggest_categorical("k", [0, 5]), 9)
    assert len({tuple(trial.params.items()) for trial in study.trials[:6]}) == 6
    assert len(study.trials) == 9


def test_one_sampler_serves_several_studies() -> None:
    sampler = OmniforgeSampler(EARLY, seed=0)
    run(lambda trial: trial.suggest_float("x", 0, 1), 6, sampler)
    study = run(lambda trial: trial.suggest_int("n", 0, 9), 6, sampler)
    assert all(trial.params.keys() == {"n"} for trial in study.trials)


# --------------------------------------------------------------------------------------------------- a given space


SPACE = SearchSpace.from_yaml(
    """
    kind: {type: choice, range: [tree, net], submodule: {tree: {depth: {type: int, range: [1, 9]}}}}
    rate: {type: float, range: [1e-3, 1.0], log: true, when: {kind: net}}
    arch: {type: cell, nodes: 3, operations: [none, skip, conv], zero: none, identity: skip}
    forbid: [{kind: tree, kind.tree.depth: {min: 8}}]
    """
)


def test_a_given_space_is_searched_from_the_first_trial_on() -> None:
    seen = []

    def objective(trial: optuna.Trial) -> float:
        seen.append(suggest(trial, SPACE))
        return float(len(seen[-1]["arch"]["0-1"]) + seen[-1].get("kind.tree.depth", 3))

    study = run(objective, 12, OmniforgeSampler(EARLY, space=SPACE, seed=0))
    assert seen[0] == SPACE.default()
    keys = [SPACE.config_hash(config) for config in seen]
    for config in seen:
        SPACE.validate(config)
    assert len(set(keys)) == len(keys)
    assert [observation["config"] for observation in told(study)] == seen[:-1]


def test_given_distributions_are_sampled_together_from_the_first_trial_on() -> None:
    space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    study = optuna.create_study(sampler=OmniforgeSampler(space=space, seed=0))
    trial = study.ask()
    assert (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)) == (0.5, 0.5)


def test_startup_trials_are_drawn_independently() -> None:
    study = optuna.create_study(sampler=OmniforgeSampler("sobol", seed=0, n_startup_trials=3))
    asked = []
    for _ in range(5):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        asked.append(bool(trial.relative_params))
        study.tell(trial, x)
    assert asked == [False, False, False, True, True]


# ------------------------------------------------------------------------------------------- threads and processes


def test_two_threads_share_a_study() -> None:
    study = optuna.create_study(sampler=OmniforgeSampler(EARLY, seed=0))
    meet = threading.Barrier(2, timeout=30)

    def objective(trial: optuna.Trial) -> float:
        value = mixed(trial)
        if trial.number < 2:
            meet.wait()
        return value

    study.optimize(objective, n_trials=16, n_jobs=2)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 16
    assert len({json.dumps(t.params, sort_keys=True) for t in study.trials}) == 16


SMALL = {"evolution": {"population_size": 5, "tournament_size": 2}}
WORKER = """
    import json, sys, optuna
    from omniforge.adapters.optuna import OmniforgeSampler
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="s", storage=sys.argv[1], sampler=OmniforgeSampler(json.loads(sys.argv[2]), seed=0))
    def objective(trial):
        x, k = trial.suggest_float("x", -5, 5), trial.suggest_categorical("k", ["a", "b", "c"])
        return (x - 1) ** 2 + "abc".index(k)
    study.optimize(objective, n_trials=6)
"""


@pytest.mark.slow
def test_two_processes_share_a_database_and_a_third_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(study_name="s", storage=url)
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url, json.dumps(SMALL)]
    for started in [subprocess.Popen(command), subprocess.Popen(command)]:
        assert started.wait(timeout=250) == 0
    trials = study.get_trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 12
    assert len({(t.params["x"], t.params["k"]) for t in trials}) == 12
    study.sampler = OmniforgeSampler(SMALL, seed=0)
    trial = study.ask()
    found = (trial.suggest_float("x", -5, 5), trial.suggest_categorical("k", ["a", "b", "c"]))
    assert found not in {(t.params["x"], t.params["k"]) for t in trials}
    assert len(told(study)) == 12


def test_a_sampler_can_be_copied_and_saved() -> None:
    study = run(mixed, 6)
    for again in (copy.deepcopy(study.sampler), pickle.loads(pickle.dumps(study.sampler))):
        study.sampler = again
        study.optimize(mixed, n_trials=1)
    assert len(study.trials) == 8


# ------------------------------------------------------------------------------------------------------- bad input


def test_what_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UnknownNameError, match="autoo"):
        OmniforgeSampler("autoo")
    for space in (3, {"x": [0, 1]}):
        with pytest.raises(SpecError, match="expected a search space"):
            OmniforgeSampler(space=space)
    with pytest.raises(SpecError, match="seed is -1"):
        OmniforgeSampler(seed=-1)


def test_without_optuna_the_message_says_what_to_install() -> None:
    code = """
    import sys
    sys.modules["optuna"] = None
    try:
        import omniforge.adapters.optuna
    except ImportError as e:
        print(type(e).__name__, e.hint)
    """
    printed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert printed.stdout.split() == ["MissingDependencyError", "pip", "install", "'omniforge[optuna]'"]


def test_no_seed_draws_one() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = {OmniforgeSampler()._seed for _ in range(3)}
    assert len(drawn) == 3
