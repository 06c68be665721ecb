"""MLPerf's scenarios, driven and judged by MLPerf's own LoadGen (the extra ``loadgen``).

Single stream: one query after another. Offline: all samples at once. Server: queries that arrive as a Poisson process, of
which 99 % have to be answered within a bound (V. J. Reddi et al., "MLPerf Inference Benchmark", ISCA 2020, section III).
LoadGen calls the model from Python: each query carries some ten microseconds of that, and each sample of the offline
scenario some microseconds, which the figures of :func:`measure` do not. What counts as valid, and every figure, is
LoadGen's. It is a benchmark to compare with, not a submission: the rules for those ask for runs of minutes.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import MeasurementError, MissingDependencyError, SpecError
from .devices import Device, find_device
from .locking import device_lock
from .options import read_runtime_options
from .pinning import free_core, on_cores
from .rows import check_finite, fit_rows, single_batches
from .runtimes import RUNTIMES, RuntimeOptions, Session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Scenario = Literal["single-stream", "offline", "server"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)

_ENUM = {"single-stream": "SingleStream", "offline": "Offline", "server": "Server"}
_RATE = {
    "single-stream": "QPS w/ loadgen overhead",
    "offline": "Samples per second",
    "server": "Completed samples per second",
}
_PERCENTILE = re.compile(r"([\d.]+) percentile latency \(ns\)\s*:\s*(\d+)")
_SERVER_PERCENTILE = 0.99
_WARM_UPS = 20
_SEARCH_STEPS = 6
_TRIAL_S = 0.02
_TRIAL_QPS = 2e5  # a few thousand samples at most
_TOO_MANY = 1.2  # a few samples more than the time needs: too short a run is not valid
_OFFLINE_TRIES = 3
_one_at_a_time = threading.Lock()  # LoadGen has one state for the whole process


@dataclass(frozen=True)
class ScenarioOptions:
    """What a scenario asks for.

    Args:
        duration_s: How long it lasts at least, in seconds.
        min_queries: How many queries it has at least.
        batch: Rows that the model predicts at once in the offline scenario.
        target_qps: Queries a second in the server scenario; ``None``: search the highest rate that keeps the bound.
        latency_bound_ms: Within what 99 % of the server scenario's queries have to be answered.
        runtime: Threads, cores and the runtime's own settings.
        lock_timeout_s: How long to wait for another process that measures on this device.
    """

    duration_s: float = 10.0
    min_queries: int = 100
    batch: int = 64
    target_qps: float | None = None
    latency_bound_ms: float = 15.0
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    lock_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("duration_s", "min_queries", "batch", "latency_bound_ms", "lock_timeout_s"):
            if not getattr(self, name) > 0:
                raise SpecError(f"{name} = {getattr(self, name)}: expected more than 0.")
        if self.target_qps is not None and not self.target_qps > 0:
            raise SpecError(f"target_qps = {self.target_qps}: expected more than 0, or None to search it.")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ScenarioOptions:
        """Read what ``dataclasses.asdict`` made, also after a way through JSON."""
        return cls(**{**content, "runtime": read_runtime_options(content.get("runtime", {}))})


@dataclass(frozen=True)
class ScenarioReport:
    """What LoadGen says about one run.

    Args:
        scenario: Which one.
        runtime: The runtime's name.
        valid: Whether LoadGen calls the result valid.
        reasons: What was not satisfied, in LoadGen's words.
        qps: Samples a second: that were answered one after another, at once, or as they came.
        percentiles_ms: Latency by percentile: ``"50"``, ``"90"``, ``"95"``, ``"97"``, ``"99"``, ``"99.9"``. In the offline
            scenario they count from the start of the whole.
        target_qps: The rate that was asked for; only in the server scenario.
        latency_bound_ms: The bound; only in the server scenario.
        duration_s: How long it took.
        attempts: The rates of the search and whether each was valid, in order; empty without a search.
        summary: LoadGen's own summary, whole.
        version: LoadGen's version.
    """

    scenario: Scenario
    runtime: str
    valid: bool
    reasons: tuple[str, ...]
    qps: float
    percentiles_ms: Mapping[str, float]
    duration_s: float
    target_qps: float | None = None
    latency_bound_ms: float | None = None
    attempts: tuple[tuple[float, bool], ...] = ()
    summary: str = ""
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ScenarioReport:
        """Read what :meth:`to_dict` wrote."""
        attempts = tuple((float(qps), bool(valid)) for qps, valid in content["attempts"])
        return cls(**{**content, "reasons": tuple(content["reasons"]), "attempts": attempts})


def run_scenario(
    path: str | Path,
    scenario: Scenario,
    *,
    rows: Array,
    device: str | Device = "local",
    runtime: str | None = None,
    options: ScenarioOptions | None = None,
    lock_dir: str | Path | None = None,
    on_start: Callable[[], None] | None = None,
) -> ScenarioReport:
    """Run a scenario on a model, in this process.

    Args:
        path: The ONNX file.
        scenario: ``"single-stream"``, ``"offline"`` or ``"server"``.
        rows: Real rows, ``n x input.shape``.
        device: The device, or its name.
        runtime: The runtime's name; ``None``: the device's own.
        options: What it asks for; ``None``: the defaults.
        lock_dir: A folder for locks; ``None``: no lock.
        on_start: Called once, when the device is this process's.

    Raises:
        MissingDependencyError: LoadGen or the runtime is not installed.
        SpecError: The scenario is unknown, or the rows do not fit.
        MeasurementError: The model cannot be loaded or run, or the device stays busy.
    """
    if scenario not in SCENARIOS:
        raise SpecError(f"scenario = {scenario!r}: expected one of {', '.join(SCENARIOS)}.")
    loadgen, options = _loadgen(), options or ScenarioOptions()
    device = find_device(device) if isinstance(device, str) else device
    by = RUNTIMES.get(runtime or device.runtime)()
    lock = device_lock(Path(lock_dir), device.name, timeout_s=options.lock_timeout_s) if lock_dir else nullcontext()
    wanted = options.runtime
    with lock, _one_at_a_time:
        if on_start is not None:
            on_start()
        with (
            on_cores(free_core() if wanted.threads == 1 and wanted.cpus is None else wanted.cpus),
            by.prepare(Path(path), device=device, options=wanted) as session,
        ):
            run = _Run(loadgen, session, rows, options, by.name)
            if scenario == "server" and options.target_qps is None:
                return run.search()
            if scenario == "offline":
                return run.offline()
            return run.once(scenario, options.target_qps)


class _Run:
    """A model that LoadGen sends queries to."""

    def __init__(self, loadgen: Any, session: Session, rows: Array, options: ScenarioOptions, runtime: str) -> None:
        self._loadgen, self._session, self._options, self._runtime = loadgen, session, options, runtime
        self._rows = fit_rows(rows, session.input)
        check_finite(session, self._rows)
        self._singles = single_batches(self._rows, session.input)
        self._failure: Exception | None = None
        self._single_s = self._warm_up(self._singles)
        self._batch = session.input.batch or min(options.batch, len(self._rows))
        self._batch_s = self._warm_up([self._rows[: self._batch]])

    def _warm_up(self, batches: Sequence[Array]) -> float:
        """Return the median time of a prediction; LoadGen is told what to expect, else it finds too few queries."""
        times = []
        for at in range(_WARM_UPS):
            before = time.perf_counter()
            self._session.run(batches[at % len(batches)])
            times.append(time.perf_counter() - before)
        return sorted(times)[len(times) // 2]

    def search(self) -> ScenarioReport:
        """Return the run of the highest rate that keeps the bound, of six that halve the interval where it must be."""
        low, high = 0.0, 1.0 / self._single_s
        attempts: list[tuple[float, bool]] = []
        best: ScenarioReport | None = None
        last: ScenarioReport | None = None
        for _ in range(_SEARCH_STEPS):
            qps = 0.8 * high if not attempts else (low + high) / 2
            last = self.once("server", qps)
            attempts.append((qps, last.valid))
            if last.valid:
                low, best = qps, last
            else:
                high = qps
        found = best or last
        assert found is not None  # noqa: S101  # there is at least one step
        return ScenarioReport(**{**vars(found), "attempts": tuple(attempts)})

    def offline(self) -> ScenarioReport:
        """Return a run of as many samples as fit the time by LoadGen's own rate, which a short run before it finds.

        The rate of the batches alone would not do: each sample also costs Python some microseconds in LoadGen.
        """
        trial = replace(self._options, duration_s=_TRIAL_S, min_queries=1)
        expected = min(self._batch / self._batch_s, _TRIAL_QPS)
        qps = self.once("offline", None, offline_qps=expected, options=trial).qps
        for _ in range(_OFFLINE_TRIES):
            report = self.once("offline", None, offline_qps=_TOO_MANY * qps)
            if report.valid:
                break
            qps = max(qps, report.qps)
        return report

    def once(
        self,
        scenario: Scenario,
        target_qps: float | None,
        *,
        offline_qps: float = 1.0,
        options: ScenarioOptions | None = None,
    ) -> ScenarioReport:
        """Run a scenario once; ``offline_qps`` is what LoadGen takes the number of samples from."""
        loadgen, options = self._loadgen, options or self._options
        settings = loadgen.TestSettings()
        settings.scenario = getattr(loadgen.TestScenario, _ENUM[scenario])
        settings.mode = loadgen.TestMode.PerformanceOnly
        settings.min_duration_ms = math.ceil(options.duration_s * 1e3)
        settings.min_query_count = options.min_queries
        settings.single_stream_expected_latency_ns = max(1, round(self._single_s * 1e9))
        settings.offline_expected_qps = max(offline_qps, 1e-3)
        if scenario == "server":
            settings.server_target_qps = target_qps
            settings.server_target_latency_ns = round(options.latency_bound_ms * 1e6)
            settings.server_target_latency_percentile = _SERVER_PERCENTILE
        answer = self._answer_all if scenario == "offline" else self._answer_each
        began = time.perf_counter()
        summary = self._start(settings, answer)
        return _parse(
            summary,
            scenario=scenario,
            runtime=self._runtime,
            duration_s=time.perf_counter() - began,
            target_qps=target_qps if scenario == "server" else None,
            latency_bound_ms=options.latency_bound_ms if scenario == "server" else None,
        )

    def _start(self, settings: Any, answer: Callable[[Sequence[Any]], None]) -> str:
        """Let LoadGen run and return its summary."""
        loadgen = self._loadgen
        with tempfile.TemporaryDirectory(prefix="omniforge-loadgen-") as folder:
            logs = loadgen.LogSettings()
            logs.enable_trace = False
            logs.log_output.outdir = folder
            logs.log_output.copy_summary_to_stdout = False
            samples = len(self._singles)
            system = loadgen.ConstructSUT(self._guarded(answer), _nothing)
            library = loadgen.ConstructQSL(samples, samples, _nothing, _nothing)
            try:
                loadgen.StartTestWithLogSettings(system, library, settings, logs)
            finally:
                loadgen.DestroyQSL(library)
                loadgen.DestroySUT(system)
            if self._failure is not None:
                raise self._failure
            return (Path(folder) / "mlperf_log_summary.txt").read_text(encoding="utf-8", errors="replace")

    def _guarded(self, answer: Callable[[Sequence[Any]], None]) -> Callable[[Sequence[Any]], None]:
        """Return ``answer`` so that a failure ends the run with it: an exception inside LoadGen would end the process."""

        def guarded(queries: Sequence[Any]) -> None:
            if self._failure is None:
                try:
                    answer(queries)
                except MeasurementError as e:
                    self._failure = e
                else:
                    return
            self._complete(queries)

        return guarded

    def _answer_each(self, queries: Sequence[Any]) -> None:
        for query in queries:
            self._session.run(self._singles[query.index])
            self._complete([query])

    def _answer_all(self, queries: Sequence[Any]) -> None:
        per_batch = 1 if self._session.input.batch is not None else self._batch
        for start in range(0, len(queries), per_batch):
            part = queries[start : start + per_batch]
            self._session.run(self._gather([query.index for query in part]))
            self._complete(part)

    def _gather(self, samples: Sequence[int]) -> Array:
        """Return the rows of some samples; a fixed batch is one sample."""
        import numpy as np

        if self._session.input.batch is not None:
            return self._singles[samples[0]]
        return np.ascontiguousarray(self._rows[np.asarray(samples)])

    def _complete(self, queries: Sequence[Any]) -> None:
        answers = [self._loadgen.QuerySampleResponse(query.id, 0, 0) for query in queries]
        self._loadgen.QuerySamplesComplete(answers)


def _parse(
    summary: str,
    *,
    scenario: Scenario,
    runtime: str,
    duration_s: float,
    target_qps: float | None,
    latency_bound_ms: float | None,
) -> ScenarioReport:
    """Read LoadGen's summary.

    Raises:
        MeasurementError: It is not what LoadGen writes.
    """
    values = dict(re.findall(r"^\s*(.+?)\s*:\s*(.+?)\s*$", summary, flags=re.MULTILINE))
    if "Result is" not in values or _RATE[scenario] not in values:
        raise MeasurementError("LoadGen's summary has no result.", hint=summary[-500:] or None)
    return ScenarioReport(
        scenario=scenario,
        runtime=runtime,
        valid=values["Result is"] == "VALID",
        reasons=tuple(name for name, value in values.items() if name.endswith("satisfied") and value.upper() == "NO"),
        qps=float(values[_RATE[scenario]]),
        percentiles_ms={f"{float(p):g}": int(ns) / 1e6 for p, ns in _PERCENTILE.findall(summary)},
        duration_s=duration_s,
        target_qps=target_qps,
        latency_bound_ms=latency_bound_ms,
        summary=summary,
        version=importlib.metadata.version("mlcommons-loadgen"),
    )


def _loadgen() -> Any:
    try:
        return importlib.import_module("mlperf_loadgen")
    except ImportError as e:
        raise MissingDependencyError(
            "MLPerf's LoadGen is not installed.", hint="pip install 'omniforge[loadgen]'"
        ) from e


def _nothing(*_: object) -> None:
    """Do nothing: samples are loaded already, and queries are answered at once."""
