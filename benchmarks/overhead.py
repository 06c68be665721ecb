"""What Omniforge adds to a job: a NoCode run of 50 tasks of 0.2 s each on 2 workers.

Reported: the search stage (first reservation to last report) against the ideal, and everything else of the run.
Run: ``python benchmarks/overhead.py [--repeats 3] [--json]``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).parent / "sleeper"
TRIALS = 50
WORKERS = 2
TASK_S = 0.2
IDEAL_S = TRIALS * TASK_S / WORKERS


def one_run(home: Path, *, strategy: str) -> dict[str, Any]:
    from sklearn.datasets import load_iris

    from omniforge.client import Client
    from omniforge.settings import Settings

    data = home / "iris.csv"
    if not data.exists():
        home.mkdir(parents=True, exist_ok=True)
        load_iris(as_frame=True).frame.to_csv(data, index=False)
    client = Client(Settings(home=home / "omniforge"))
    begun = time.monotonic()
    document = client.run(
        {
            "data": str(data),
            "target": "target",
            "estimator": str(BUNDLE),
            "objectives": ("accuracy",),
            "trials": TRIALS,
            "workers": WORKERS,
            "strategy": strategy,
            "name": "overhead",
        }
    )
    total_s = time.monotonic() - begun
    with client.store() as store:
        tasks = store.broker.tasks(document["id"], phase="search")
    ended = max(task.finished_at for task in tasks if task.finished_at)
    search_s = (ended - min(task.reserved_at for task in tasks if task.reserved_at)).total_seconds()
    return {
        "strategy": strategy,
        "tasks": sum(task.state == "succeeded" for task in tasks),
        "search_s": round(search_s, 2),
        "search_over_ideal": round(search_s / IDEAL_S, 3),
        "other_stages_s": round(total_s - search_s, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = [one_run(Path(folder) / f"{i}", strategy=arguments.strategy) for i in range(arguments.repeats)]
    result = {
        "environment": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        },
        "ideal_s": IDEAL_S,
        "runs": runs,
        "median_search_over_ideal": statistics.median(run["search_over_ideal"] for run in runs),
        "median_other_stages_s": statistics.median(run["other_stages_s"] for run in runs),
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for key, value in result["environment"].items():
        print(f"{key}: {value}")
    print(f"{'strategy':<10} {'tasks':>5} {'search s':>9} {'x ideal':>8} {'other s':>8}")
    for run in runs:
        print("{strategy:<10} {tasks:>5} {search_s:>9} {search_over_ideal:>8} {other_stages_s:>8}".format(**run))
    print(
        f"median: {result['median_search_over_ideal']} x the ideal {IDEAL_S} s; other stages {result['median_other_stages_s']} s"
    )


if __name__ == "__main__":
    main()
