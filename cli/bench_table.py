"""How ``omniforge bench`` shows what it found: a table, and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingDependencyError, SpecError

if TYPE_CHECKING:
    from rich.table import Table

Entry = Mapping[str, Any]
"""What was found for one runtime, as ``--json`` prints it."""

_LATENCIES = ("latency_ms", "latency_p90_ms", "latency_p99_ms")
_FORMATS = (".html", ".png", ".svg")


def runtimes_table(entries: Sequence[Entry]) -> Table:
    """Return runtimes side by side; what they say besides is in :func:`notes`.

    Args:
        entries: One for each runtime.
    """
    metered = any(entry["metrics"].get("energy_mj") is not None for entry in entries)
    table = _table("runtime", "p50 ms", "±", "p90 ms", "p99 ms", "rows/s", "cold ms", "MiB", "times")
    if metered:
        table.add_column("mJ", justify="right", no_wrap=True)
    for entry in entries:
        metrics, relative = entry["metrics"], entry["relative"]
        if not metrics:
            table.add_row(_escaped(entry["runtime"]), "-", style="dim")
            continue
        cells = [
            _number(metrics, "latency_ms"),
            _reach(metrics["latency_ms"], entry["intervals"].get("latency_ms")),
            *(_number(metrics, name) for name in ("latency_p90_ms", "latency_p99_ms")),
            f"{metrics['throughput_rps']:,.0f}" if "throughput_rps" in metrics else "",
            *(_number(metrics, name) for name in ("cold_start_ms", "peak_memory_mb")),
            "" if relative is None else f"{relative[0]:.2f}",
        ]
        if metered:
            cells.append(_number(metrics, "energy_mj"))
        table.add_row(_escaped(entry["runtime"]), *cells, style="dim" if entry["tuned"] is False else "")
    return table


def scenario_table(entries: Sequence[Entry]) -> Table:
    """Return what LoadGen said about each runtime.

    Args:
        entries: One for each runtime.
    """
    table = _table("runtime", "result", "samples/s", "p50 ms", "p90 ms", "p99 ms", "target/s", "bound ms")
    for entry in entries:
        found = entry["scenario"]
        if found is None:
            table.add_row(_escaped(entry["runtime"]), "-", style="dim")
            continue
        table.add_row(
            _escaped(entry["runtime"]),
            "[green]valid[/]" if found["valid"] else "[red]invalid[/]",
            f"{found['qps']:,.0f}",
            *(_number(found["percentiles_ms"], name) for name in ("50", "90", "99")),
            _number(found, "target_qps"),
            _number(found, "latency_bound_ms"),
        )
    return table


def notes(entries: Sequence[Entry]) -> list[str]:
    """Return what there is to say about runtimes besides their figures: why one refused, how to get it.

    Args:
        entries: One for each runtime.
    """
    said = []
    for entry in entries:
        parts = [entry["refused"], entry["hint"] or ""]
        if entry["tuned"] is False:
            parts.append("It was not tuned: these times say nothing about it; try --tuning 5m")
        if entry["noisy"]:
            parts.append("The machine was restless; measure again")
        if entry["scenario"] is not None:
            if not entry["scenario"]["valid"]:
                parts.append("LoadGen calls the result invalid: give more --seconds, or ask less of a server")
            parts += [f"LoadGen: {reason}: no" for reason in entry["scenario"]["reasons"]]
        text = ". ".join(" ".join(part.split()).rstrip(".") for part in parts if part)
        if text:
            said.append(f"{entry['runtime']}: {text}")
    return said


def _table(*names: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="left" if name in ("runtime", "result") else "right", no_wrap=True)
    return table


def _number(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _reach(value: float, ends: Sequence[float | None] | None) -> str:
    """Return how far the interval's farther end is, in percent."""
    if ends is None or None in ends:
        return ""
    far = max(abs(end - value) for end in ends if end is not None)
    return f"{far / max(value, 1e-12):.1%}"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def check_plot(path: Path) -> None:
    """Check that a plot can be written, before anything is measured.

    Raises:
        SpecError: The file's kind is unknown, or its folder is missing.
    """
    if path.suffix not in _FORMATS:
        raise SpecError(f"--plot {str(path)!r}: expected a file that ends in {', '.join(_FORMATS)}.")
    if not path.absolute().parent.is_dir():
        raise SpecError(f"--plot {str(path)!r}: there is no folder {str(path.absolute().parent)!r}.")


def write_plot(entries: Sequence[Entry], path: Path, *, title: str) -> None:
    """Write the latencies as bars: p50 with its interval, p90 and p99 as marks.

    Args:
        entries: One for each runtime; those without figures are left out.
        path: An ``.html`` file that needs nothing else, or a ``.png`` or ``.svg`` file.
        title: What stands above.

    Raises:
        MissingDependencyError: plotly is not installed, or what makes its pictures.
        SpecError: The file cannot be written.
    """
    try:
        import plotly.graph_objects as go
    except ImportError as e:
        raise MissingDependencyError("A plot needs plotly.", hint="pip install plotly") from e
    shown = [entry for entry in entries if entry["metrics"]]
    names = [entry["runtime"] for entry in shown]
    p50, p90, p99 = ([entry["metrics"].get(name) for entry in shown] for name in _LATENCIES)
    ends = [entry["intervals"].get("latency_ms") or (None, None) for entry in shown]
    above = [0.0 if high is None else high - value for value, (_, high) in zip(p50, ends, strict=True)]
    below = [0.0 if low is None else value - low for value, (low, _) in zip(p50, ends, strict=True)]
    figure = go.Figure(
        [
            go.Bar(x=names, y=p50, name="p50", error_y={"array": above, "arrayminus": below, "symmetric": False}),
            go.Scatter(x=names, y=p90, name="p90", mode="markers", marker={"symbol": "line-ew-open", "size": 24}),
            go.Scatter(x=names, y=p99, name="p99", mode="markers", marker={"symbol": "x-thin-open", "size": 12}),
        ]
    )
    figure.update_layout(
        title=title,
        yaxis={"title": "one prediction, ms", "type": "log"},
        xaxis_title="runtime",
        template="plotly_white",
    )
    try:
        if path.suffix == ".html":
            figure.write_html(path, include_plotlyjs=True)
        else:
            figure.write_image(path)
    except (ValueError, RuntimeError) as e:
        hint = "pip install kaleido; or write an .html file, which needs nothing."
        raise MissingDependencyError(f"A {path.suffix} file cannot be made here: {str(e).strip()}", hint=hint) from e
    except OSError as e:
        raise SpecError(f"--plot {str(path)!r} cannot be written: {e.strerror or e}.") from e
