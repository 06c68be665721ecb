"""``omniforge export``: a registered model or an ONNX file as the file that is shipped, with a report beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SpecError
from .console import err, out, print_json

if TYPE_CHECKING:
    from ..deploy.export.deployable import ExportReport
    from ..deploy.export.sources import ExportSource

_SHOWN = (  # heading, metric, format
    ("p50 ms", "latency_ms", "{:.3f}"),
    ("p99 ms", "latency_p99_ms", "{:.3f}"),
    ("rows/s", "throughput_rps", "{:,.0f}"),
    ("start ms", "cold_start_ms", "{:.1f}"),
)


def export(
    model: Annotated[
        str, typer.Argument(help="family, family@alias, family/version, or an ONNX file.", metavar="MODEL")
    ],
    to: Annotated[str, typer.Option("--to", help="onnx, openvino, tvm or tensorrt.")] = "onnx",
    scheme: Annotated[
        str | None, typer.Option("--quantize", help="int8, int8-dynamic or fp16; what it costs is measured.")
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            "--target", help="With --to tvm: host or aarch64; with --to tensorrt: host or a compute capability (8.9)."
        ),
    ] = "host",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Rows to judge by; default: those that the model was made with.", metavar="FILE"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; default: named like the model.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Fix the batch to this size.", min=1)] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest loss of accuracy (or R2) by quantizing.", min=0)
    ] = 0.02,
    simplify: Annotated[bool, typer.Option("--simplify/--no-simplify", help="Simplify the graph.")] = True,
    tuning: Annotated[
        str | None, typer.Option("--tuning", help="How long TVM tunes its kernels (90s, 5m); with --to tvm.")
    ] = None,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Time it beside the float32 model.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Write a deployable file and a report of its size, agreement, accuracy and speed."""
    from ..deploy.export.deployable import make_deployable
    from ..deploy.export.formats import FORMATS
    from ..deploy.export.quantization import SCHEMES
    from ..settings import load_settings

    if to not in FORMATS:
        raise SpecError(f"--to {to}: expected {', '.join(FORMATS)}.")
    if scheme is not None and scheme not in SCHEMES:
        raise SpecError(f"--quantize {scheme}: expected {', '.join(SCHEMES)}.")
    home = load_settings().home_path
    settings = _tuning(tuning, to=to, target=target, cache=home / "cache" / "tvm")
    source = find_source(model, data)
    path = output or _default_path(source, scheme=scheme, target=target, suffix=FORMATS[to].suffix)
    if path.resolve() == source.path.resolve():
        raise SpecError(f"--output {path}: that is the model itself.", hint="Give another file.")
    report = make_deployable(
        source, path, to=to, scheme=scheme, target=target, tolerance=tolerance, batch=batch, simplify=simplify,
        speed=speed, settings=settings, lock_dir=home / "locks", progress=_nothing if json else _say,
    )  # fmt: skip
    beside = write_report(report, path)
    if json:
        print_json({**report.to_dict(), "report": str(beside)})
    else:
        _show(report, beside)


def _tuning(asked: str | None, *, to: str, target: str, cache: Path) -> dict[str, Any]:
    """Return the settings of TVM that a tuning budget stands for."""
    if asked is None:
        return {}
    if to != "tvm" or target != "host":
        raise SpecError(
            f"--tuning {asked}: only --to tvm for this machine is tuned.",
            hint="Add --to tvm, or leave out --tuning."
            if to != "tvm"
            else "Kernels of another processor are timed there: run omniforge export on it.",
        )
    from ..components.spec import parse_duration

    return {"tuning_s": parse_duration(asked, name="tuning budget"), "cache": str(cache)}


def find_source(model: str, data: Path | None) -> ExportSource:
    """Return what is named: a file where there is one or the name ends like one, else a registered model.

    Args:
        model: As the command takes it.
        data: A file of rows; ``None``: the model's own.

    Raises:
        InputError: There is no such file or model, or the data does not fit it.
    """
    from ..deploy.export.sources import source_of_asset, source_of_file

    path = Path(model)
    if path.suffix == ".onnx" or path.is_file():
        if not path.is_file():
            raise SpecError(f"There is no ONNX file {model}.")
        return source_of_file(path, data=data)
    from ..client import Client

    client = Client()
    version = client.model(model)
    prepared = None if data is not None else _prepared_data(client, dict(version.lineage))
    return source_of_asset(version.path, name=version.name, data=data, prepared=prepared)


def _default_path(source: ExportSource, *, scheme: str | None, target: str, suffix: str) -> Path:
    """Return a file in the current folder that is named like the model and what was done to it."""
    done = [*([] if scheme is None else [scheme]), *([] if target == "host" else [target])]
    name = "-".join([source.name.removesuffix(".onnx").replace("/", "-"), *done])
    path = Path(f"{name}{suffix}")
    return Path(f"{name}-exported{suffix}") if path.resolve() == source.path.resolve() else path


def write_report(report: ExportReport, path: Path) -> Path:
    """Write a report beside the file that it is about, whole or not at all; return where."""
    from json import dumps

    from ..files import write_text

    beside = path.with_name(f"{path.name}.report.json")
    try:
        write_text(beside, dumps(report.to_dict(), indent=2, default=str) + "\n")
    except OSError as e:
        raise SpecError(f"The report cannot be written to {beside}: {e.strerror or e}.") from e
    return beside


def _prepared_data(client: Any, lineage: dict[str, Any]) -> Path | None:
    """Return the prepared data of the job that made a model, if it is known here."""
    from ..errors import RecordNotFoundError

    if not lineage.get("job_id"):
        return None
    try:
        with client.store() as store:
            plan = store.jobs.get(lineage["job_id"]).plan or {}
    except RecordNotFoundError:
        return None
    return Path(plan["data_path"]) if plan.get("data_path") else None


def _say(step: str) -> None:
    err().print(f"[dim]{step} ...[/]")


def _nothing(step: str) -> None:
    del step


def _show(report: ExportReport, beside: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = out()
    console.print(f"Wrote {escape(', '.join(report.files))}")
    share = report.bytes_after / max(report.bytes_before, 1)
    console.print(f"Size: {_size(report.bytes_before)} -> {_size(report.bytes_after)} ({share:.0%})")
    for line in _judgement(report):
        console.print(escape(line))
    if report.speed:
        table = Table(box=None, pad_edge=False)
        for heading in ("model", "runtime"):
            table.add_column(heading)
        for heading, _, _ in _SHOWN:
            table.add_column(heading, justify="right")
        for timing in report.speed:
            cells = [text.format(timing.metrics[key]) if key in timing.metrics else "-" for _, key, text in _SHOWN]
            table.add_row(timing.model, timing.runtime, *cells)
        console.print(table)
        for timing in report.speed:
            if timing.note:
                console.print(f"[yellow]{escape(timing.model)}: {escape(timing.note)}[/]")
    for note in report.notes:
        console.print(f"[dim]Note: {escape(note)}[/]")
    console.print(f"Report: {escape(str(beside))}")


def _judgement(report: ExportReport) -> list[str]:
    """Return what the predictions say, one line each."""
    lines = [f"Rows: {report.rows}"]
    agreement, cost = report.agreement, report.quantization
    if agreement is not None:
        labels = "" if agreement.label_agreement is None else f", same label for {agreement.label_agreement:.2%}"
        relative = "" if agreement.max_relative is None else f", relative {agreement.max_relative:.2g}"
        lines.append(f"Agreement with the model: largest difference {agreement.max_abs:.2g}{relative}{labels}")
    if cost is not None:
        lines.append(
            f"{cost.metric} against {cost.truth} on {cost.rows} rows: {cost.score_before:.4f} -> {cost.score_after:.4f}"
            f" (loss {cost.loss:.4f}, by {cost.runtime}); largest difference {cost.max_abs:.2g}"
        )
        lines += [f"Quantization: {note}" for note in cost.notes]
    if agreement is None and cost is None:
        lines.append("Agreement with the model: not checked, it cannot run here")
    return lines


def _size(count: int) -> str:
    return f"{count / 2**20:.2f} MiB" if count >= 2**20 else f"{count / 1024:.1f} KiB"
