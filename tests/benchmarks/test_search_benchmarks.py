"""The pure functions of the search benchmarks: resuming, ranks, targets, flattened spaces, simulated workers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.benchmarks.search.grid import Row, append, finished, read
from omniforge.benchmarks.search.methods.flat import columns, unflatten
from omniforge.benchmarks.search.problems import load
from omniforge.benchmarks.search.problems.conditional import Conditional
from omniforge.benchmarks.search.runner import Plan, run
from omniforge.benchmarks.search.simulation import Cluster, Simulation
from omniforge.benchmarks.search.statistics import curves, evaluations_to, friedman, intervals, ranks, regrets, wilson
from omniforge.components.job_estimator.waiting import POLICIES
from omniforge.search import Objective, SearchSpace, strategy


def rows(method: str, values: list[float], *, problem: str = "p", seed: int = 0) -> list[Row]:
    best = np.maximum.accumulate(values)
    return [Row(problem, method, seed, i, v, float(b), 0.5) for i, (v, b) in enumerate(zip(values, best, strict=True))]


def test_rows_come_back_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    written = rows("a", [1.0, 3.0, 2.0])
    append(path, written)
    with path.open("a") as file:
        file.write("p,b,0,0,1.")
    append(path, rows("c", [2.0]))
    assert read(path) == [*written, *rows("c", [2.0])]
    assert finished(read(path), evaluations=3) == {("p", "a", 0)}


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    said: list[str] = []
    plan = Plan("conditional", ("random", "sobol"), None, 2, 4, instances=1)
    first = run(plan, path, say=said.append)
    assert len(first) == 16
    assert run(plan, path, say=said.append) == first
    assert "0 of 4 searches" in said[-1]


def test_problems_without_their_data_say_where_they_belong() -> None:
    with pytest.raises(SystemExit, match="--data"):
        load("nb201", None, instances=1)
    with pytest.raises(SystemExit, match="known: "):
        load("nothing", None, instances=1)


def test_ranks_regrets_and_targets() -> None:
    table = rows("a", [1.0, 3.0]) + rows("b", [2.0, 2.0]) + rows("c", [0.0, 3.0])
    found = curves(table, signs={"p": 1}, steps=2)
    assert ranks(found).tolist() == [[1.5, 3.0, 1.5]]
    assert regrets(found, optima={"p": 4.0})["p"][:, 0, -1] == pytest.approx([1 / 3, 2 / 3, 1 / 3])
    assert evaluations_to(found.best["p"], 3.0).tolist() == [[2.0], [math.inf], [2.0]]


def test_only_seeds_that_all_methods_have_finished_are_compared() -> None:
    table = rows("a", [1.0, 3.0]) + rows("a", [1.0, 2.0], seed=1) + rows("b", [2.0, 2.0], seed=1) + rows("b", [5.0])
    assert curves(table, signs={"p": -1}, steps=2).best["p"].tolist() == [[[-1.0, -2.0]], [[-2.0, -2.0]]]


def test_while_nothing_is_within_the_bounds_the_worst_of_all_counts() -> None:
    table = rows("a", [-math.inf, 3.0]) + rows("b", [2.0, 2.0])
    found = curves(table, signs={"p": 1}, steps=2)
    assert found.best["p"].tolist() == [[[2.0, 3.0]], [[2.0, 2.0]]]


def test_failures_and_bounds_are_part_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    plan = Plan("constrained", ("random", "optuna-tpe"), None, 1, 12, instances=15)
    known = {problem.name: problem for problem in load("constrained", None, instances=15)}
    names = ("fail-memory", "gardner-2")
    done = [row for name in known if name not in names for row in rows("random", [0.0] * 12, problem=name)]
    append(path, done + [replace(row, method="optuna-tpe") for row in done])
    found = [row for row in run(plan, path, say=lambda line: None) if row.problem in names]
    assert len(found) == 48
    assert any(math.isnan(row.value) for row in found if row.problem == "fail-memory")
    nothing = [row for row in found if row.problem == "gardner-2" and math.isinf(row.best)]
    assert nothing
    assert all(row.best > 0 and math.isfinite(row.value) for row in nothing)


def test_constrained_problems_are_what_is_published() -> None:
    known = {problem.name: problem for problem in load("constrained", None, instances=15)}
    published = {
        "spring": {"wire": 0.051689, "coil": 0.356718, "turns": 11.288966},
        "vessel": {"shell": 13, "head": 7, "radius": 42.098446, "length": 176.636596},
        "beam": {"weld": 0.205730, "joint": 3.470489, "height": 9.036624, "thickness": 0.205730},
        "reducer": {
            "face": 3.5, "module": 0.7, "teeth": 17, "first": 7.3, "second": 7.71532, "shaft": 3.350215, "axle": 5.286654,
        },
        "branin-disk": {"x": math.pi, "y": 2.275},
    }  # fmt: skip
    for name, config in published.items():
        problem = known[name]
        metrics = problem.measure(config)
        assert metrics["loss"] == pytest.approx(problem.optimum, rel=2e-4)
        scale = {"shear_psi": 2.0, "bending_psi": 2.0, "overload_lb": 2.0, "missing_in3": 20.0}
        for bound in problem.objectives[1:]:
            assert bound.bound is not None
            assert metrics[bound.key] <= bound.bound + scale.get(bound.key, 1e-4)
    shares = {}
    for name, problem in known.items():
        configs = problem.space.sample_many(300, np.random.default_rng(0))
        shares[name] = sum(not problem.measure(config) for config in configs) / 300
    assert all(0.25 < share < 0.65 for name, share in shares.items() if name.startswith("fail"))
    assert all(share == 0.0 for name, share in shares.items() if not name.startswith("fail"))


def test_friedman_and_intervals() -> None:
    table = np.array([[1.0, 2.0, 3.0]] * 10)
    p, difference = friedman(table)
    assert p < 0.001
    assert difference == pytest.approx(2.343 * math.sqrt(12 / 60), abs=0.002)
    assert intervals(table).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert wilson(20, 20)[0] == pytest.approx(0.839, abs=0.01)


@pytest.mark.parametrize("problem", load("permutations", None, instances=7), ids=lambda problem: problem.name)
def test_no_order_is_better_than_the_optimum_that_is_known(problem: Any) -> None:
    rng = np.random.default_rng(0)
    best = min(problem.measure(config)["loss"] for config in problem.space.sample_many(300, rng))
    assert problem.optimum < best < problem.optimum + abs(problem.optimum)
    for _ in range(3):
        here = problem.space.sample(rng)
        for _ in range(8):
            around = [here, *problem.space.neighbors(here, rng, count=40)]
            here = min(around, key=lambda config: problem.measure(config)["loss"])
        assert problem.measure(here)["loss"] >= problem.optimum - 1e-9


def test_a_flattened_configuration_is_the_same_one() -> None:
    cell = {"type": "cell", "nodes": 3, "operations": ["none", "conv"], "zero": "none"}
    order = {"type": "permutation", "items": ["a", "b", "c"]}
    space = SearchSpace.from_dict(
        {**Conditional(0).space.to_dict(), "cell": cell, "fixed": {"type": "constant", "value": 3}, "o": order}
    )
    for config in space.sample_many(20, np.random.default_rng(0)):
        flat: dict[str, Any] = {f"cell[{edge}]": operation for edge, operation in config["cell"].items()} | config
        flat |= {f"o[{item}]": 0.2 + 0.1 * place for place, item in enumerate(config["o"])}
        names = {column.name for column in columns(space)}
        assert unflatten(space, {name: value for name, value in flat.items() if name in names}) == config


# ------------------------------------------------------------------------------------------------- simulated workers

SPACE = SearchSpace.from_dict({"x": {"type": "float", "range": [0.0, 1.0]}})


def simulate(policy: str, cluster: Cluster, *, evaluations: int = 64) -> list[Any]:
    made = strategy("random")
    made.bind_space(SPACE, [Objective("f", "max")], seed=0)

    def measure(config: Mapping[str, Any]) -> dict[str, float]:
        return {"f": float(config["x"])}

    waiting = POLICIES.get(policy)()
    simulation = Simulation(made, cluster, waiting, measure=measure, seconds=lambda config: 100.0, seed=1)
    return simulation.run(evaluations)


def test_equal_tasks_take_as_many_rounds_as_there_are() -> None:
    even = Cluster(8, stragglers=0.0, spread=0.0)
    for policy in ("sync", "adaptive", "async"):
        log = simulate(policy, even)
        assert len(log) == 64
        assert log[-1].at_s == pytest.approx(800.0)


def test_a_barrier_costs_time_and_a_deadline_saves_it() -> None:
    cluster = Cluster(8, stragglers=0.1)
    ends = {policy: simulate(policy, cluster)[-1].at_s for policy in ("sync", "adaptive", "async")}
    assert ends["adaptive"] < ends["async"] < ends["sync"]


def test_the_killed_share_fails_and_stragglers_are_given_up() -> None:
    states = [end.state for end in simulate("adaptive", Cluster(8, killed=0.25, stragglers=0.1), evaluations=400)]
    assert 0.18 < states.count("failed") / 400 < 0.32
    assert 0.0 < states.count("timeout") / 400 < 0.15
