"""Measure a model in a process of its own, which a model that crashes, hangs or takes too much ends alone.

The measuring itself is :func:`measure`, called in a fresh interpreter: ``python -m omniforge.deploy.isolated FOLDER``. The
request and the answer are JSON files in a temporary folder, so that whatever a runtime prints is no part of them. It is
a protection against broken models, not against hostile ones: the process has the rights of the one that starts it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import MeasurementError, MissingDependencyError, OmniForgeError, SpecError, UnknownNameError
from ..files import write_text
from .comparison import Compared, compare
from .devices import Device, find_device
from .loadgen import Scenario, ScenarioOptions, ScenarioReport, run_scenario
from .measurement import measure
from .memory import group_resident_bytes, resident_bytes
from .options import MeasureOptions
from .report import DeploymentReport
from .runtimes import RUNTIMES
from .runtimes.availability import available
from .runtimes.base import unusable

_POLL_S = 0.02
_GROUP_S = 1.0
_START_S = 60.0  # a fresh interpreter on a loaded machine
_TAIL_CHARS = 2000
_PR_SET_PDEATHSIG = 1
_NPY = b"\x93NUMPY"
_BLAMED = {"SpecError": SpecError, "MissingDependencyError": MissingDependencyError}


def measure_isolated(
    path: str | Path,
    *,
    rows: str | Path,
    device: str | Device = "local",
    runtime: str | None = None,
    options: MeasureOptions | None = None,
    lock_dir: str | Path | None = None,
    limit_s: float = 120.0,
    memory_bytes: int | None = None,
    cancelled: threading.Event | None = None,
    scratch_dir: str | Path | None = None,
) -> DeploymentReport:
    """Measure a model in a fresh process and return its report.

    Args:
        path: The ONNX file.
        rows: A ``.npy`` file with real rows, ``n x input.shape``.
        device: The device, or its name.
        runtime: The runtime's name; ``None``: the device's own.
        options: How thorough; ``None``: the defaults.
        lock_dir: A folder for locks and for the reference's calibration, the same for every process that measures on
            this machine; ``None``: no lock.
        limit_s: How long the measurement may take, in seconds from when the device is free.
        memory_bytes: How much may be resident in the process and those that it starts, interpreter and runtime
            included; ``None``: no limit.
        cancelled: When it is set, the process is ended.
        scratch_dir: Where the folder for the request and the answer is made; ``None``: where temporary files go.

    Raises:
        UnknownNameError: There is no such device or runtime.
        MissingDependencyError: The runtime is not installed.
        SpecError: The rows are not numbers, or they do not fit the model.
        MeasurementError: The model cannot be measured: it is broken, crashes its runtime, predicts something that is not
            finite, or takes more time or memory than it may (none of these is retryable); or the device stays busy or
            the measurement was cancelled (retryable).
    """
    device = find_device(device) if isinstance(device, str) else device
    runtime = runtime or device.runtime
    _check_runtimes([runtime])
    request = _request(path, rows, device=device, options=options, lock_dir=lock_dir) | {"runtime": runtime}
    answer = _ask(request, limit_s=limit_s, memory_bytes=memory_bytes, cancelled=cancelled, scratch_dir=scratch_dir)
    return DeploymentReport.from_dict(answer)


def compare_isolated(
    path: str | Path,
    *,
    rows: str | Path,
    runtimes: Sequence[str],
    options: MeasureOptions | None = None,
    extras: Mapping[str, Mapping[str, Any]] | None = None,
    lock_dir: str | Path | None = None,
    limit_s: float = 600.0,
) -> list[Compared]:
    """Let runtimes of this machine predict by turns in one fresh process: :func:`.comparison.compare`.

    Args:
        path: The ONNX file.
        rows: A ``.npy`` file with real rows, ``n x input.shape``.
        runtimes: Their names.
        options: ``budget_s`` is the time for each runtime.
        extras: Settings by runtime.
        lock_dir: A folder for locks; ``None``: no lock.
        limit_s: How long it may take, in seconds from when the device is free.

    Raises:
        UnknownNameError: There is no such runtime.
        SpecError: The rows are not numbers, or they do not fit the model.
        MeasurementError: The process crashed or took too long, or the device stays busy.
    """
    _check_runtimes(runtimes)
    request = _request(path, rows, device=find_device("local"), options=options, lock_dir=lock_dir)
    request |= {"runtimes": list(runtimes), "extras": {name: dict(one) for name, one in (extras or {}).items()}}
    return [Compared.from_dict(one) for one in _ask(request, limit_s=limit_s)]


def run_scenario_isolated(
    path: str | Path,
    scenario: Scenario,
    *,
    rows: str | Path,
    runtime: str = "onnxruntime",
    options: ScenarioOptions | None = None,
    lock_dir: str | Path | None = None,
    limit_s: float = 600.0,
) -> ScenarioReport:
    """Run one of MLPerf's scenarios in a fresh process: :func:`.loadgen.run_scenario`.

    Args:
        path: The ONNX file.
        scenario: ``"single-stream"``, ``"offline"`` or ``"server"``.
        rows: A ``.npy`` file with real rows, ``n x input.shape``.
        runtime: The runtime's name.
        options: What the scenario asks for; ``None``: the defaults.
        lock_dir: A folder for locks; ``None``: no lock.
        limit_s: How long it may take, in seconds from when the device is free.

    Raises:
        UnknownNameError: There is no such runtime.
        MissingDependencyError: LoadGen or the runtime is not installed.
        SpecError: The rows are not numbers, or they do not fit the model.
        MeasurementError: The model cannot be loaded or run, the process crashed or took too long, or the device stays
            busy.
    """
    _check_runtimes([runtime])
    request = _request(path, rows, device=find_device("local"), options=options or ScenarioOptions(), lock_dir=lock_dir)
    return ScenarioReport.from_dict(_ask(request | {"runtime": runtime, "scenario": scenario}, limit_s=limit_s))


def _check_runtimes(names: Sequence[str]) -> None:
    for name in names:
        if name not in RUNTIMES:
            raise UnknownNameError("runtime", name, RUNTIMES)


def _request(
    path: str | Path,
    rows: str | Path,
    *,
    device: Device,
    options: MeasureOptions | ScenarioOptions | None,
    lock_dir: str | Path | None,
) -> dict[str, Any]:
    """Return what both kinds of measurement have in common, as JSON values."""
    return {
        "path": str(Path(path).absolute()),
        "rows": str(Path(rows).absolute()),
        "device": asdict(replace(device, token=None)),
        "options": asdict(options or MeasureOptions()),
        "lock_dir": None if lock_dir is None else str(Path(lock_dir).absolute()),
        "parent": os.getpid(),
    }


def _ask(
    request: Mapping[str, Any],
    *,
    limit_s: float,
    memory_bytes: int | None = None,
    cancelled: threading.Event | None = None,
    scratch_dir: str | Path | None = None,
) -> Any:
    """Start a process for a request and return its result."""
    if not limit_s > 0:
        raise SpecError(f"limit_s = {limit_s}: expected more than 0.")
    with tempfile.TemporaryDirectory(prefix="omniforge-measure-", dir=scratch_dir) as name:
        folder = Path(name)
        write_text(folder / "request.json", _as_text(request))
        with _process(folder) as process:
            waits_s = _START_S + float(request["options"]["lock_timeout_s"])
            watch = _Watch(process, folder, waits_s=waits_s, limit_s=limit_s)
            watch.until_it_ends(memory_bytes=memory_bytes, cancelled=cancelled)
        return _answer(folder, process.returncode, Path(request["path"]))


def _as_text(request: Mapping[str, Any]) -> str:
    try:
        return json.dumps(request)
    except TypeError as e:
        raise SpecError(f"The options of a runtime (extra) have to be JSON values: {e}.") from e


@contextmanager
def _process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the measuring process as the leader of a group, which is ended whole, whatever happens."""
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass
class _Watch:
    """Waits for a measuring process within its limits."""

    process: subprocess.Popen[bytes]
    folder: Path
    waits_s: float
    limit_s: float
    group_at: float = 0.0

    def until_it_ends(self, *, memory_bytes: int | None, cancelled: threading.Event | None) -> None:
        """Return when the process has ended by itself.

        Raises:
            MeasurementError: It takes too long or too much, or it was cancelled.
        """
        deadline, started = time.monotonic() + self.waits_s, False
        while self.process.poll() is None:
            if cancelled is not None and cancelled.is_set():
                raise MeasurementError("The measurement was cancelled.")
            if not started and (self.folder / "started").exists():
                deadline, started = time.monotonic() + self.limit_s, True
            if time.monotonic() > deadline:
                if not started:
                    raise MeasurementError(f"The measuring process did not start within {self.waits_s:g} s.")
                raise unusable(
                    f"The model took longer than the limit of {self.limit_s:g} s to measure.",
                    hint="It hangs, or it is too slow for this device; limit_s sets the limit.",
                )
            if memory_bytes is not None and self._resident_bytes() > memory_bytes:
                raise unusable(
                    f"The model took more memory than the limit of {memory_bytes / 2**20:.0f} MiB.",
                    hint="The limit counts the interpreter and the runtime; memory_bytes sets it.",
                )
            time.sleep(_POLL_S)

    def _resident_bytes(self) -> int:
        """Return what the group has; processes that were started besides are looked for now and then: it is not cheap."""
        now = time.monotonic()
        if now >= self.group_at:
            self.group_at = now + _GROUP_S
            return group_resident_bytes(self.process.pid)
        return resident_bytes(self.process.pid)


def _answer(folder: Path, code: int, path: Path) -> Any:
    """Return the result that the process left.

    Raises:
        OmniForgeError: What the process says, or how it ended if it says nothing.
    """
    try:
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        output = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").strip()
        raise unusable(
            f"The process that measured {path.name} {ended}: the model crashes its runtime.",
            hint=output[-_TAIL_CHARS:] or None,
        ) from None
    if "result" in answer:
        return answer["result"]
    error = _BLAMED.get(answer["kind"], MeasurementError)(answer["message"], hint=answer["hint"])
    if isinstance(error, MeasurementError):
        error.retryable = answer["retryable"]
    raise error


def main(folder: Path) -> None:
    """Do what the request in ``folder`` asks and leave the answer there: the measuring process's whole work."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    _die_with(request["parent"])
    try:
        answer: Mapping[str, Any] = {"result": _result(request, folder)}
    except OmniForgeError as e:
        kind = type(e).__name__
        answer = {"kind": kind, "message": e.message, "hint": e.hint, "retryable": e.retryable}
    except ImportError as e:
        runtime = str(request.get("runtime"))
        known = available().get(runtime)
        hint = known.install if known is not None and known.install else f"pip install 'omniforge[{runtime}]'"
        message = f"The runtime {runtime!r} is not installed: {e}."
        answer = {"kind": "MissingDependencyError", "message": message, "hint": hint, "retryable": False}
    except Exception as e:  # noqa: BLE001  # the process's boundary: the caller gets what went wrong
        answer = {"kind": "", "message": f"{type(e).__name__}: {e}", "hint": None, "retryable": False}
    write_text(folder / "answer.json", json.dumps(answer))


def _result(request: Mapping[str, Any], folder: Path) -> Any:
    """Return the result of a request, as JSON values."""
    import numpy as np

    device = Device(**{**request["device"], "aliases": tuple(request["device"]["aliases"])})
    try:
        with Path(request["rows"]).open("rb") as file:
            if file.read(len(_NPY)) != _NPY:
                raise ValueError("it is no .npy file")
        rows = np.load(request["rows"], allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise SpecError(f"The rows {request['rows']} cannot be read: {e}.", hint="numpy.save writes .npy files.") from e
    path, on_start = request["path"], (folder / "started").touch
    if "scenario" in request:
        return run_scenario(
            path,
            request["scenario"],
            rows=rows,
            device=device,
            runtime=request["runtime"],
            options=ScenarioOptions.from_dict(request["options"]),
            lock_dir=request["lock_dir"],
            on_start=on_start,
        ).to_dict()
    options = MeasureOptions.from_dict(request["options"])
    if "runtimes" in request:
        runtimes, extras = request["runtimes"], request["extras"]
        compared = compare(
            path,
            rows=rows,
            runtimes=runtimes,
            device=device,
            options=options,
            extras=extras,
            lock_dir=request["lock_dir"],
            on_start=on_start,
        )
        return [one.to_dict() for one in compared]
    report = measure(
        path,
        rows=rows,
        device=device,
        runtime=request["runtime"],
        options=options,
        lock_dir=request["lock_dir"],
        on_start=on_start,
    )
    return replace(report, memory_source=f"{report.memory_source}, in a process of its own").to_dict()


def _die_with(parent: int) -> None:
    """End this process when the one that asked ends, leave no core file, and be the first that a full machine ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
