"""Results as an append-only CSV file, what of them is there already, and the arguments that all benchmarks take. No figures."""

from __future__ import annotations

import argparse
import csv
import io
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results"
Record = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV file with a header.

    Args:
        path: Where it is, or will be.
        columns: Their names.
        key: How many of the first say what a row is about.
    """

    path: Path
    columns: tuple[str, ...]
    key: int = 0

    def read(self) -> list[Record]:
        """Return the rows; a line that was cut off by a crash is passed over, a missing file has none."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            items = [tuple(item) for item in csv.reader(file)]
        rows = [item for item in items if len(item) == len(self.columns) and item != self.columns]
        return [dict(zip(self.columns, item, strict=True)) for item in rows]

    def done(self) -> set[tuple[str, ...]]:
        """Return what there are rows about."""
        return {tuple(row[column] for column in self.columns[: self.key]) for row in self.read()}

    def append(self, *rows: Mapping[str, Any]) -> None:
        """Write rows at the end, all or none: one write, and a header where the file is new. Floats have seven digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self.path.exists() or self.path.stat().st_size == 0:
            writer.writerow(self.columns)
        elif not self.path.read_bytes().endswith(b"\n"):
            text.write("\n")
        writer.writerows([_short(row[column]) for column in self.columns] for row in rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, text.getvalue().encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def fill(
        self,
        cells: Iterable[Sequence[Any]],
        compute: Callable[..., Mapping[str, Any]],
        *,
        minutes: float = float("inf"),
    ) -> None:
        """Compute the rows that are missing, and add each as soon as it is known.

        Args:
            cells: What rows are about, the values of the key's columns.
            compute: From these values to a row.
            minutes: Begin nothing after so many.
        """
        began, done = time.monotonic(), self.done()
        for cell in cells:
            key = tuple(str(_short(value)) for value in cell)
            if key not in done and time.monotonic() - began <= 60.0 * minutes:
                self.append(compute(*cell))
                done.add(key)


def _short(value: Any) -> Any:
    return f"{value:.7g}" if isinstance(value, float) else value


def parser(
    text: str | None, output: Path, *, seeds: int | None = None, evaluations: int | None = None
) -> argparse.ArgumentParser:
    """Return the command line of a benchmark, to which its own arguments are added.

    Args:
        text: The docstring of the module.
        output: Where results go unless told otherwise.
        seeds: How many, unless told otherwise; None: it has no seeds.
        evaluations: Of a search, likewise.
    """
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, help="the folder that holds the data sets, each in a folder of its own")
    if seeds is not None:
        made.add_argument("--seeds", type=int, default=seeds)
        made.add_argument("--minutes", type=float, default=float("inf"), help="begin no further search after so many")
    if evaluations is not None:
        made.add_argument("--evaluations", type=int, default=evaluations)
    made.add_argument("--output", type=Path, default=output)
    return made
