"""Jobs of these benchmarks: a search on images with two workers, and what came of each of its candidates."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# A metric of weight 0 and a bound that everything keeps is measured and counts for nothing.
WATCHED = "latency_ms:min<=1000000*0"
EXAMPLE = Path(__file__).parents[2] / "examples" / "cnn_digits"


@dataclass(frozen=True)
class Candidate:
    """One candidate of a job that was scored and measured."""

    number: int
    accuracy: float
    latency_ms: float
    duration_s: float


@dataclass(frozen=True)
class Run:
    """One job.

    Attributes:
        search_s: Seconds from the first reservation to the last report.
    """

    candidates: list[Candidate]
    failed: int
    search_s: float
    total_s: float


def images(data: Path, *, rows: int, to: Path) -> Path:
    """Write the first images of the data set, which is shuffled, as one file; return it.

    Args:
        data: The folder of ``cifar10_subset``.
        rows: How many for training; a third as many again are for validation and testing.
        to: The folder to write to.
    """
    source = data / "cifar10_subset.npz"
    if not source.is_file():
        raise SystemExit(f"There is no {source}: give the folder of cifar10_subset with --data DIR.")
    with np.load(source) as arrays:
        x, y = arrays["x_train"][: rows * 4 // 3], arrays["y_train"][: rows * 4 // 3]
    to.mkdir(parents=True, exist_ok=True)
    path = to / f"cifar-{rows}.npz"
    np.savez_compressed(path, x=x, y=y)
    return path


def run_job(home: Path, **spec: Any) -> Run:
    """Run a job in a home of its own."""
    from omniforge.client import Client
    from omniforge.settings import Settings

    client = Client(Settings(home=home))
    begun = time.monotonic()
    document = client.run({"workers": 2, **spec})
    total_s = time.monotonic() - begun
    with client.store() as store:
        tasks = store.broker.tasks(document["id"], phase="search")
    reserved = [task.reserved_at for task in tasks if task.reserved_at is not None]
    ended = [task.finished_at for task in tasks if task.finished_at is not None]
    search_s = (max(ended) - min(reserved)).total_seconds()
    candidates = [
        Candidate(t.number, t.rewards["accuracy"], t.rewards.get("latency_ms", float("nan")), t.duration_s or 0.0)
        for t in tasks
        if t.state == "succeeded" and "accuracy" in t.rewards
    ]
    return Run(candidates, len(tasks) - len(candidates), search_s, total_s)


def search_spec(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return what both arms of a benchmark have in common; the data is written to ``folder``."""
    spec: dict[str, Any] = {
        "kind": "hpo",
        "trials": arguments.trials,
        "strategy": arguments.strategy,
        "stopping": "none",
        "wait": "async",  # nothing is given up: every arm has all its candidates
    }
    if arguments.space is not None:
        from omniforge.search import SearchSpace

        spec["space"] = SearchSpace.from_yaml(arguments.space).to_dict()
    if arguments.digits:
        return spec | {"estimator": str(EXAMPLE)}
    return spec | {
        "estimator": "image",
        "data": str(images(arguments.data, rows=arguments.rows, to=folder)),
        "target": "y",
    }
