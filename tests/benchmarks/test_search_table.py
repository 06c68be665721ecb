"""The table that all search benchmarks keep their results in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniforge.benchmarks.search.table import Table, parser

COLUMNS = ("problem", "seed", "value")


def test_rows_come_back_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    table = Table(tmp_path / "new" / "some.csv", COLUMNS, key=2)
    assert table.read() == []
    table.append({"problem": "a", "seed": 0, "value": 1 / 3}, {"problem": "a", "seed": 1, "value": float("inf")})
    with table.path.open("a") as file:
        file.write("b,0")
    table.append({"problem": "c", "seed": 0, "value": 2.0})
    assert [row["value"] for row in table.read()] == ["0.3333333", "inf", "2"]
    assert table.done() == {("a", "0"), ("a", "1"), ("c", "0")}


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    table, asked = Table(tmp_path / "some.csv", COLUMNS, key=2), []

    def compute(problem: str, seed: int) -> dict[str, Any]:
        asked.append((problem, seed))
        return {"problem": problem, "seed": seed, "value": float(seed)}

    table.fill([("a", 0), ("a", 1), ("a", 0)], compute)
    table.fill([("a", 1), ("b", 0)], compute)
    table.fill([("c", 0)], compute, minutes=-1.0)
    assert asked == [("a", 0), ("a", 1), ("b", 0)]
    assert len(table.read()) == 3


def test_benchmarks_take_the_same_arguments(tmp_path: Path) -> None:
    chosen = parser("What it measures.", tmp_path, seeds=3, evaluations=60).parse_args(["--seeds", "5"])
    assert (chosen.seeds, chosen.evaluations, chosen.output, chosen.data) == (5, 60, tmp_path, None)
    with pytest.raises(SystemExit):
        parser(None, tmp_path).parse_args(["--seeds", "5"])
