"""How good the strategies are and how long they think, on conditional spaces like a tabular one: seven algorithms, 5-8 parameters.

Quality: ``problems x strategies x seeds``. A problem is drawn at random from its number: each algorithm has a level, an
optimum in each of its parameters and a weight for each (log-normal: few matter); a second objective is a latency over four
orders of magnitude. Reported are the mean regret to the true optimum after a third, two thirds and all of the evaluations
(one objective), and the mean share of the hypervolume of 30,000 random configurations (two objectives).

Latency: seconds of one ``generate_tasks(q)`` when ``n`` observations are known, median over repeats, each on a fresh
strategy that resumes from a state and gets as many more rewards as make it fit its hyperparameters again.

Peers: Optuna's TPE and GPSampler, where it is installed, on the same spaces and seeds (``--peers``).

    python benchmarks/search.py --problems 3 --seeds 5 --evaluations 60
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Candidate, Objective, Reward, SearchSpace, hypervolume, strategy

RESULTS = Path(__file__).parent / "results" / "search.csv"
STRATEGIES = ("random", "sobol", "evolution", "auto")
PEERS = ("optuna-tpe", "optuna-gp")
SCORE, LATENCY = Objective("score", "max"), Objective("latency", "min")
KINDS: dict[str, dict[str, Any]] = {
    "float": {"type": "float", "range": [0.0, 1.0]},
    "log": {"type": "float", "range": [1e-4, 1.0], "log": True},
    "int": {"type": "int", "range": [1, 20]},
    "choice": {"type": "choice", "range": ["u", "v", "w"]},
}


@dataclass(frozen=True)
class Algorithm:
    """One branch: its level, and per parameter an optimum, a weight and the worth of each value of a choice."""

    level: float
    optimum: list[float]
    weight: list[float]
    worth: list[list[float]]


class Problem:
    """A made-up family of algorithms.

    Args:
        number: Seeds the problem.
    """

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(1000 + number)
        self.name = f"conditional-{number}"
        self._algorithms: dict[str, Algorithm] = {}
        branches: dict[str, Any] = {}
        for i in range(7):
            k = int(rng.integers(5, 9))
            kinds = rng.choice(list(KINDS), size=k, p=[0.4, 0.25, 0.2, 0.15])
            branches[f"a{i}"] = {f"p{j}": KINDS[str(kind)] for j, kind in enumerate(kinds)}
            self._algorithms[f"a{i}"] = Algorithm(
                float(rng.normal(0, 0.6)),
                rng.uniform(0, 1, k).tolist(),
                np.exp(rng.normal(-0.5, 1.2, k)).tolist(),
                rng.normal(0, 0.3, (k, 3)).tolist(),
            )
        algorithm = {"type": "choice", "range": list(branches), "submodule": branches}
        self.space = SearchSpace.from_dict({"algorithm": algorithm})

    def measure(self, config: dict[str, Any]) -> dict[str, float]:
        """Return score and latency."""
        name = config["algorithm"]
        algorithm = self._algorithms[name]
        score, log_latency = algorithm.level, 0.4 * list(self._algorithms).index(name)
        for j, (optimum, weight, worth) in enumerate(
            zip(algorithm.optimum, algorithm.weight, algorithm.worth, strict=True)
        ):
            path = f"algorithm.{name}.p{j}"
            value = config[path]
            if isinstance(value, str):
                score += worth["uvw".index(value)]
            else:
                unit = self.space.parameters[path].domain.to_unit(value)  # type: ignore[attr-defined]
                score -= weight * (unit - optimum) ** 2
                log_latency += weight * unit
        return {"score": score, "latency": math.exp(log_latency)}

    def optimum(self) -> float:
        """Return the best score, up to the grids of the integers."""
        best = []
        for name, algorithm in self._algorithms.items():
            choices = [
                isinstance(self.space.parameters[f"algorithm.{name}.p{j}"].domain.default(), str)
                for j in range(len(algorithm.worth))
            ]
            gains = [max(w) for w, is_choice in zip(algorithm.worth, choices, strict=True) if is_choice]
            best.append(algorithm.level + sum(gains))
        return max(best)


Ask = Callable[[], tuple[Any, dict[str, Any]]]
Tell = Callable[[Any, dict[str, float]], None]


def ours(name: str, problem: Problem, objectives: list[Objective], *, seed: int) -> tuple[Ask, Tell]:
    """Return ask and tell of one of our strategies, one candidate at a time."""
    made = strategy(name)
    made.bind_space(problem.space, objectives, seed=seed)

    def ask() -> tuple[Any, dict[str, Any]]:
        (candidate,) = made.generate_tasks(1)
        return candidate, candidate.config

    return ask, lambda candidate, metrics: made.handle_rewards([Reward(candidate, metrics)])


def optuna(name: str, problem: Problem, objectives: list[Objective], *, seed: int) -> tuple[Ask, Tell]:
    """Return ask and tell of an Optuna sampler with the conditional space as a define-by-run function."""
    import optuna as library

    library.logging.set_verbosity(library.logging.ERROR)
    samplers = library.samplers
    sampler = (
        samplers.TPESampler(seed=seed, multivariate=True, group=True)
        if name == "optuna-tpe"
        else samplers.GPSampler(seed=seed)
    )
    directions = ["maximize" if objective.goal == "max" else "minimize" for objective in objectives]
    study = library.create_study(directions=directions, sampler=sampler)

    def ask() -> tuple[Any, dict[str, Any]]:
        trial = study.ask()
        config: dict[str, Any] = {}
        for path, parameter in problem.space.parameters.items():
            if parameter.active(config):
                domain: Any = parameter.domain
                if parameter.kind == "choice":
                    config[path] = trial.suggest_categorical(path, list(domain.values))
                elif parameter.kind == "int":
                    config[path] = trial.suggest_int(path, domain.low, domain.high, log=domain.log)
                else:
                    config[path] = trial.suggest_float(path, domain.low, domain.high, log=domain.log)
        return trial, config

    return ask, lambda trial, metrics: study.tell(trial, [metrics[objective.key] for objective in objectives])


def run(
    name: str, problem: Problem, objectives: list[Objective], *, seed: int, evaluations: int
) -> Iterator[dict[str, float]]:
    """Yield the measurements of one search, with the seconds each ask took."""
    make = optuna if name in PEERS else ours
    ask, tell = make(name, problem, objectives, seed=seed)
    for _ in range(evaluations):
        began = time.perf_counter()
        handle, config = ask()
        ask_s = time.perf_counter() - began
        metrics = problem.measure(config)
        tell(handle, metrics)
        yield {**metrics, "ask_s": ask_s}


def quality(problem: Problem, name: str, *, seeds: int, evaluations: int) -> Iterator[dict[str, Any]]:
    """Yield one row for one objective and one for two."""
    marks = [evaluations // 3, 2 * evaluations // 3, evaluations]
    sample = [problem.measure(c) for c in problem.space.sample_many(30_000, np.random.default_rng(9))]
    cloud = np.array([[m["score"], -math.log(m["latency"])] for m in sample])
    reference = np.quantile(cloud, 0.2, axis=0).tolist()
    whole, best = hypervolume(cloud, reference), problem.optimum()
    for objectives in ([SCORE], [SCORE, LATENCY]):
        found: list[list[float]] = []
        seconds: list[float] = []
        for seed in range(seeds):
            rows = list(run(name, problem, objectives, seed=seed, evaluations=evaluations))
            seconds += [row["ask_s"] for row in rows]
            points = [[row["score"], -math.log(row["latency"])] for row in rows]
            if len(objectives) == 1:
                found.append([best - max(row["score"] for row in rows[:k]) for k in marks])
            else:
                found.append([hypervolume(points[:k], reference) / whole for k in marks])
        means = np.mean(found, axis=0)
        yield {
            "problem": problem.name,
            "strategy": name,
            "measure": "regret" if len(objectives) == 1 else "hypervolume",
            **{f"after_{k}": round(float(mean), 4) for k, mean in zip(marks, means, strict=True)},
            "ask_s": round(statistics.fmean(seconds), 4),
        }


def latencies(problem: Problem, *, repeats: int) -> Iterator[dict[str, Any]]:
    """Yield the median seconds of an ask of ``auto``."""
    for objectives in ([SCORE], [SCORE, LATENCY]):
        for n in (20, 50, 100, 200):
            configs = problem.space.sample_many(n, np.random.default_rng(n))
            known = n - n // 20 - 1
            state = _after(problem, objectives, configs[:known])
            for q in (1, 4, 8):
                seconds = []
                for _ in range(repeats):
                    made = strategy("auto")
                    made.bind_space(problem.space, objectives, seed=0)
                    made.load(state)
                    made.handle_rewards(
                        [Reward(Candidate(config), problem.measure(config)) for config in configs[known:]]
                    )
                    began = time.perf_counter()
                    made.generate_tasks(q)
                    seconds.append(time.perf_counter() - began)
                median = round(statistics.median(seconds), 4)
                yield {
                    "objectives": len(objectives),
                    "n": n,
                    "q": q,
                    "median_s": median,
                    "max_s": round(max(seconds), 4),
                }


def _after(problem: Problem, objectives: list[Objective], configs: list[dict[str, Any]]) -> dict[str, Any]:
    made = strategy("auto")
    made.bind_space(problem.space, objectives, seed=0)
    made.handle_rewards([Reward(Candidate(config), problem.measure(config)) for config in configs])
    made.generate_tasks(1)
    state: dict[str, Any] = json.loads(json.dumps(made.dump()))
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--peers", action="store_true", help="Optuna too")
    parser.add_argument("--only", choices=("quality", "latency"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    facts = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "botorch": version("botorch"),
        "optuna": version("optuna") if chosen.peers else None,
    }
    print("  ".join(f"{name}={value}" for name, value in facts.items()), flush=True)
    if chosen.only != "quality":
        strategy("auto").warm_up()
        for row in latencies(Problem(0), repeats=chosen.repeats):
            print(row, flush=True)
    if chosen.only == "latency":
        return
    rows = []
    for number in range(chosen.problems):
        for name in (*chosen.strategies, *(PEERS if chosen.peers else ())):
            for row in quality(Problem(number), name, seeds=chosen.seeds, evaluations=chosen.evaluations):
                rows.append({**row, **facts})
                print(row, flush=True)
    chosen.output.parent.mkdir(exist_ok=True)
    with chosen.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
