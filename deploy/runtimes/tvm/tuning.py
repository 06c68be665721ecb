"""Search for faster kernels within a budget of seconds, with TVM's MetaSchedule. It compiles no whole model.

MetaSchedule (Shao et al. 2022, "Tensor Program Optimization with Probabilistic Programs") samples variants of a kernel,
times them, and learns from the times which to try next. Its own loop knows a budget in trials only and builds in worker
processes; this one knows seconds, builds here, and times in one process that it ends. Every kernel first gets a few random
variants, so that a short budget still tunes all of them; what is left goes where the most time is spent.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import os
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from tvm.s_tir import meta_schedule
from tvm.support import cc

from ....errors import MeasurementError, MissingDependencyError
from .cache import Tuning, read_tuning, write_tuning
from .compiling import Kernel, Lowered, build_kernel, dump_record, load_record
from .frontend import FAILURES, first_line
from .options import TvmOptions

_FIRST_ROUND = 4  # random variants of a kernel before anything is learned
_ROUND = 16
_POPULATION = 64
_GENERATIONS = 4
_COVERAGE_SHARE = 0.6  # of the budget, at most, until every kernel has a variant
_TIMING_MS = 7  # one variant is timed three times for so long; the fastest counts, for others work on the machine too
_TIMINGS = 3
_TIMEOUT_S = 10.0  # a variant that takes longer is no candidate
_WARM_UP_SAMPLES = 24  # times before the cost model is believed
_ENDLESS = 1_000_000
_FAILED_S = 1e10  # TVM's own mark of a variant that does not work
_log = logging.getLogger(__name__)


class Stopwatch(Protocol):
    """Builds a variant of a kernel and times it where the model will run. A context manager around a whole search."""

    def __enter__(self) -> Stopwatch: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def time(self, candidate: Any) -> Any:
        """Return TVM's result for one variant: seconds, or what went wrong."""


def tuned(lowered: Lowered, *, options: TvmOptions, threads: int = 1, stopwatch: Stopwatch | None = None) -> Tuning:
    """Return tuned kernels for a model: from the cache if it has them, else searched for within the budget.

    Args:
        lowered: The model.
        options: The budget and the cache; without a budget only the cache is asked.
        threads: Threads in one prediction.
        stopwatch: What times the variants; ``None``: this machine.

    Raises:
        MissingDependencyError: Tuning needs a C compiler or xgboost, which is not there.
        MeasurementError: The cache cannot be written to (a retry can help).
    """
    known = Tuning(len(lowered.kernels))
    if options.cache is not None:
        known = read_tuning(options.cache, lowered.key(), kernels=len(lowered.kernels))
    if options.tuning_s == 0 or known.covers(budget_s=options.tuning_s, trials=options.tuning_trials):
        return known
    found = search(lowered, known=known, options=options, threads=threads, stopwatch=stopwatch)
    if options.cache is not None:
        try:
            write_tuning(options.cache, lowered.key(), found)
        except OSError as e:
            raise MeasurementError(f"The tuning cache {options.cache} cannot be written to: {e.strerror or e}.") from e
    return found


def search(
    lowered: Lowered,
    *,
    known: Tuning,
    options: TvmOptions,
    threads: int = 1,
    stopwatch: Stopwatch | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuning:
    """Time variants of a model's kernels until the budget is spent.

    It ends within one look for variants (a second or two) and one timing of the budget, and what was found until then
    is kept.

    Args:
        lowered: The model.
        known: What was found before; it is only improved on.
        options: The budget.
        threads: Threads in one prediction.
        stopwatch: What times the variants; ``None``: this machine.
        clock: Seconds, never going back.

    Raises:
        MissingDependencyError: There is no C compiler, or no xgboost.
    """
    _check_tools()
    started = clock()
    budget = _Budget(clock, started, options.tuning_s, options.tuning_trials)
    with stopwatch or _LocalStopwatch(lowered.target, threads=threads) as started_watch, _without_gpu_intrinsics():
        session = _Session(lowered, started_watch, budget, known=known, options=options)
        session.cover()
        session.improve()
    seconds = clock() - started
    _log.info("TVM tuned %d kernels with %d trials in %.1f s.", len(lowered.kernels), budget.used_trials, seconds)
    return replace(
        session.result(),
        seconds=known.seconds + seconds,
        trials=known.trials + budget.used_trials,
        asked_s=options.tuning_s,
        asked_trials=options.tuning_trials,
        new_trials=budget.used_trials,
    )


@dataclass
class _Budget:
    """Seconds and trials that are left."""

    clock: Callable[[], float]
    started: float
    seconds: float
    trials: int | None
    used_trials: int = 0

    def left_s(self) -> float:
        return self.seconds - (self.clock() - self.started)

    def trials_for(self, kernels: int) -> int:
        """Return how many trials the next of so many kernels may have."""
        return _FIRST_ROUND if self.trials is None else max(1, (self.trials - self.used_trials) // kernels)

    def spent(self, share: float = 1.0) -> bool:
        """Say whether this share of the seconds, or every trial, is used up."""
        out_of_trials = self.trials is not None and self.used_trials >= self.trials
        return out_of_trials or self.clock() - self.started >= share * self.seconds


class _LocalStopwatch:
    """Builds variants here and times them in a process of its own, which ends with it."""

    def __init__(self, target: Any, *, threads: int) -> None:
        self._target, self._threads = target, threads
        self._count = itertools.count()

    def __enter__(self) -> _LocalStopwatch:
        set_threads = functools.partial(os.putenv, "TVM_NUM_THREADS", str(self._threads))
        timing = meta_schedule.runner.EvaluatorConfig(number=1, repeat=_TIMINGS, min_repeat_ms=_TIMING_MS)
        try:
            self._runner = meta_schedule.runner.LocalRunner(_TIMEOUT_S, timing, initializer=set_threads)
        except (OSError, ImportError, *FAILURES) as e:
            raise MeasurementError(f"TVM cannot start the process that times kernels: {first_line(e)}") from e
        self._folder = TemporaryDirectory(prefix="omniforge-tvm-")
        return self

    def time(self, candidate: Any) -> Any:
        """Return TVM's result for one variant: seconds, or what went wrong."""
        path = Path(self._folder.name) / f"variant-{next(self._count)}.so"  # a name of its own: libraries stay loaded
        try:
            build_kernel(candidate.sch.mod, self._target, threads=self._threads).export_library(str(path))
        except FAILURES as e:
            return meta_schedule.runner.RunnerResult(None, first_line(e))
        job = meta_schedule.runner.RunnerInput(str(path), "cpu", candidate.args_info)
        try:
            return self._runner.run([job])[0].result()
        finally:
            path.unlink(missing_ok=True)

    def __exit__(self, *exc_info: object) -> None:
        self._runner.pool.shutdown()  # ends the process: it would stay otherwise
        self._folder.cleanup()


@dataclass
class _Search:
    """The search for one kernel."""

    kernel: Kernel
    workload: Any
    strategy: Callable[[str], Any]
    contexts: dict[str, Any] = field(default_factory=dict)
    cost: float = float("inf")
    record: str | None = None
    trials: int = 0
    look_s: float = 0.0  # what one random variant costs to make
    exhausted: bool = False

    def worth(self) -> float:
        """Return how much could be gained: the time spent in the kernel, less where much was tried already."""
        return self.cost * self.kernel.weight / math.sqrt(1.0 + self.trials)

    def look(self, kind: str) -> Sequence[Any]:
        """Return new variants, ``"random"`` ones or ``"evolved"`` from the best known; none if there are no more."""
        if kind not in self.contexts:
            self.contexts[kind] = self.strategy(kind)
        return self.contexts[kind].generate_measure_candidates() or ()


class _Session:
    """The search for all kernels of a model."""

    def __init__(
        self, lowered: Lowered, stopwatch: Stopwatch, budget: _Budget, *, known: Tuning, options: TvmOptions
    ) -> None:
        self._stopwatch, self._budget, self._target = stopwatch, budget, lowered.target
        self._threads, self._known = options.search_threads(), known
        self._database = meta_schedule.database.MemoryDatabase()
        self._model = meta_schedule.cost_model.XGBModel(
            num_warmup_samples=_WARM_UP_SAMPLES, num_tuning_cores=self._threads
        )
        self._searches = [self._start(kernel, seed=options.seed + at) for at, kernel in enumerate(lowered.kernels)]

    def cover(self) -> None:
        """Give every kernel without a record some random variants, the later ones less if time is short."""
        open_ones = [search for search in self._searches if search.record is None]
        for at, one in enumerate(open_ones):
            share = _COVERAGE_SHARE * (at + 1) / len(open_ones)
            most = self._budget.trials_for(len(open_ones) - at)
            while not self._budget.spent() and one.record is None and not one.exhausted:
                self._round(one, "random", share=share, most=most)

    def improve(self) -> None:
        """Search on where the most time is spent."""
        while not self._budget.spent():
            going = [search for search in self._searches if not search.exhausted]
            if not going:
                return
            one = max(going, key=_Search.worth)
            affordable = one.look_s * _POPULATION * _GENERATIONS < 0.5 * self._budget.left_s()
            self._round(one, "evolved" if affordable else "random")

    def result(self) -> Tuning:
        """Return the fastest variants."""
        return Tuning(
            kernels=len(self._searches),
            records={one.kernel.key: one.record for one in self._searches if one.record is not None},
            costs={one.kernel.key: one.cost for one in self._searches if one.record is not None},
        )

    def _round(self, one: _Search, kind: str, *, share: float = 1.0, most: int = _ROUND) -> None:
        """Look for variants of one kernel, and time them; fewer when this share of the budget is spent and one works."""
        before = self._budget.clock()
        try:
            candidates = one.look(kind)
        except FAILURES as e:
            _log.warning("TVM finds no more variants of %s: %s", one.kernel.name, first_line(e))
            candidates = ()
        if kind == "random" and candidates:
            one.look_s = (self._budget.clock() - before) / len(candidates)
        one.exhausted = not candidates
        results: list[Any] = []
        for candidate in candidates:
            enough = len(results) >= most or self._budget.spent(share)
            if self._budget.spent() or (enough and one.record is not None):
                break
            results.append(self._try(one, candidate))
        if results:
            self._learn(one.contexts[kind], candidates, results)

    def _learn(self, context: Any, candidates: Sequence[Any], results: Sequence[Any]) -> None:
        """Tell the cost model and the search what the variants took; without it, the search goes on blindly."""
        try:
            self._model.update(context, list(candidates[: len(results)]), list(results))
            if len(results) == len(candidates):
                context.notify_runner_results(list(candidates), list(results))
        except FAILURES as e:
            _log.warning("TVM's cost model does not learn: %s", first_line(e))

    def _try(self, one: _Search, candidate: Any) -> Any:
        """Time one variant and keep the record of it."""
        result = self._stopwatch.time(candidate)
        one.trials += 1
        self._budget.used_trials += 1
        times = [float(value) for value in result.run_secs or ()]
        if not times:
            _log.debug("A variant of %s was dropped: %s", one.kernel.name, result.error_msg)
        cost = min(times, default=_FAILED_S)
        record = meta_schedule.database.TuningRecord(
            candidate.sch.trace, one.workload, [cost], self._target, candidate.args_info
        )
        self._database.commit_tuning_record(record)
        if cost < min(one.cost, _FAILED_S):
            one.cost, one.record = cost, dump_record(record)
        return meta_schedule.runner.RunnerResult([cost], None) if times else result

    def _start(self, kernel: Kernel, *, seed: int) -> _Search:
        workload = self._database.commit_workload(kernel.module)
        started = _Search(kernel, workload, functools.partial(self._context, kernel, seed + 1))
        if kernel.key in self._known.records:
            started.record, started.cost = self._known.records[kernel.key], self._known.costs[kernel.key]
            self._database.commit_tuning_record(load_record(started.record, workload))
        return started

    def _context(self, kernel: Kernel, seed: int, kind: str) -> Any:
        """Return TVM's state of the search for one kernel."""
        strategies = meta_schedule.search_strategy
        evolved = strategies.EvolutionarySearch(
            population_size=_POPULATION, init_min_unmeasured=_POPULATION // 4, genetic_num_iters=_GENERATIONS - 1
        )
        context = meta_schedule.TuneContext(
            mod=kernel.module,
            target=self._target,
            space_generator=meta_schedule.space_generator.PostOrderApply(
                sch_rules="llvm", postprocs="llvm", mutator_probs="llvm"
            ),
            search_strategy=evolved if kind == "evolved" else strategies.ReplayTrace(),
            task_name=kernel.name,
            rand_state=seed,
            num_threads=self._threads,
        )
        size = _ROUND if kind == "evolved" else _FIRST_ROUND
        context.pre_tuning(_ENDLESS, size, None, self._database, self._model)
        return context


def _check_tools() -> None:
    """Check that what tuning needs besides TVM is there."""
    try:
        import xgboost  # noqa: F401  # the cost model
    except ImportError as e:
        raise MissingDependencyError("Tuning needs xgboost.", hint="pip install 'omniforge[tvm]'") from e
    if cc.get_cc() is None:
        raise MissingDependencyError("Tuning needs a C compiler.", hint="apt-get install gcc (on Debian)")


@contextmanager
def _without_gpu_intrinsics() -> Iterator[None]:
    """Keep TVM from parsing thousands of instructions of GPUs (25 s), which no kernel for a processor uses.

    TVM imports them all whenever a search starts. An empty module stands in their place until the search is over, unless
    they have been imported before.
    """
    name = "tvm.s_tir.tensor_intrin"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = types.ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]
