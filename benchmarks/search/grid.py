"""The rows of a benchmark of quality, one per evaluation, and the environment. Not how they are kept (`table`) or computed."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .table import Table

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
        value: What was measured, in the units of the first objective; NaN when the configuration failed.
        best: The best value so far of those within all bounds; infinitely bad while there is none.
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
    """Return the rows of a file; see `Table.read`."""
    found = []
    for item in Table(path, HEADER).read():
        problem, method, seed, step, value, best, ask_s, report = item.values()
        found.append(Row(problem, method, int(seed), int(step), float(value), float(best), float(ask_s), report=report))
    return found


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
    """Write the rows of one cell at the end of a file; see `Table.append`."""
    Table(path, HEADER).append(*map(asdict, rows))


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
