"""Transfer: how many evaluations a search saves when two earlier tasks are known. Quality only; asking is timed in `speed`.

For every problem of a family (signals of NAS-Bench-201, instances of LCBench or rbv2_xgboost) two others of the family are
the earlier tasks. Nothing is known of them but what one search of each evaluated: ``--known`` configurations, chosen by the
cold strategy on another seed (92 for NAS-Bench-201 as in its protocol, 60 else) or drawn at random (``--earlier random``).
The new search then runs cold and with each method of transfer, on the same seeds.

What counts is the number of evaluations, from the very first, until the optimum of the signal, and until 99.9 % of it. Where
the optimum is not known, the goal is the best value that the cold search of the same seed finds at all, so that the cold one
always gets there. A search that does not get there counts as ``--evaluations`` + 1.

    python -m benchmarks.search.transfer --data DIR --families nb201 lcbench rbv2 --seeds 10

A finished (problem, method, seed) is not run again.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from omniforge.search import Reward, strategy

from .problems import load
from .problems.problem import Problem
from .table import RESULTS, Table, parser

COLUMNS = ("problem", "method", "seed", "earlier", "known", "evaluations", "optimum_at", "near_at", "best", "ask_s")
FAMILIES = {"nb201": 92, "lcbench": 60, "rbv2": 60}
METHODS: dict[str, Any] = {
    "multitask": {"method": "multitask"},
    "multitask-of": {"method": "multitask", "surrogate": "of"},
    "rgpe": {"method": "rgpe"},
    "rgpe-of": {"method": "rgpe", "surrogate": "of"},
}
NEAR = 0.999
OTHER_SEED = 1000


class Run:
    """One search: its observations and the seconds of its asks."""

    def __init__(
        self, problem: Problem, choice: Any, *, seed: int, evaluations: int, goal: float | None = None
    ) -> None:
        made = strategy(choice)
        made.bind_space(problem.space, problem.objectives, seed=seed)
        key = problem.objectives[0].key
        self.observations: list[dict[str, Any]] = []
        self.values: list[float] = []
        self.seconds = 0.0
        while len(self.values) < evaluations and (goal is None or max(self.values, default=-1e99) < goal):
            began = time.perf_counter()
            found = made.generate_tasks(1)
            self.seconds += time.perf_counter() - began
            if not found:
                break
            metrics = problem.measure(found[0].config)
            made.handle_rewards([Reward(found[0], metrics)])
            self.observations.append({"config": found[0].config, "metrics": metrics})
            self.values.append(metrics[key])

    def first(self, goal: float, *, never: int) -> int:
        """Return after how many evaluations a value was reached, ``never`` when it was not."""
        return next((n for n, value in enumerate(self.values, start=1) if value >= goal - 1e-9), never)


class Family:
    """The problems of one family, and what earlier searches of each evaluated.

    Args:
        name: One of `FAMILIES`.
        data: The folder of the data sets.
        instances: The most problems.
        cold: The strategy without transfer.
        earlier: ``"cold"`` or ``"random"``: what evaluated the earlier tasks.
    """

    def __init__(self, name: str, data: Path | None, *, instances: int, cold: Any, earlier: str) -> None:
        found = list(load(name, data, instances=99))
        self.problems = [p for p in found if not p.name.endswith("_12")][:instances]
        self.evaluations = FAMILIES[name]
        self._cold, self._earlier = cold, earlier
        self._runs: dict[tuple[str, int, str], Run] = {}

    def cold(self, problem: Problem, seed: int, *, by: Any = None) -> Run:
        """Return the search without transfer."""
        chosen = self._cold if by is None else by
        key = (problem.name, seed, json.dumps(chosen, sort_keys=True))
        if key not in self._runs:
            self._runs[key] = Run(problem, chosen, seed=seed, evaluations=self.evaluations)
        return self._runs[key]

    def tasks(self, problem: Problem, seed: int) -> list[dict[str, Any]]:
        """Return what is known of the next two problems of the family."""
        at = self.problems.index(problem)
        others = [self.problems[(at + k) % len(self.problems)] for k in (1, 2)]
        by = None if self._earlier == "cold" else "random"
        runs = [self.cold(other, seed + OTHER_SEED, by=by) for other in others]
        return [{"name": other.name, "observations": run.observations} for other, run in zip(others, runs, strict=True)]


def row(family: Family, problem: Problem, method: str, *, seed: int, earlier: str) -> dict[str, Any]:
    """Search once and return a row of the results."""
    never = family.evaluations + 1
    goal = problem.optimum if problem.optimum is not None else max(family.cold(problem, seed).values)
    if method == "cold":
        run = family.cold(problem, seed)
    else:
        choice = {"of-trans": {**METHODS[method], "tasks": family.tasks(problem, seed)}}
        run = Run(problem, choice, seed=seed, evaluations=family.evaluations, goal=goal)
    return {
        "problem": problem.name,
        "method": method,
        "seed": seed,
        "earlier": earlier,
        "known": 2 * family.evaluations,
        "evaluations": family.evaluations,
        "optimum_at": run.first(goal, never=never),
        "near_at": run.first(goal * NEAR, never=never),
        "best": round(max(run.values), 5),
        "ask_s": round(run.seconds / len(run.values), 4),
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per problem and method: medians over seeds, and their ratio to the cold search's."""
    yield f"{'problem':32} {'method':14} {'seeds':>5} {'optimum_at':>10} {'near_at':>8} {'ratio':>6} {'found':>6} {'best':>9}"
    for problem in dict.fromkeys(r["problem"] for r in rows):
        mine = [r for r in rows if r["problem"] == problem]
        for method in dict.fromkeys(r["method"] for r in mine):
            some = [r for r in mine if r["method"] == method]
            seeds = {r["seed"] for r in some}
            at = [int(r["optimum_at"]) for r in some]
            cold = [int(r["optimum_at"]) for r in mine if r["method"] == "cold" and r["seed"] in seeds]
            ratio = statistics.median(at) / statistics.median(cold) if cold else float("nan")
            reached = statistics.fmean(int(r["optimum_at"]) <= int(r["evaluations"]) for r in some)
            near, best = (
                statistics.median(int(r["near_at"]) for r in some),
                statistics.fmean(float(r["best"]) for r in some),
            )
            middle = statistics.median(at)
            yield f"{problem:32} {method:14} {len(some):5} {middle:10} {near:8} {ratio:6.2f} {reached:6.2f} {best:9.3f}"


def main() -> None:
    """Run what is missing and print the summary."""
    known = parser(__doc__, RESULTS / "search_transfer.csv", seeds=10)
    known.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    known.add_argument("--methods", nargs="+", choices=["cold", *METHODS], default=["cold", "multitask", "rgpe"])
    known.add_argument("--cold", default="auto", help="the strategy without transfer: a name, or JSON")
    known.add_argument("--earlier", choices=["cold", "random"], default="cold")
    known.add_argument("--instances", type=int, default=12)
    chosen = known.parse_args()
    warnings.filterwarnings("ignore")
    cold = json.loads(chosen.cold) if chosen.cold.startswith("{") else chosen.cold
    results = Table(chosen.output, COLUMNS, key=4)
    made = [
        Family(name, chosen.data, instances=chosen.instances, cold=cold, earlier=chosen.earlier)
        for name in chosen.families
    ]
    known_as = {problem.name: (family, problem) for family in made for problem in family.problems}
    cells = (
        (problem.name, method, seed, chosen.earlier)
        for family in made
        for seed, problem, method in product(range(chosen.seeds), family.problems, chosen.methods)
    )
    results.fill(
        cells,
        lambda name, method, seed, earlier: row(*known_as[name], method, seed=seed, earlier=earlier),
        minutes=chosen.minutes,
    )
    print("\n".join(summary(results.read())), flush=True)


if __name__ == "__main__":
    main()
