"""``omniforge bench``: runtimes side by side on one model. It needs the small install only."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import MeasurementError, MissingDependencyError, OmniForgeError, SpecError
from .console import err, out, print_json

if TYPE_CHECKING:
    from ..deploy import Device, MeasureOptions
    from ..deploy.report import DeploymentReport
    from .bench_subject import Subject

Found = dict[str, Any]

_ALL = "all"
_LIMIT_S = 120.0


@dataclass(frozen=True)
class Request:
    """What was asked, checked.

    Args:
        runtimes: Names in the order in which they are shown.
        options: How thorough.
        extras: Settings by runtime.
        limit_s: How long one runtime may take.
        locks: The folder of locks and calibrations.
    """

    runtimes: Sequence[str]
    options: MeasureOptions
    extras: Mapping[str, Mapping[str, Any]]
    limit_s: float
    locks: Path


def bench(
    model: Annotated[str, typer.Argument(help="An ONNX file, or family[@alias|/version].", metavar="MODEL")],
    runtime: Annotated[
        list[str] | None, typer.Option("--runtime", "-r", help="A runtime; again for more. Default: all.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Rows to predict.", metavar="FILE")] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="MLPerf's: single-stream, offline or server.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of one prediction.", min=1)] = 1,
    batch: Annotated[int, typer.Option("--batch", help="The most rows at once for the throughput.", min=1)] = 256,
    seconds: Annotated[float, typer.Option("--seconds", help="Time for each runtime.", min=0.01)] = 1.0,
    qps: Annotated[
        float | None, typer.Option("--qps", help="Server: queries a second; default: search the highest.", min=0.001)
    ] = None,
    bound_ms: Annotated[float, typer.Option("--bound-ms", help="Server: what 99 % have to keep.", min=0.001)] = 15.0,
    tuning: Annotated[
        str | None, typer.Option("--tuning", help="How long TVM may tune (90s, 5m); untuned it says little.")
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="Where, as `omniforge device list` prints it.", metavar="NAME")
    ] = "local",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a plot.", metavar="FILE.html|png|svg")] = None,
) -> None:
    """Compare runtimes on one model: latency, throughput, cold start, memory."""
    from ..components.spec import parse_duration
    from ..deploy import MeasureOptions, RuntimeOptions, find_device, read_devices
    from ..settings import load_settings
    from .bench_subject import find_subject
    from .bench_table import check_plot

    if plot is not None:
        check_plot(plot)
    home = load_settings().home_path
    tune = parse_duration(tuning, name="tuning budget")
    where = find_device(device, read_devices(home))
    _check_scenario(scenario, where, plot)
    subject = find_subject(model, data)
    request = Request(
        runtimes=_names(runtime, where),
        options=MeasureOptions(budget_s=seconds, batch=batch, runtime=RuntimeOptions(threads=threads)),
        extras={} if tune is None else {"tvm": {"tuning_s": tune, "cache": str(home / "cache" / "tvm")}},
        limit_s=_LIMIT_S + 20 * seconds + 2 * (tune or 0.0),
        locks=home / "locks",
    )
    with tempfile.TemporaryDirectory(prefix="omniforge-bench-") as folder:
        rows = Path(folder) / "rows.npy"
        _save(rows, subject)
        if scenario is not None:
            asked = {"scenario": scenario, "qps": qps, "bound_ms": bound_ms, "seconds": seconds}
            entries = [_run_scenario(name, subject, rows, request, asked) for name in request.runtimes]
        elif where.url is not None:
            entries = _measure_there(where, subject, request)
        else:
            entries = _measure_here(subject, rows, request)
    _show(entries, subject, where, scenario=scenario, json=json, plot=plot)
    if not any(entry["metrics"] or entry["scenario"] for entry in entries):
        raise typer.Exit(1)


def _check_scenario(scenario: str | None, device: Device, plot: Path | None) -> None:
    from ..deploy.loadgen import SCENARIOS

    if scenario is None:
        return
    if scenario not in SCENARIOS:
        raise SpecError(f"--scenario {scenario!r}: expected one of {', '.join(SCENARIOS)}.")
    if device.url is not None:
        hint = f"Run omniforge bench on {device.name} itself."
        raise SpecError(f"--scenario runs on this machine, not on {device.name!r}.", hint=hint)
    if plot is not None:
        raise SpecError("--plot shows latencies without a scenario.", hint="Leave out --scenario or --plot.")


def _names(asked: list[str] | None, device: Device) -> list[str]:
    """Return the runtimes' names; on a bare TVM server there is only one.

    Raises:
        UnknownNameError: There is no such runtime.
    """
    from ..deploy import RUNTIMES
    from ..errors import UnknownNameError

    for name in asked or ():
        if name != _ALL and name not in RUNTIMES:
            raise UnknownNameError("runtime", name, [*RUNTIMES, _ALL])
    if not asked or _ALL in asked:
        return ["tvm"] if device.is_bare else sorted(RUNTIMES, key=lambda name: (name != "onnxruntime", name))
    return list(dict.fromkeys(asked))


def _save(path: Path, subject: Subject) -> None:
    import numpy as np

    np.save(path, subject.rows)


def _measure_here(subject: Subject, rows: Path, request: Request) -> list[Found]:
    """Measure each runtime in a process of its own, then the latencies of all of them by turns in one process."""
    from ..deploy.isolated import compare_isolated, measure_isolated

    entries = []
    for name in request.runtimes:
        extra = request.extras.get(name, {})
        options = replace(request.options, runtime=replace(request.options.runtime, extra=extra))
        with err().status(f"Measuring {name} ..."):
            try:
                report = measure_isolated(
                    subject.path,
                    rows=rows,
                    runtime=name,
                    options=options,
                    lock_dir=request.locks,
                    limit_s=request.limit_s,
                )
                entries.append(_entry(name, report))
            except (MeasurementError, MissingDependencyError) as e:
                entries.append(_refusal(name, e, subject))
    able = [entry["runtime"] for entry in entries if entry["metrics"]]
    if len(able) < 2:
        return _with_baseline(entries)
    try:
        with err().status(f"Comparing {', '.join(able)} by turns ..."):
            compared = compare_isolated(
                subject.path,
                rows=rows,
                runtimes=able,
                options=request.options,
                extras=request.extras,
                lock_dir=request.locks,
                limit_s=request.limit_s * len(able),
            )
    except MeasurementError as e:  # together they fail, though each works alone
        err().print(f"Not compared by turns, but one after another: {e.message}", style="yellow", markup=False)
        return _with_baseline(entries)
    for one in compared:
        entry = next(entry for entry in entries if entry["runtime"] == one.runtime)
        if one.latencies:
            entry["metrics"] |= one.latencies
            entry["intervals"] = {name: list(ends) for name, ends in one.intervals.items()}
            entry["relative"] = None if one.relative is None else list(one.relative)
            entry["by_turns"] = True
    return entries


def _measure_there(device: Device, subject: Subject, request: Request) -> list[Found]:
    """Let a device measure each runtime; their latencies are relative to its reference, so they compare too."""
    if device.is_bare:
        return _with_baseline([_measure_bare(device, subject, request)])
    from ..sidecar.device.client import DeviceClient

    entries = []
    with DeviceClient(device, client_name="omniforge bench") as client:
        for name in request.runtimes:
            options = replace(
                request.options, runtime=replace(request.options.runtime, extra=request.extras.get(name, {}))
            )
            with err().status(f"{device.name} measures {name} ..."):
                try:
                    entries.append(
                        _entry(name, client.measure(subject.path, subject.rows, runtime=name, options=options))
                    )
                except (MeasurementError, MissingDependencyError) as e:
                    entries.append(_refusal(name, e, subject))
    return _with_baseline(entries)


def _measure_bare(device: Device, subject: Subject, request: Request) -> Found:
    from ..deploy import measure

    settings = replace(request.options.runtime, extra=request.extras.get("tvm", {}))
    options = replace(request.options, runtime=settings)
    try:
        return _entry("tvm", measure(subject.path, rows=subject.rows, device=device, runtime="tvm", options=options))
    except (MeasurementError, MissingDependencyError) as e:
        return _refusal("tvm", e, subject)


def _run_scenario(name: str, subject: Subject, rows: Path, request: Request, asked: Mapping[str, Any]) -> Found:
    from ..deploy.isolated import run_scenario_isolated
    from ..deploy.loadgen import ScenarioOptions

    options = ScenarioOptions(
        duration_s=asked["seconds"],
        batch=request.options.batch,
        target_qps=asked["qps"],
        latency_bound_ms=asked["bound_ms"],
        runtime=replace(request.options.runtime, extra=request.extras.get(name, {})),
    )
    with err().status(f"LoadGen runs {asked['scenario']} on {name} ..."):
        try:
            report = run_scenario_isolated(
                subject.path,
                asked["scenario"],
                rows=rows,
                runtime=name,
                options=options,
                lock_dir=request.locks,
                limit_s=request.limit_s,
            )
        except (MeasurementError, MissingDependencyError) as e:
            return _refusal(name, e, subject)
    return _blank(name) | {"scenario": report.to_dict()}


def _blank(name: str) -> Found:
    return {
        "runtime": name,
        "metrics": {},
        "intervals": {},
        "relative": None,
        "by_turns": False,
        "tuned": None,
        "noisy": False,
        "refused": "",
        "hint": None,
        "report": None,
        "scenario": None,
    }


def _entry(name: str, report: DeploymentReport) -> Found:
    return _blank(name) | {
        "metrics": dict(report.metrics),
        "intervals": {metric: list(ends) for metric, ends in report.intervals.items()},
        "tuned": report.tuned,
        "noisy": report.spread.noisy,
        "report": report.to_dict(),
    }


def _refusal(name: str, error: OmniForgeError, subject: Subject) -> Found:
    from ..deploy.rows import PREDICTS_NAN

    hint = error.hint
    if subject.random and error.message.startswith(PREDICTS_NAN):
        hint = "The rows are random numbers, which the model may not be made for: give real ones with --data."
    return _blank(name) | {"refused": error.message, "hint": hint}


def _baseline(entries: Sequence[Found]) -> str:
    names = [entry["runtime"] for entry in entries if entry["metrics"]]
    return "onnxruntime" if "onnxruntime" in names or not names else names[0]


def _with_baseline(entries: list[Found]) -> list[Found]:
    """Fill in what the latencies are as multiples of the baseline's, from measurements one after another."""
    base = next((entry for entry in entries if entry["runtime"] == _baseline(entries) and entry["metrics"]), None)
    for entry in entries:
        if base is not None and entry["metrics"]:
            value = entry["metrics"]["latency_ms"] / base["metrics"]["latency_ms"]
            entry["relative"] = [value, None, None]
    return entries


def _show(
    entries: list[Found], subject: Subject, device: Device, *, scenario: str | None, json: bool, plot: Path | None
) -> None:
    from .bench_table import notes, runtimes_table, scenario_table, write_plot

    baseline = _baseline(entries)
    if plot is not None:
        write_plot(entries, plot, title=f"{subject.name} on {device.name}")
    if json:
        rows = {"source": subject.source, "count": len(subject.rows), "shape": list(subject.rows.shape[1:])}
        found = {"model": subject.name, "device": device.name, "rows": rows, "baseline": baseline, "runtimes": entries}
        print_json(found)
        return
    console = out()
    console.print(f"{subject.name} on {device.name}, rows: {subject.source}", markup=False)
    console.print(scenario_table(entries) if scenario else runtimes_table(entries))
    for line in notes(entries):
        console.print(line, style="yellow", markup=False)
    if not scenario:
        console.print(f"± 95 % confidence; times: latency as a multiple of {baseline}'s", style="dim", markup=False)
    measured = next((entry["report"] for entry in entries if entry["report"]), None)
    if measured is not None and measured["energy_mj"] is None:
        console.print(f"Energy: {measured['energy_source']}", style="dim", markup=False)
    if plot is not None:
        console.print(f"Plot: {plot}", markup=False)
