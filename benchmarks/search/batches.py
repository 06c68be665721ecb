"""Workers in simulated time: how soon an accuracy is reached, by policy, number of workers and share of killed candidates.

    python -m benchmarks.search.batches --data DIR --strategy of --workers 16,64 --killed 0,0.1,0.25,0.5 --seeds 5

Durations are the table's training seconds (NAS-Bench-201), times a log-normal factor for nodes that are not alike; one candidate
in twenty takes eight times as long. A search has a fixed number of candidates. The seconds that a strategy thinks are not part
of the simulated time (`speed.py` measures them).
"""

from __future__ import annotations

import json
import statistics
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from omniforge.components.job_estimator.waiting import POLICIES
from omniforge.search import strategy

from .grid import record
from .problems.nb201 import NasBench201
from .simulation import Cluster, Finished, Simulation
from .table import RESULTS, Record, Table, parser

FIELDS = ("signal", "strategy", "policy", "workers", "killed", "seed", "evaluations", "target_s", "final", "end_s")


def one(
    problem: NasBench201, choice: str, *, policy: str, cluster: Cluster, seed: int, evaluations: int
) -> list[Finished]:
    """Return the ends of the candidates of one search."""
    made = strategy(json.loads(choice) if choice.startswith("{") else choice)
    made.bind_space(problem.space, problem.objectives, seed=seed)
    simulation = Simulation(
        made, cluster, POLICIES.get(policy)(), measure=problem.measure, seconds=problem.seconds, seed=seed
    )
    return simulation.run(evaluations)


def time_to(log: Sequence[Finished], target: float) -> float:
    """Return the seconds until a value of at least ``target`` is known; inf when it never is."""
    return min((end.at_s for end in log if end.value is not None and end.value >= target), default=float("inf"))


def medians(found: Sequence[Record]) -> str:
    """Return medians over seeds as Markdown: seconds to the target, the share that reaches it, the mean final accuracy."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for row in found:
        groups.setdefault(tuple(row[name] for name in FIELDS[:5]), []).append(row)
    lines = [
        "| signal | strategy | policy | workers | killed | seeds | to the target, s | reached | final |",
        "|---" * 9 + "|",
    ]
    for key, group in sorted(groups.items()):
        times = [float(row["target_s"]) for row in group]
        reached = sum(time != float("inf") for time in times) / len(times)
        final = statistics.fmean(float(row["final"]) for row in group)
        lines.append(
            f"| {' | '.join(key)} | {len(group)} | {statistics.median(times):.0f} | {reached:.2f} | {final:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, and print and write the tables."""
    known = parser(__doc__, RESULTS / "search" / "batches.csv", seeds=5, evaluations=256)
    known.add_argument("--strategy", default="auto", help="a name, or JSON")
    known.add_argument("--signal", default="cifar10_valid_12")
    known.add_argument("--policies", default="sync,adaptive,async")
    known.add_argument("--workers", default="16,64")
    known.add_argument("--killed", default="0,0.1,0.25,0.5")
    known.add_argument("--stragglers", type=float, default=0.05)
    known.add_argument("--within", type=float, default=0.2, help="how far below the optimum the target is, in points")
    chosen = known.parse_args()
    warnings.filterwarnings("ignore")
    problem = NasBench201(chosen.data or Path(), chosen.signal)

    def row(*cell: Any) -> dict[str, Any]:
        _, choice, policy, workers, killed, seed, evaluations = cell
        cluster = Cluster(workers, killed=killed, stragglers=chosen.stragglers)
        log = one(problem, choice, policy=policy, cluster=cluster, seed=seed, evaluations=evaluations)
        best = max(end.value for end in log if end.value is not None)
        found = (*cell, time_to(log, problem.optimum - chosen.within), best, log[-1].at_s)
        print("  ".join(map(str, found)), flush=True)
        return dict(zip(FIELDS, found, strict=True))

    results = Table(chosen.output, FIELDS, key=7)
    workers, killed = map(int, chosen.workers.split(",")), map(float, chosen.killed.split(","))
    grid = product(range(chosen.seeds), list(killed), list(workers), chosen.policies.split(","))
    cells = [
        (problem.signal, chosen.strategy, policy, count, share, seed, chosen.evaluations)
        for seed, share, count, policy in grid
    ]
    results.fill(cells, row, minutes=chosen.minutes)
    record(chosen.output.with_suffix(".environment.json"))
    text = medians(results.read())
    chosen.output.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
