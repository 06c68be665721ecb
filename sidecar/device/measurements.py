"""The measurements that a device was asked for: one at a time, turn by turn, each remembered until its client has it.

It knows nothing of HTTP, and how a model is measured is given to it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...deploy.report import DeploymentReport
from ...errors import OmniForgeError
from .messages import FailureReason, MeasurementMessage, MeasurementRequest, State
from .turns import Turns
from .uploads import Uploads

Measure = Callable[[MeasurementRequest, Path, Path, threading.Event], DeploymentReport]
"""Measures: the request, the model's file, the rows' file, and an event that says to give up."""

_STOP_S = 10.0

_log = logging.getLogger(__name__)


class QueueFullError(OmniForgeError, RuntimeError):
    """Too many measurements wait."""

    retryable = True


class StoppingError(OmniForgeError, RuntimeError):
    """The agent is about to end; it, or the next one, can be asked again soon."""

    retryable = True


class UnknownMeasurementError(OmniForgeError, LookupError):
    """There is no such measurement, or not any more."""


@dataclass(eq=False)
class _Measurement:
    request: MeasurementRequest
    seen_s: float
    state: State = "queued"
    report: DeploymentReport | None = None
    failure: FailureReason | None = None
    finished_s: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    watchers: set[Callable[[], None]] = field(default_factory=set)


class Measurements:
    """Measure what clients ask for, in a thread. Its methods may be called from any thread.

    A result is kept until its client says that it has it, or for ``keep_s``: asked for again under the same key, it is
    there without measuring again.

    Args:
        uploads: Where models and rows are.
        measure: Measures one model.
        max_queued: How many may wait.
        keep_s: How long a result is kept that nobody fetches, in seconds.
        abandon_s: A measurement, waiting or running, that nobody asked about for so many seconds is cancelled. Whoever
            watches it asks.
    """

    def __init__(self, uploads: Uploads, measure: Measure, *, max_queued: int, keep_s: float, abandon_s: float) -> None:
        self._uploads = uploads
        self._measure = measure
        self._keep_s = keep_s
        self._abandon_s = abandon_s
        self._changed = threading.Condition()
        self._turns: Turns[_Measurement] = Turns(limit=max_queued)
        self._all: dict[str, _Measurement] = {}
        self._stopping = False
        self._threads: list[threading.Thread] = []

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._turns)

    def start(self) -> None:
        """Begin to measure."""
        for work, name in ((self._work, "omniforge-measurements"), (self._look_after, "omniforge-abandoned")):
            self._threads.append(threading.Thread(target=work, name=name, daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """End the measurement that runs, drop those that wait, and answer all who wait for one."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            for measurement in self._all.values():
                measurement.cancelled.set()
            watchers = [watcher for measurement in self._all.values() for watcher in measurement.watchers]
        for watcher in watchers:
            watcher()
        for thread in self._threads:
            thread.join(_STOP_S)

    def post(self, request: MeasurementRequest) -> MeasurementMessage:
        """Ask for a measurement; asked for again, it is the same one.

        Args:
            request: What is to be measured.

        Raises:
            NotUploadedError: The model or the rows are not here whole.
            QueueFullError: Too many measurements wait.
            StoppingError: The agent is about to end.
        """
        with self._changed:
            self._refuse_at_the_end()
            self._forget_old()
            known = self._all.get(request.key)
            if known is not None:
                return self._message(known)
            if self._turns.full:
                raise QueueFullError(f"{len(self._turns)} measurements wait already.", hint="Try again later.")
            self._uploads.pin(request.model, request.rows)
            measurement = self._all[request.key] = _Measurement(request, time.monotonic())
            self._turns.add(request.client, measurement)
            self._changed.notify_all()
            return self._message(measurement)

    def get(self, key: str) -> MeasurementMessage:
        """Say where a measurement stands.

        Raises:
            UnknownMeasurementError: There is no such measurement.
            StoppingError: The agent is about to end.
        """
        with self._changed:
            self._refuse_at_the_end()
            return self._message(self._find(key))

    def drop(self, key: str) -> None:
        """Cancel a measurement, or forget its result; one that is not there is fine."""
        with self._changed:
            measurement = self._all.get(key)
            watchers = [] if measurement is None else self._cancel(measurement)
        for watcher in watchers:
            watcher()

    def watch(self, key: str, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have ``watcher`` called once a measurement has ended; return what undoes this.

        Args:
            key: The measurement's id.
            watcher: Called from any thread; at once if there is nothing to wait for.

        Raises:
            UnknownMeasurementError: There is no such measurement.
            StoppingError: The agent is about to end.
        """
        with self._changed:
            self._refuse_at_the_end()
            measurement = self._find(key)
            measurement.watchers.add(watcher)
            ended = measurement.finished_s is not None
        if ended:
            watcher()

        def unwatch() -> None:
            with self._changed:
                measurement.watchers.discard(watcher)
                measurement.seen_s = time.monotonic()

        return unwatch

    def _refuse_at_the_end(self) -> None:
        if self._stopping:
            raise StoppingError("The device agent is about to end.", hint="Ask again when it has been started again.")

    def _find(self, key: str) -> _Measurement:
        measurement = self._all.get(key)
        if measurement is None:
            raise UnknownMeasurementError(f"There is no measurement {key}.", hint="Ask for it again.")
        measurement.seen_s = time.monotonic()
        return measurement

    def _message(self, measurement: _Measurement) -> MeasurementMessage:
        measurement.seen_s = time.monotonic()
        request, report = measurement.request, measurement.report
        waits = measurement.state == "queued"
        return MeasurementMessage(
            id=request.key,
            state=measurement.state,
            position=1 + self._turns.before(request.client, measurement) if waits else 0,
            report=None if report is None else report.to_dict(),
            failure=measurement.failure,
        )

    def _cancel(self, measurement: _Measurement) -> list[Callable[[], None]]:
        """Forget a measurement and end it if it has not; return who is to be told, outside of the lock."""
        self._all.pop(measurement.request.key, None)
        measurement.cancelled.set()
        if self._turns.remove(measurement.request.client, measurement):
            self._uploads.unpin(measurement.request.model, measurement.request.rows)
        return list(measurement.watchers)

    def _look_after(self) -> None:
        """Cancel what nobody asks about any more: its client was killed, and others wait."""
        with self._changed:
            while not self._stopping:
                self._changed.wait(self._abandon_s / 10)
                limit_s = time.monotonic() - self._abandon_s
                for measurement in list(self._all.values()):
                    ended = measurement.finished_s is not None
                    if not ended and not measurement.watchers and measurement.seen_s < limit_s:
                        _log.info("Measurement %s is cancelled: its client has gone.", measurement.request.key)
                        self._cancel(measurement)
                self._forget_old()

    def _forget_old(self) -> None:
        now = time.monotonic()
        for key, measurement in list(self._all.items()):
            if measurement.finished_s is not None and now - measurement.finished_s > self._keep_s:
                del self._all[key]

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and not len(self._turns):
                    self._changed.wait()
                measurement = self._turns.take()
                if self._stopping or measurement is None:
                    return
                measurement.state = "running"
            self._run(measurement)

    def _run(self, measurement: _Measurement) -> None:
        request = measurement.request
        report, failure = None, None
        try:
            with self._uploads.pinned(request.model, request.rows) as (model, rows):
                report = self._measure(request, model, rows, measurement.cancelled)
        except OmniForgeError as e:
            failure = FailureReason(kind=type(e).__name__, message=e.message, hint=e.hint, retryable=e.retryable)
        except Exception as e:  # noqa: BLE001  # the boundary of the thread that measures: the next one has its turn all the same
            _log.exception("Measurement %s failed.", request.key)
            failure = FailureReason(kind=type(e).__name__, message=f"{type(e).__name__}: {e}", retryable=True)
        finally:
            self._uploads.unpin(request.model, request.rows)
        with self._changed:
            measurement.report, measurement.failure = report, failure
            measurement.state = "done" if failure is None else "failed"
            measurement.finished_s = time.monotonic()
            watchers = list(measurement.watchers)
        for watcher in watchers:
            watcher()
