"""How long a workload takes from ``launch`` to the first line of its entry, and to its exit: warm forks against fresh interpreters.

Protocol: the entry imports what a task estimator imports (numpy, scikit-learn, torch) and writes down the monotonic
clock, which all processes share. ``fork`` has those modules preloaded; ``process`` starts a fresh interpreter that
has to import them; ``process, no imports`` is the cost of the interpreter alone. The launchers take turns, so that a
busy machine is busy for all of them.

Run: ``python benchmarks/launch.py [--launches N] [--output FILE.csv]``
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from omniforge.launch import ForkLauncher, Launcher, Limits, ProcessLauncher, Workload

PRELOAD = ("numpy", "sklearn.ensemble", "torch")
TARGET_MS = 50.0
COLUMNS = ("method", "measure", "launches", "median_ms", "p90_ms", "max_ms")


def launch_once(launcher: Launcher, entry: str, folder: Path) -> tuple[float, float]:
    """Return milliseconds from launch to entry and from launch to exit."""
    out = folder / "entered"
    limits = Limits(memory_bytes=4 * 2**30, time_s=300.0)
    began_s = time.monotonic()
    workload = Workload("bench", f"launch_entries:{entry}", {"out": str(out)}, limits=limits, log_path=folder / "log")
    handle = launcher.launch(workload)
    ending = handle.wait()
    ended_s = time.monotonic()
    if ending is None or not ending.ok:
        raise SystemExit(f"A launch failed: {ending}\n{handle.logs()}")
    return 1e3 * (float(out.read_text()) - began_s), 1e3 * (ended_s - began_s)


def row(method: str, measure: str, values: list[float]) -> dict[str, Any]:
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    return dict(
        zip(COLUMNS, (method, measure, len(values), statistics.median(values), cuts[-1], max(values)), strict=True)
    )


def environment() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "scikit-learn", "torch")}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": str(len(os.sched_getaffinity(0))),
        "load_1min": f"{os.getloadavg()[0]:.2f}",
        **versions,
    }


def measure(launches: int, folder: Path) -> list[dict[str, Any]]:
    """Return one row per method and measure."""
    with ForkLauncher(PRELOAD) as fork, ProcessLauncher() as process:
        fork.ready()
        process.ready()
        methods = {
            "fork": (fork, "note_entry_with_imports", launches),
            "process": (process, "note_entry_with_imports", max(2, launches // 10)),
            "process, no imports": (process, "note_entry", launches),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
        for turn in range(launches):
            for name, (launcher, entry, count) in methods.items():
                if turn < count:
                    times[name].append(launch_once(launcher, entry, folder))
    rows = []
    for name, pairs in times.items():
        rows.append(row(name, "launch to entry", [entered for entered, _ in pairs]))
        rows.append(row(name, "launch to exit", [ended for _, ended in pairs]))
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print("  ".join(f"{name}={value}" for name, value in environment().items()))
    print(f"preloaded: {', '.join(PRELOAD)}\n")
    print(f"{'method':<22}{'measure':<18}{'launches':>9}{'median ms':>11}{'p90 ms':>9}{'max ms':>9}")
    for r in rows:
        numbers = f"{r['launches']:>9}{r['median_ms']:>11.1f}{r['p90_ms']:>9.1f}{r['max_ms']:>9.1f}"
        print(f"{r['method']:<22}{r['measure']:<18}{numbers}")
    median = rows[0]["median_ms"]
    verdict = "reached" if median <= TARGET_MS else "MISSED"
    print(f"\nA warm fork enters after {median:.1f} ms (median); the target of {TARGET_MS:g} ms is {verdict}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=50)
    parser.add_argument("--output", type=Path, help="also write the rows, with the environment, as CSV")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments.launches, Path(folder))
    show(rows)
    if arguments.output is not None:
        around = environment()
        with arguments.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*COLUMNS, *around])
            writer.writeheader()
            writer.writerows({**r, **around} for r in rows)


if __name__ == "__main__":
    main()
