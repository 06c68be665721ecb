"""Several objectives on NAS-Bench-201: accuracy against latency, and against latency and energy, on a Raspberry Pi.

Accuracy is CIFAR-100's after 200 epochs (validation, NATS-Bench), latency (ms) and energy (mJ) are one inference by ONNX on a
Raspberry Pi 5 (HW-NAS-Bench-360, whose networks have the CIFAR-100 head). What counts is the share of the true front's
hypervolume that ``--evaluations`` cells dominate, under two reference points that are quantiles over all 15,625 cells, fixed
beforehand: the worst value of each objective (``share``), and the worst 5 % of each left out (``strict``), which leaves the
part of the front that matters and tells methods apart.

``cell`` methods know that the space is a cell and evaluate each of its 4,930 different computations once; ``plain`` methods see
six choices, and so do the peers. The table has a different noise for cells that compute the same, which only ``plain`` methods
can profit from: taking a random one of each computation, all 4,930 together reach a share of 0.997 (two objectives) and 0.995
(three), strict 0.988 and 0.986.

    python -m benchmarks.search.multiobjective --data DIR --methods auto nsga2 random optuna-tpe --seeds 10

A finished (problem, method, seed) is not run again. Optuna has to be installed for its methods.
"""

from __future__ import annotations

import csv
import gzip
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Objective, Reward, SearchSpace, hypervolume, pareto_front, strategy

from .problems import folder
from .problems.nb201 import EDGES, OPERATIONS, cell_space, plain_space, table
from .table import RESULTS, Table, parser

COLUMNS = ("problem", "method", "seed", "evaluations", "share", "strict", "share_half", "strict_half", "front", "ask_s")
PROBLEMS: dict[str, tuple[str, ...]] = {
    "accuracy-latency": ("accuracy", "latency_ms"),
    "accuracy-latency-energy": ("accuracy", "latency_ms", "energy_mj"),
}
METRICS = {
    "accuracy": ("max", "nats_cifar100_valid_200"),
    "latency_ms": ("min", "lat_ms_pi5_onnx"),
    "energy_mj": ("min", "energy_mj_pi5_onnx"),
}
OURS: dict[str, tuple[str, str]] = {
    "auto": ("auto", "cell"),
    "of": ("of", "cell"),
    "nsga2": ("nsga2", "cell"),
    "tpe": ("tpe", "cell"),
    "evolution": ("evolution", "cell"),
    "mf-nas": ("mf-nas", "cell"),
    "random": ("random", "cell"),
    "auto-plain": ("auto", "plain"),
    "nsga2-plain": ("nsga2", "plain"),
    "tpe-plain": ("tpe", "plain"),
    "random-plain": ("random", "plain"),
}
PEERS = ("optuna-tpe", "optuna-nsga2", "optuna-nsga2-24", "optuna-gp")
STRICT = 0.05


@dataclass(frozen=True)
class Problem:
    """A table of values to maximize.

    Args:
        name: One of `PROBLEMS`.
        objectives: What counts.
        Y: The ``15625 x m`` values to maximize, in the order of `nb201.table`.
        references: The reference points by the name of the measure.
    """

    name: str
    objectives: list[Objective]
    Y: np.ndarray[Any, np.dtype[np.float64]]
    references: Mapping[str, list[float]]

    def measure(self, operations: Sequence[str]) -> dict[str, float]:
        """Return the metrics of a cell, given its operations in the order of `EDGES`."""
        row = self.Y[index(operations)]
        return {o.key: float(o.sign * value) for o, value in zip(self.objectives, row, strict=True)}

    def shares(self, rows: Sequence[Sequence[float]]) -> dict[str, float]:
        """Return the share of the true front's hypervolume that ``rows`` dominate, for each reference point."""
        return {
            name: hypervolume(rows, corner) / hypervolume(self.Y, corner) for name, corner in self.references.items()
        }


def index(operations: Sequence[str]) -> int:
    """Return the row of a cell in the tables."""
    out = 0
    for operation in operations:
        out = out * len(OPERATIONS) + OPERATIONS.index(operation)
    return out


def load(name: str, data: Path) -> Problem:
    """Read a problem from the folder that holds ``nasbench201/`` and ``hw_nasbench201/``."""
    accuracy = table(data)
    with gzip.open(folder(data, "hw_nasbench201") / "hw_nasbench201.csv.gz", "rt", newline="") as file:
        devices = {int(row["arch_index"]): row for row in csv.DictReader(file)}
    objectives, columns = [], []
    for metric in PROBLEMS[name]:
        goal, column = METRICS[metric]
        objective = Objective(metric, goal)
        known = (
            accuracy[column]
            if column in accuracy
            else np.array([float(devices[int(i)][column]) for i in accuracy["arch_index"]])
        )
        objectives.append(objective)
        columns.append(objective.sign * known)
    Y = np.column_stack(columns)
    references = {"share": Y.min(axis=0).tolist(), "strict": np.quantile(Y, STRICT, axis=0).tolist()}
    return Problem(name, objectives, Y, references)


Ask = Callable[[], tuple[Any, tuple[str, ...]]]
Tell = Callable[[Any, dict[str, float]], None]


def ours(method: str, problem: Problem, *, seed: int) -> tuple[Ask, Tell]:
    """Return ask and tell of one of our strategies."""
    name, kind = OURS[method]
    space: SearchSpace = cell_space() if kind == "cell" else plain_space()
    made = strategy(name)
    made.bind_space(space, problem.objectives, seed=seed)

    def ask() -> tuple[Any, tuple[str, ...]]:
        (candidate,) = made.generate_tasks(1)
        value = candidate.config["arch"] if kind == "cell" else candidate.config
        return candidate, tuple(value[edge if kind == "cell" else _plain(edge)] for edge in EDGES)

    return ask, lambda candidate, metrics: made.handle_rewards([Reward(candidate, metrics)])


def peer(method: str, problem: Problem, *, seed: int) -> tuple[Ask, Tell]:
    """Return ask and tell of an Optuna sampler with its own defaults, over six categorical parameters."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers: dict[str, Callable[[], Any]] = {
        "optuna-tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True),
        "optuna-nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
        "optuna-nsga2-24": lambda: optuna.samplers.NSGAIISampler(seed=seed, population_size=24),
        "optuna-gp": lambda: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
    }
    directions = ["maximize" if objective.goal == "max" else "minimize" for objective in problem.objectives]
    study = optuna.create_study(directions=directions, sampler=samplers[method]())

    def ask() -> tuple[Any, tuple[str, ...]]:
        trial = study.ask()
        return trial, tuple(trial.suggest_categorical(_plain(edge), OPERATIONS) for edge in EDGES)

    return ask, lambda trial, metrics: study.tell(trial, [metrics[o.key] for o in problem.objectives])


def _plain(edge: str) -> str:
    return f"e{edge[0]}{edge[2]}"


def run(problem: Problem, method: str, *, seed: int, evaluations: int) -> dict[str, Any]:
    """Search once and return a row of the results."""
    ask, tell = (ours if method in OURS else peer)(method, problem, seed=seed)
    rows: list[list[float]] = []
    rewards: list[Reward] = []
    seconds = 0.0
    for _ in range(evaluations):
        began = time.perf_counter()
        handle, operations = ask()
        seconds += time.perf_counter() - began
        metrics = problem.measure(operations)
        tell(handle, metrics)
        rows.append(problem.Y[index(operations)].tolist())
        rewards.append(Reward(handle, metrics))
    whole, half = problem.shares(rows), problem.shares(rows[: evaluations // 2])
    return {
        "problem": problem.name,
        "method": method,
        "seed": seed,
        "evaluations": evaluations,
        **{name: round(value, 5) for name, value in whole.items()},
        **{f"{name}_half": round(value, 5) for name, value in half.items()},
        "front": len(pareto_front(rewards, problem.objectives)),
        "ask_s": round(seconds / evaluations, 5),
    }


def summary(rows: Sequence[Mapping[str, Any]], problem: str) -> Iterator[str]:
    """Yield a line per method, the best first: means with the standard deviation over the seeds."""
    methods = {row["method"] for row in rows if row["problem"] == problem}
    table_of = {m: [row for row in rows if row["problem"] == problem and row["method"] == m] for m in methods}
    yield f"{problem:26} {'seeds':>5} {'share':>15} {'strict':>15} {'at half':>8} {'ask_s':>8}"

    def mean(method: str, column: str) -> float:
        return statistics.fmean(float(row[column]) for row in table_of[method])

    for method in sorted(methods, key=lambda m: -mean(m, "strict")):
        spread = {c: statistics.pstdev(float(row[c]) for row in table_of[method]) for c in ("share", "strict")}
        shown = [f"{mean(method, c):.4f} +-{spread[c]:.4f}" for c in ("share", "strict")]
        yield (
            f"{method:26} {len(table_of[method]):5} {shown[0]:>15} {shown[1]:>15} "
            f"{mean(method, 'strict_half'):8.4f} {mean(method, 'ask_s'):8.4f}"
        )


def main() -> None:
    """Run what is missing and print the summary."""
    known = parser(__doc__, RESULTS / "search_multiobjective.csv", seeds=10, evaluations=150)
    known.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    known.add_argument("--methods", nargs="+", choices=[*OURS, *PEERS], default=["auto", "nsga2", "random"])
    chosen = known.parse_args()
    warnings.filterwarnings("ignore")
    problems = {name: load(name, chosen.data) for name in chosen.problems}
    results = Table(chosen.output, COLUMNS, key=4)
    cells = product(problems, range(chosen.seeds), chosen.methods)
    results.fill(
        ((name, method, seed, chosen.evaluations) for name, seed, method in cells),
        lambda name, method, seed, evaluations: run(problems[name], method, seed=seed, evaluations=evaluations),
        minutes=chosen.minutes,
    )
    for name in chosen.problems:
        print("\n".join(summary(results.read(), name)), flush=True)


if __name__ == "__main__":
    main()
