from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from omniforge.cli.bench_table import check_plot, notes, runtimes_table, scenario_table, write_plot
from omniforge.errors import SpecError

BLANK: dict[str, Any] = {
    "metrics": {},
    "intervals": {},
    "relative": None,
    "tuned": None,
    "noisy": False,
    "refused": "",
    "hint": None,
    "scenario": None,
}


def entry(name: str, **values: Any) -> dict[str, Any]:
    return {**BLANK, "runtime": name, **values}


def measured(name: str, p50: float, **values: Any) -> dict[str, Any]:
    metrics = {"latency_ms": p50, "latency_p90_ms": 2 * p50, "latency_p99_ms": 3 * p50, "throughput_rps": 12345.0}
    intervals = {"latency_ms": [p50 * 0.98, p50 * 1.01]}
    return entry(name, metrics=metrics | values.pop("metrics", {}), intervals=intervals, **values)


def text_of(table: Any, width: int = 80) -> str:
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    metrics = {"cold_start_ms": 10999.0, "peak_memory_mb": 181.2}
    entries = [
        measured("onnxruntime", 0.01234, relative=[1.0, 1.0, 1.0], metrics=metrics),
        measured("torch-compile", 1.5, relative=[121.5, 120.0, 122.0], metrics=metrics),
        entry("tvm", refused="no"),
    ]
    shown = text_of(runtimes_table(entries))
    assert "…" not in shown
    lines = shown.splitlines()
    assert lines[1].split() == ["onnxruntime", "0.0123", "2.0%", "0.0247", "0.037", "12,345", "10,999", "181", "1.00"]
    assert lines[2].split()[-1] == "121.50"
    assert lines[3].split() == ["tvm", "-"]
    assert "mJ" not in shown


def test_energy_has_a_column_where_it_is_metered() -> None:
    shown = text_of(runtimes_table([measured("a", 1.0, metrics={"energy_mj": 2.5}), measured("b", 1.0)]))
    assert shown.splitlines()[0].split()[-1] == "mJ"
    assert shown.splitlines()[1].split()[-1] == "2.5"


def test_an_interval_that_is_open_has_no_reach() -> None:
    one = measured("a", 1.0)
    one["intervals"] = {"latency_ms": [0.9, None]}
    assert "%" not in text_of(runtimes_table([one]))


def test_scenarios_say_whether_they_are_valid() -> None:
    found = {
        "valid": False,
        "qps": 987.6,
        "percentiles_ms": {"50": 0.5, "90": 0.9, "99": 9.0},
        "target_qps": 1000.0,
        "latency_bound_ms": 5.0,
        "reasons": ["Early stopping satisfied"],
    }
    entries = [entry("onnxruntime", scenario=found), entry("tvm", refused="Not installed.", hint="pip install it")]
    shown = text_of(scenario_table(entries)).splitlines()
    assert shown[1].split() == ["onnxruntime", "invalid", "988", "0.5", "0.9", "9", "1,000", "5"]
    assert notes(entries) == [
        "onnxruntime: LoadGen calls the result invalid: give more --seconds, or ask less of a server. "
        "LoadGen: Early stopping satisfied: no",
        "tvm: Not installed. pip install it",
    ]


def test_notes_say_what_a_figure_is_worth() -> None:
    untuned, restless = notes([measured("tvm", 1.0, tuned=False), measured("torch", 1.0, noisy=True)])
    assert "not tuned" in untuned
    assert "--tuning" in untuned
    assert "restless" in restless
    assert notes([measured("onnxruntime", 1.0)]) == []


def test_a_plot_needs_nothing_else(tmp_path: Path) -> None:
    entries = [measured("onnxruntime", 0.01), entry("tvm", refused="no"), measured("torch", 0.04)]
    write_plot(entries, tmp_path / "plot.html", title="mlp on local")
    html = (tmp_path / "plot.html").read_text()
    assert "mlp on local" in html
    assert "onnxruntime" in html
    assert '<script src="http' not in html


@pytest.mark.parametrize("name", ["plot.pdf", "plot", "none/plot.html"])
def test_a_plot_that_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="--plot"):
        check_plot(tmp_path / name)
