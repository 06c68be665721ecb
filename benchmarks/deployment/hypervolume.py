"""What it is worth to have the devices in the loop: the front of a search on accuracy and latency against that of accuracy alone.

Both arms have the same number of candidates, workers and seeds; what the second one found is measured as well. The
hypervolume is taken from the nadir of the two fronts together, and from chance and the slowest candidate ("worst"), each with the
latency as it is and as a logarithm.
Run: ``python -m benchmarks.deployment.hypervolume --data DIR [--rows 1500] [--trials 60] [--seeds 0 1 2] [--output PATH]``;
``--digits`` takes the small example instead, without data from outside.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search.pareto import hypervolume, non_dominated

from .environment import environment
from .jobs import WATCHED, Run, run_job, search_spec

ARMS = {"in the loop": "latency_ms", "accuracy first": WATCHED}


def volumes(runs: dict[str, Run], *, chance: float) -> dict[str, dict[str, float]]:
    """Return the hypervolume of each arm, by reference point and scale of the latency."""
    measured = {arm: [c for c in run.candidates if math.isfinite(c.latency_ms)] for arm, run in runs.items()}
    everything = [c for candidates in measured.values() for c in candidates]
    keep = non_dominated(np.array([(c.accuracy, -c.latency_ms) for c in everything]))
    front = [c for c, on_front in zip(everything, keep, strict=True) if on_front]
    references = {
        "nadir": (min(c.accuracy for c in front), max(c.latency_ms for c in front)),
        "worst": (chance, max(c.latency_ms for c in everything)),
    }
    scales = {"linear": lambda ms, limit: limit - ms, "log": lambda ms, limit: math.log(limit / ms)}
    return {
        f"{name} {scale}": {
            arm: hypervolume([(c.accuracy - lowest, saved(c.latency_ms, slowest)) for c in candidates], [0.0, 0.0])
            for arm, candidates in measured.items()
        }
        for name, (lowest, slowest) in references.items()
        for scale, saved in scales.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of cifar10_subset")
    parser.add_argument("--digits", action="store_true", help="examples/cnn_digits instead")
    parser.add_argument("--rows", type=int, default=1500, help="training images")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--space", type=Path)
    parser.add_argument("--output", type=Path, help="a .csv; a .json of the summary goes beside it")
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.digits:
        raise SystemExit("Give the folder of cifar10_subset with --data DIR, or --digits.")
    rows, summary = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = search_spec(arguments, folder)
        for seed in arguments.seeds:
            runs = {
                arm: run_job(folder / f"{arm}-{seed}", **spec, objectives=("accuracy", objective), seed=seed)
                for arm, objective in ARMS.items()
            }
            found = volumes(runs, chance=0.1)
            summary.append(_summary(seed, runs, found))
            print(json.dumps(summary[-1]), flush=True)
            rows += [
                {"seed": seed, "arm": arm, "task": c.number, "accuracy": c.accuracy, "latency_ms": c.latency_ms}
                for arm, run in runs.items()
                for c in run.candidates
            ]
    if arguments.output is not None:
        _write(arguments.output, rows, summary)


def _summary(seed: int, runs: dict[str, Run], found: dict[str, dict[str, float]]) -> dict[str, Any]:
    loop, first = ARMS
    return {
        "seed": seed,
        "candidates": {arm: len(run.candidates) for arm, run in runs.items()},
        "search_s": {arm: round(run.search_s, 1) for arm, run in runs.items()},
        "best_accuracy": {arm: round(max(c.accuracy for c in run.candidates), 4) for arm, run in runs.items()},
        "hypervolume": {scale: {arm: round(value, 4) for arm, value in by.items()} for scale, by in found.items()},
        "ratio": {scale: round(by[loop] / by[first], 3) for scale, by in found.items()},
    }


def _write(path: Path, rows: list[dict[str, Any]], summary: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    record = {"environment": environment(), "runs": summary}
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
