"""Workers in simulated time: how soon an accuracy is reached, by policy, number of workers and share of killed candidates.

    python -m benchmarks.search.batches --data DIR --strategy of --workers 16,64 --killed 0,0.1,0.25,0.5 --seeds 5

Durations are the table's training seconds (NAS-Bench-201), times a log-normal factor for nodes that are not alike; one candidate
in twenty takes eight times as long. A search has a fixed number of candidates. The seconds that a strategy thinks are not part
of the simulated time (`speed.py` measures them).
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import warnings
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import json  # noqa: E402 - the threads are set before

from omniforge.components.job_estimator.waiting import POLICIES  # noqa: E402
from omniforge.search import strategy  # noqa: E402

from .grid import record  # noqa: E402
from .problems.nb201 import NasBench201  # noqa: E402
from .simulation import Cluster, Finished, Simulation  # noqa: E402

RESULTS = Path(__file__).parent.parent / "results" / "search" / "batches.csv"
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


def rows(chosen: argparse.Namespace, problem: NasBench201, done: set[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """Yield one row per search that is not done."""
    target = problem.optimum - chosen.within
    grid = product(range(chosen.seeds), chosen.killed.split(","), chosen.workers.split(","), chosen.policies.split(","))
    for seed, killed, workers, policy in grid:
        key = (
            problem.signal,
            chosen.strategy,
            policy,
            workers,
            f"{float(killed):g}",
            str(seed),
            str(chosen.evaluations),
        )
        if key in done:
            continue
        cluster = Cluster(int(workers), killed=float(killed), stragglers=chosen.stragglers)
        log = one(problem, chosen.strategy, policy=policy, cluster=cluster, seed=seed, evaluations=chosen.evaluations)
        values = [end.value for end in log if end.value is not None]
        found = (f"{time_to(log, target):.1f}", f"{max(values):.4f}", f"{log[-1].at_s:.1f}")
        yield dict(zip(FIELDS, (*key, *found), strict=True))


def table(found: Sequence[dict[str, str]]) -> str:
    """Return medians over seeds as Markdown: seconds to the target, the share that reaches it, the mean final accuracy."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--strategy", default="auto", help="a name, or JSON")
    parser.add_argument("--signal", default="cifar10_valid_12")
    parser.add_argument("--policies", default="sync,adaptive,async")
    parser.add_argument("--workers", default="16,64")
    parser.add_argument("--killed", default="0,0.1,0.25,0.5")
    parser.add_argument("--stragglers", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=256)
    parser.add_argument("--within", type=float, default=0.2, help="how far below the optimum the target is, in points")
    parser.add_argument("--output", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    problem = NasBench201(chosen.data or Path(), chosen.signal)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    known = _read(chosen.output)
    done = {tuple(row[name] for name in FIELDS[:7]) for row in known}
    with chosen.output.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if not known and not chosen.output.stat().st_size:
            writer.writeheader()
        for row in rows(chosen, problem, done):
            writer.writerow(row)
            file.flush()
            print("  ".join(row.values()), flush=True)
    record(chosen.output.with_suffix(".environment.json"))
    text = table(_read(chosen.output))
    chosen.output.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row.get("end_s")]


if __name__ == "__main__":
    main()
