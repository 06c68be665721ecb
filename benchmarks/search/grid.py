"""The rows of a benchmark in an append-only CSV file: what is finished is never computed again. Not what is computed."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Cell = tuple[str, str, int]
"""Problem, method and seed: what is computed as one."""

_LIBRARIES = ("omniforge", "torch", "botorch", "numpy", "scipy", "optuna", "smac", "ax-platform", "HEBO")


@dataclass(frozen=True)
class Row:
    """One evaluation.

    Args:
        problem: Its name.
        method: Its name.
        seed: Of the method.
        step: From 0.
        value: What was measured, in the units of the first objective.
        best: The best value so far.
        ask_s: The seconds that the method took to choose it.
        report: On the last step, what the problem reports of the best configuration, as JSON.
    """

    problem: str
    method: str
    seed: int
    step: int
    value: float
    best: float
    ask_s: float
    report: str = ""


HEADER = tuple(field.name for field in fields(Row))


def read(path: Path) -> list[Row]:
    """Return the rows of a file; a line that was cut off by a crash is passed over, a missing file has none."""
    if not path.exists():
        return []
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for item in csv.reader(file):
            if len(item) == len(HEADER) and tuple(item) != HEADER:
                problem, method, seed, step, value, best, ask_s, report = item
                rows.append(
                    Row(problem, method, int(seed), int(step), float(value), float(best), float(ask_s), report=report)
                )
    return rows


def finished(rows: Iterable[Row], *, evaluations: int) -> set[Cell]:
    """Return the cells that have all their evaluations, or ended early because the space was exhausted."""
    counts: Counter[Cell] = Counter()
    ended: set[Cell] = set()
    for row in rows:
        cell = (row.problem, row.method, row.seed)
        counts[cell] += 1
        if row.report:
            ended.add(cell)
    return {cell for cell, count in counts.items() if count >= evaluations or cell in ended}


def append(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows of one cell at the end of a file, all or none: one write, and a header where the file is new."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists() or path.stat().st_size == 0:
        writer.writerow(HEADER)
    elif not path.read_bytes().endswith(b"\n"):
        text.write("\n")
    writer.writerows(_short(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, text.getvalue().encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _short(row: Row) -> Iterator[str | int]:
    for item in astuple(row):
        yield f"{item:.7g}" if isinstance(item, float) else item


def environment() -> dict[str, str | int | None]:
    """Return what the figures depend on: the machine's kind and the versions of the libraries."""
    found: dict[str, str | int | None] = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def record(path: Path) -> None:
    """Write the environment beside the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(environment(), indent=1) + "\n", encoding="utf-8")
