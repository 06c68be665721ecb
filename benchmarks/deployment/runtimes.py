"""Five models on every runtime that runs here: do they agree with the source model, and how fast are they?

Agreement: a runtime's predictions on 256 real rows against the source model itself (torch, scikit-learn, LightGBM), as the
largest difference in a row divided by the largest value of that row, the worst row of all; the target is 1e-4 in fp32.

Speed: all runtimes that take the model in one process, by turns in blocks of 4 ms, one thread, batch 1: the median, and its
ratio to ONNX Runtime's with a 95 % confidence interval. Cold start and peak memory: each runtime in a process of its own.
TVM is tuned for ``--tuning`` seconds a model; without it, its times say nothing about it and the table says so.

Run: ``python -m benchmarks.deployment.runtimes [--tuning SECONDS] [--seconds 2] [--output benchmarks/results/deployment]``
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.deploy import DEVICES, RUNTIMES, MeasureOptions, RuntimeOptions
from omniforge.deploy.isolated import compare_isolated, measure_isolated
from omniforge.errors import MeasurementError, MissingDependencyError

from .environment import describe_environment, write_environment
from .models import SOURCES, Source

TARGET = 1e-4
ROWS = 256
LIMIT_S = 1800.0


@dataclass(frozen=True)
class Row:
    """One model on one runtime; empty figures where it refused."""

    model: str
    runtime: str
    version: str = ""
    relative_error: float | None = None
    labels_agree: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    times: float | None = None
    times_low: float | None = None
    times_high: float | None = None
    tuned: bool | None = None
    throughput_rps: float | None = None
    cold_start_ms: float | None = None
    peak_memory_mb: float | None = None
    model_bytes: float | None = None
    refused: str = ""


def disagreement(source: Source, path: Path, name: str, extra: dict[str, Any]) -> tuple[float, float, str]:
    """Return the worst row's relative error, the share of equal labels, and the runtime's version."""
    rows = source.rows[:ROWS]
    runtime = RUNTIMES.get(name)()
    with runtime.prepare(path, device=DEVICES["local"], options=RuntimeOptions(extra=extra)) as session:
        size = session.input.batch or len(rows)
        parts = [session.run(rows[at : at + size]) for at in range(0, len(rows) - size + 1, size)]
    got = np.concatenate(parts).astype(np.float64)
    want = source.probabilities(rows[: len(got)])
    error = np.abs(got - want).max(axis=1) / np.abs(want).max(axis=1)
    labels = (got.argmax(axis=1) == want.argmax(axis=1)).mean()
    return float(error.max()), float(labels), next(iter(runtime.versions().values()), "")


def examine(source: Source, folder: Path, names: Sequence[str], *, seconds: float, tune: float | None) -> list[Row]:
    """Return a model's rows of the table."""
    path, rows_path = folder / f"{source.name}.onnx", folder / f"{source.name}.npy"
    source.export(folder)
    np.save(rows_path, source.rows[:ROWS])
    extras = {"tvm": {"tuning_s": tune, "cache": str(folder / "tvm")}} if tune else {}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        extra = extras.get(name, {})
        settings = MeasureOptions(budget_s=seconds, runtime=RuntimeOptions(extra=extra))
        print(f"{source.name} on {name} ...", file=sys.stderr, flush=True)
        try:
            error, labels, version = disagreement(source, path, name, extra)
            report = measure_isolated(
                path, rows=rows_path, runtime=name, options=settings, lock_dir=folder / "locks", limit_s=LIMIT_S
            )
        except (MeasurementError, MissingDependencyError) as e:
            found[name] = {"refused": e.message.replace(str(path), path.name)}
            continue
        metrics = ("throughput_rps", "cold_start_ms", "peak_memory_mb", "model_bytes")
        found[name] = {"relative_error": error, "labels_agree": labels, "version": version, "tuned": report.tuned}
        found[name] |= {metric: report.metrics[metric] for metric in metrics}
    able = [name for name in names if not found[name].get("refused")]
    options = MeasureOptions(budget_s=seconds)
    compared = compare_isolated(
        path, rows=rows_path, runtimes=able, options=options, extras=extras, lock_dir=folder / "locks", limit_s=LIMIT_S
    )
    for one in compared:
        times, low, high = one.relative or (None, None, None)
        found[one.runtime] |= {"times": times, "times_low": low, "times_high": high, "refused": one.refused}
        for column, metric in (("p50_ms", "latency_ms"), ("p90_ms", "latency_p90_ms"), ("p99_ms", "latency_p99_ms")):
            found[one.runtime][column] = one.latencies.get(metric)
    return [Row(source.name, name, **found[name]) for name in names]


def tables(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.runtime for row in rows))
    models = list(dict.fromkeys(row.model for row in rows))
    cells = {(row.model, row.runtime): row for row in rows}

    def table(title: str, cell: Any) -> list[str]:
        lines = [f"## {title}", "", f"| model | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
        lines += [f"| {model} | {' | '.join(cell(cells[model, name]) for name in names)} |" for model in models]
        return [*lines, ""]

    def speed(row: Row) -> str:
        mark = " (untuned)" if row.tuned is False else ""
        return "-" if row.times is None else f"{row.times:.2f}{mark}"

    def error(row: Row) -> str:
        if row.relative_error is None:
            return "-"
        return f"{row.relative_error:.1e}{'' if row.relative_error <= TARGET else ' (!)'}"

    def milliseconds(row: Row) -> str:
        return "-" if row.p50_ms is None else f"{row.p50_ms:.4f}"

    refusals = dict.fromkeys(f"- {row.model} on {row.runtime}: {row.refused}" for row in rows if row.refused)
    parts = [
        *table("Largest relative error against the source model, fp32", error),
        *table("p50 relative to ONNX Runtime, by turns, batch 1, one thread", speed),
        *table("p50 in milliseconds, by turns", milliseconds),
        *table("Cold start, ms", lambda row: "-" if row.cold_start_ms is None else f"{row.cold_start_ms:,.0f}"),
        *table("Peak memory, MiB", lambda row: "-" if row.peak_memory_mb is None else f"{row.peak_memory_mb:.0f}"),
        *(["## Refused", "", *refusals, ""] if refusals else []),
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--runtimes", nargs="+", choices=list(RUNTIMES), default=list(RUNTIMES))
    parser.add_argument("--seconds", type=float, default=2.0, help="For each runtime and model.")
    parser.add_argument("--tuning", type=float, help="Seconds that TVM may tune each model.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "deployment")
    arguments = parser.parse_args()
    names = sorted(arguments.runtimes, key=lambda name: (name != "onnxruntime", name))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            rows += examine(SOURCES[name](), Path(folder), names, seconds=arguments.seconds, tune=arguments.tuning)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (arguments.output / "runtimes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    write_environment(arguments.output / "runtimes.environment.json")
    command = " ".join(["python", "-m", "benchmarks.deployment.runtimes", *sys.argv[1:]])
    text = f"# Runtimes\n\n`{command}`\n\n{describe_environment()}\n\n{tables(rows)}"
    (arguments.output / "runtimes.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
