from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from conformance.strategy_suite import CONDITIONAL, GOALS, StrategySuite

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy, strategy
from omniforge.search.bo.composition import SURROGATES
from omniforge.search.bo.gp import GaussianProcess

ACCURACY = Objective("accuracy", "max")


class TestBayesian(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy({"bo": {"initial": 5}})


class TestAuto(StrategySuite):
    @pytest.fixture
    def make(self) -> Callable[[], SearchStrategy]:
        return lambda: strategy("auto")


class Broken(GaussianProcess):
    """A surrogate that never fits."""

    def fit(self, *args: Any, **options: Any) -> None:
        raise RuntimeError("singular")


@pytest.fixture
def broken() -> str:
    SURROGATES.register("broken", Broken)
    return "broken"


def bound(
    choice: Any, space: SearchSpace = CONDITIONAL, objectives: Sequence[Objective] = (ACCURACY,)
) -> SearchStrategy:
    made = strategy(choice)
    made.bind_space(space, objectives, seed=0)
    return made


def test_the_default_configuration_comes_first() -> None:
    assert bound("auto").generate_tasks(3)[0].config == CONDITIONAL.default()


def test_the_initial_design_tries_every_branch() -> None:
    found = bound("auto").generate_tasks(8)
    assert {candidate.config["kind"] for candidate in found} == {"tree", "line", "net"}


@pytest.mark.parametrize(("budget", "designed"), [(None, 8), (60, 8), (12, 4), (3, 2)])
def test_a_small_budget_has_a_small_design(
    budget: int | None, designed: int, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = bound({"bo": {"surrogate": broken, "budget": budget}})
    for position in range(designed + 1):
        assert ("singular" in caplog.text) == (position > designed)
        (candidate,) = made.generate_tasks(1)
        made.handle_rewards([Reward(candidate, {"accuracy": float(position)})])
    assert "singular" in caplog.text


def test_a_fit_that_fails_is_logged_and_the_best_is_mutated(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    space = SearchSpace.from_dict({f"x{i}": {"type": "choice", "range": ["a", "b", "c"]} for i in range(8)})
    made = bound({"bo": {"initial": 2, "surrogate": broken}}, space)
    for word, value in (("a", 1.0), ("b", 2.0)):
        made.handle_rewards([Reward(Candidate({f"x{i}": word for i in range(8)}), {"accuracy": value})])
    with caplog.at_level(logging.WARNING):
        found = made.generate_tasks(2)
    assert "singular" in caplog.text
    assert [sum(value != "b" for value in candidate.config.values()) for candidate in found] == [1, 1]


def test_observations_skip_the_design_and_a_batch_is_shared_by_both() -> None:
    made = bound({"bo": {"initial": 6}})
    rng = np.random.default_rng(0)
    made.handle_rewards([Reward(Candidate(c), {"accuracy": rng.random()}) for c in CONDITIONAL.sample_many(4, rng)])
    assert made.dump()["extra"]["model"]["count"] == 0
    assert len(made.generate_tasks(4)) == 4
    assert made.dump()["extra"]["position"] == 2
    assert made.dump()["extra"]["model"]["count"] == 4


def test_hyperparameters_are_kept_while_little_is_new() -> None:
    made = bound({"bo": {"initial": 4}})
    rng = np.random.default_rng(0)
    made.handle_rewards([Reward(Candidate(c), {"accuracy": len(c)}) for c in CONDITIONAL.sample_many(60, rng)])
    made.generate_tasks(1)
    fitted = made.dump()["extra"]["model"]
    assert fitted["count"] == 60
    made.handle_rewards([Reward(Candidate(c), {"accuracy": len(c)}) for c in CONDITIONAL.sample_many(2, rng)])
    made.generate_tasks(1)
    assert made.dump()["extra"]["model"] == fitted
    made.handle_rewards([Reward(Candidate(c), {"accuracy": len(c)}) for c in CONDITIONAL.sample_many(2, rng)])
    made.generate_tasks(1)
    assert made.dump()["extra"]["model"]["count"] == 64


def test_the_model_avoids_what_failed() -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\nc: {type: choice, range: {good, bad}}")
    made = bound({"bo": {"initial": 8}}, space)
    found = []
    for _ in range(24):
        for candidate in made.generate_tasks(1):
            found.append(candidate.config["c"])
            ok = candidate.config["c"] == "good"
            value = -((candidate.config["x"] - 0.5) ** 2)
            made.handle_rewards(
                [Reward(candidate, {"accuracy": value} if ok else {}, state="succeeded" if ok else "failed")]
            )
    assert found[:8].count("bad") > 1
    assert found[-12:].count("bad") <= 2


@pytest.mark.parametrize("acquisition", ["ehvi", "qlognehvi"])
def test_several_objectives_spread_over_the_front(acquisition: str) -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\ny: {type: float, range: [0.0, 1.0]}")
    made = bound(
        {"bo": {"initial": 6, "acquisition": acquisition}}, space, [Objective("f", "max"), Objective("g", "min")]
    )
    late = []
    for i in range(18):
        for candidate in made.generate_tasks(1):
            x, y = candidate.config["x"], candidate.config["y"]
            late += [(x, y)] if i >= 8 else []
            made.handle_rewards([Reward(candidate, {"f": x - y * y, "g": x + y})])
    xs, ys = np.array(late).T
    assert ys.mean() < 0.15, "the front is y = 0"
    assert np.ptp(xs) > 0.5


def test_a_bound_is_kept_to() -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\ny: {type: float, range: [0.0, 1.0]}")
    goals = [Objective("f", "max"), Objective("g", "min", bound=0.4, weight=0.0)]
    made = bound({"bo": {"initial": 6}}, space, goals)
    best = -np.inf
    for _ in range(24):
        for candidate in made.generate_tasks(1):
            x, y = candidate.config["x"], candidate.config["y"]
            best = max(best, x - y * y) if x <= 0.4 else best
            made.handle_rewards([Reward(candidate, {"f": x - y * y, "g": x})])
    assert best > 0.38


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"initial": 1}, SpecError, "initial is 1"),
        ({"max_observations": 3}, SpecError, "max_observations is 3"),
        ({"kernel": "rbf"}, SpecError, "no option 'kernel'"),
        ({"surrogate": "gpp"}, UnknownNameError, "no surrogate named 'gpp'"),
        ({"acquisition": {"logei": {}, "ehvi": {}}}, SpecError, "neither a name nor a mapping"),
    ],
)
def test_options_are_checked_before_anything_runs(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        strategy({"bo": options})


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"bo": {"optimizer": {"mixed": {"stars": 3}}}}, "optimizer 'mixed' has no option 'stars'"),
        ({"bo": {"acquisition": {"ucb": {"beta": "3"}}}}, "beta is '3'"),
        ({"bo": {"suggester": {"fantasies": {"samples": 0}}}}, "samples is 0"),
        ({"of-hd": {"surrogate": {"gp": {"kernel": "x"}}}}, "no option 'kernel'"),
        ({"of-hd": {"acquisition": {"auto": {"patience": 0}}}}, "patience is 0"),
        ({"of-trans": {"surrogate": {"gp": {"kernel": "x"}}}}, "no option 'kernel'"),
        ({"seeded": {"then": {"bo": {"surrogate": {"rf": {"trees": 1}}}}}}, "trees is 1"),
    ],
)
def test_options_of_parts_are_checked_when_the_space_is_bound(choice: dict[str, Any], says: str) -> None:
    made = strategy(choice)
    with pytest.raises(SpecError, match=says):
        made.bind_space(CONDITIONAL, [ACCURACY], seed=0)


@pytest.mark.parametrize("kind", ["optimizer", "generator"])
def test_the_trust_region_is_of_another_strategy(kind: str) -> None:
    with pytest.raises(SpecError, match=f"The {kind} 'region'"):
        strategy({"bo": {kind: "region"}})


def test_an_acquisition_for_one_objective_refuses_several() -> None:
    with pytest.raises(SpecError, match="takes one objective, not 2"):
        bound({"bo": {"initial": 2, "acquisition": "logei"}}, objectives=GOALS["both"])


def test_the_design_needs_no_torch() -> None:
    code = """
import sys
from omniforge.search import Objective, SearchSpace, strategies, strategy
for name in strategies():
    if name != "mf-nas":
        strategy(name).bind_space(SearchSpace.from_yaml("x: {type: float, range: [0, 1]}"), [Objective("a", "max")], seed=0)
made = strategy("auto")
made.bind_space(SearchSpace.from_yaml("x: {type: float, range: [0, 1]}"), [Objective("a", "max")], seed=0)
made.generate_tasks(4)
again = strategy("auto")
again.bind_space(SearchSpace.from_yaml("x: {type: float, range: [0, 1]}"), [Objective("a", "max")], seed=0)
again.load(made.dump())
print([name for name in ("torch", "botorch", "gpytorch", "pandas") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_batch_is_spread() -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}\ny: {type: float, range: [0.0, 1.0]}")
    made = bound({"bo": {"initial": 4}}, space)
    for candidate in made.generate_tasks(8):
        x, y = candidate.config["x"], candidate.config["y"]
        made.handle_rewards([Reward(candidate, {"accuracy": -((x - 0.6) ** 2) - (y - 0.2) ** 2})])
    points = np.array([[candidate.config["x"], candidate.config["y"]] for candidate in made.generate_tasks(6)])
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + 9 * np.eye(6)
    assert distances.min() > 1e-3
    json.dumps(made.dump(), allow_nan=False)


def test_it_beats_random_on_a_conditional_space() -> None:
    space = SearchSpace.from_yaml(
        """
        kind:
          type: choice
          range: {a, b, c}
          submodule:
            a: {u: {type: float, range: [0.0, 1.0]}, v: {type: float, range: [0.0, 1.0]}, w: {type: float, range: [0.0, 1.0]}}
            b: {u: {type: float, range: [0.001, 1.0], log: true}, n: {type: int, range: [1, 20]}, m: {type: bool}}
            c: {u: {type: float, range: [0.0, 1.0]}, k: {type: choice, range: {x, y, z}}}
        """
    )

    def value(config: dict[str, Any]) -> float:
        kind = config["kind"]
        if kind == "a":
            return 1.0 - sum((config[f"kind.a.{name}"] - at) ** 2 for name, at in (("u", 0.2), ("v", 0.7), ("w", 0.9)))
        if kind == "b":
            far = abs(np.log10(config["kind.b.u"]) + 1.0) + abs(config["kind.b.n"] - 6) / 6 + (not config["kind.b.m"])
            return 1.1 - 0.3 * far
        return 0.6 - (config["kind.c.u"] - 0.5) ** 2 + 0.1 * "xyz".index(config["kind.c.k"])

    def best(name: str, seed: int) -> float:
        made = strategy(name)
        made.bind_space(space, [ACCURACY], seed=seed)
        out = -np.inf
        for _ in range(30):
            for candidate in made.generate_tasks(1):
                out = max(out, value(candidate.config))
                made.handle_rewards([Reward(candidate, {"accuracy": value(candidate.config)})])
        return out

    regrets = {name: np.mean([1.1 - best(name, seed) for seed in range(4)]) for name in ("bo", "random")}
    assert regrets["bo"] < 0.5 * regrets["random"]
