from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omniforge.deploy import DeploymentReport
from omniforge.deploy.report import Spread
from omniforge.errors import MeasurementError
from omniforge.sidecar.device.measurements import Measurements, QueueFullError, StoppingError, UnknownMeasurementError
from omniforge.sidecar.device.messages import MeasurementRequest
from omniforge.sidecar.device.uploads import NotUploadedError, Uploads

MODEL, ROWS = (hashlib.sha256(name).hexdigest() for name in (b"model", b"rows"))


class Bench:
    """Measures on command: a measurement ends when it is let go."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.let_go = threading.Semaphore(0)
        self.fail_with: Exception | None = None
        self.busy = 0
        self.most_busy = 0

    def __call__(self, request: MeasurementRequest, model: Path, rows: Path, cancelled: threading.Event) -> Any:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        self.started.append(request.key)
        try:
            while not self.let_go.acquire(timeout=0.01):
                if cancelled.is_set():
                    raise MeasurementError("cancelled")
            if self.fail_with is not None:
                raise self.fail_with
            assert (model.read_bytes(), rows.read_bytes()) == (b"model", b"rows")
            return DeploymentReport({"latency_ms": 1.0}, "pi", "onnxruntime", 20, Spread(0, 1, 1, 0), 1, 1)
        finally:
            self.busy -= 1


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    for digest, content in ((MODEL, b"model"), (ROWS, b"rows")):
        (tmp_path / digest).write_bytes(content)
    return Uploads(tmp_path, max_file_bytes=100, max_total_bytes=100)


@pytest.fixture
def measurements(bench: Bench, uploads: Uploads) -> Iterator[Measurements]:
    measurements = Measurements(uploads, bench, max_queued=5, keep_s=100, abandon_s=100)
    measurements.start()
    yield measurements
    measurements.stop()


def request(number: int, client: str = "a", **rest: Any) -> MeasurementRequest:
    return MeasurementRequest(key=f"{number:016x}", client=client, model=MODEL, rows=ROWS, **rest)


def key(number: int) -> str:
    return f"{number:016x}"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_one_is_measured_at_a_time_and_clients_take_turns(measurements: Measurements, bench: Bench) -> None:
    measurements.post(request(1, "a"))
    until(lambda: bench.started == [key(1)])
    assert [measurements.post(request(i, client)).position for i, client in ((2, "a"), (3, "a"), (4, "b"))] == [1, 2, 1]
    assert [measurements.get(key(i)).position for i in (1, 2, 3, 4)] == [0, 2, 3, 1]
    assert measurements.queued == 3
    for _ in range(4):
        bench.let_go.release()
    until(lambda: all(measurements.get(key(i)).state == "done" for i in (1, 2, 3, 4)))
    assert bench.started == [key(1), key(4), key(2), key(3)]
    assert bench.most_busy == 1
    report = measurements.get(key(4)).report
    assert report is not None
    assert report["metrics"] == {"latency_ms": 1.0}


def test_the_same_key_is_the_same_measurement_until_it_was_fetched(measurements: Measurements, bench: Bench) -> None:
    bench.let_go.release()
    measurements.post(request(1))
    until(lambda: measurements.post(request(1)).state == "done")
    assert len(bench.started) == 1
    measurements.drop(key(1))
    measurements.drop(key(1))
    with pytest.raises(UnknownMeasurementError):
        measurements.get(key(1))
    assert measurements.post(request(1)).state in ("queued", "running")
    until(lambda: len(bench.started) == 2)


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [(MeasurementError("busy", hint="wait"), "MeasurementError", True), (KeyError("odd"), "KeyError", True)],
)
def test_a_failure_is_told_and_the_next_has_its_turn(
    measurements: Measurements, bench: Bench, error: Exception, kind: str, retryable: bool
) -> None:
    bench.fail_with = error
    bench.let_go.release()
    measurements.post(request(1))
    until(lambda: measurements.get(key(1)).state == "failed")
    failure = measurements.get(key(1)).failure
    assert failure is not None
    assert (failure.kind, failure.retryable) == (kind, retryable)
    bench.fail_with = None
    bench.let_go.release()
    measurements.post(request(2))
    until(lambda: measurements.get(key(2)).state == "done")


def test_one_that_waits_and_one_that_runs_can_be_cancelled(
    measurements: Measurements, bench: Bench, uploads: Uploads
) -> None:
    measurements.post(request(1))
    measurements.post(request(2))
    until(lambda: bench.started == [key(1)])
    measurements.drop(key(2))
    measurements.drop(key(1))
    until(lambda: bench.busy == 0)
    bench.let_go.release()
    measurements.post(request(3))
    until(lambda: measurements.get(key(3)).state == "done")
    assert bench.started == [key(1), key(3)]
    until(lambda: uploads._pinned.total() == 0)


def test_the_queue_is_bounded(measurements: Measurements, bench: Bench) -> None:
    measurements.post(request(0))
    until(lambda: bench.started == [key(0)])
    for i in range(1, 6):
        measurements.post(request(i))
    with pytest.raises(QueueFullError, match="5 measurements wait"):
        measurements.post(request(6))
    assert measurements.post(request(5)).state == "queued"  # it is in already


def test_what_is_not_uploaded_cannot_be_measured(measurements: Measurements) -> None:
    with pytest.raises(NotUploadedError):
        measurements.post(request(1).model_copy(update={"model": "0" * 64}))
    with pytest.raises(UnknownMeasurementError):
        measurements.get(key(1))


def test_who_watches_is_called_at_the_end_or_at_once(measurements: Measurements, bench: Bench) -> None:
    measurements.post(request(1))
    called = threading.Event()
    measurements.watch(key(1), called.set)
    assert not called.wait(0.05)
    bench.let_go.release()
    assert called.wait(10)
    late = threading.Event()
    measurements.watch(key(1), late.set)()
    assert late.is_set()
    with pytest.raises(UnknownMeasurementError):
        measurements.watch(key(2), late.set)


def test_one_whose_client_has_gone_is_passed_over(bench: Bench, uploads: Uploads) -> None:
    measurements = Measurements(uploads, bench, max_queued=5, keep_s=100, abandon_s=0.2)
    measurements.start()
    for i in (1, 2, 3):
        measurements.post(request(i))
    until(lambda: bench.started == [key(1)])
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        measurements.get(key(3))
        time.sleep(0.01)
    bench.let_go.release()
    until(lambda: bench.started == [key(1), key(3)])
    with pytest.raises(UnknownMeasurementError):
        measurements.get(key(2))
    measurements.stop()
    assert uploads._pinned.total() == 0


def test_one_that_runs_and_whose_client_has_gone_is_ended(bench: Bench, uploads: Uploads) -> None:
    measurements = Measurements(uploads, bench, max_queued=5, keep_s=100, abandon_s=0.2)
    measurements.start()
    measurements.post(request(1))
    until(lambda: bench.started == [key(1)])
    until(lambda: bench.busy == 0)  # nobody let it go
    with pytest.raises(UnknownMeasurementError):
        measurements.get(key(1))
    bench.let_go.release()
    measurements.post(request(2))
    until(lambda: bench.started == [key(1), key(2)])
    measurements.stop()
    until(lambda: uploads._pinned.total() == 0)


def test_one_that_is_watched_has_its_client(bench: Bench, uploads: Uploads) -> None:
    measurements = Measurements(uploads, bench, max_queued=5, keep_s=100, abandon_s=0.1)
    measurements.start()
    measurements.post(request(1))
    unwatch = measurements.watch(key(1), lambda: None)
    assert not threading.Event().wait(0.4)
    assert bench.busy == 1
    unwatch()
    until(lambda: bench.busy == 0)
    measurements.stop()


def test_results_are_kept_for_a_while_only(bench: Bench, uploads: Uploads) -> None:
    measurements = Measurements(uploads, bench, max_queued=5, keep_s=0.05, abandon_s=100)
    measurements.start()
    bench.let_go.release()
    measurements.post(request(1))
    until(lambda: measurements.get(key(1)).state == "done")
    time.sleep(0.1)
    measurements.post(request(2))
    with pytest.raises(UnknownMeasurementError):
        measurements.get(key(1))
    measurements.stop()


def test_stopping_answers_who_waits_and_gives_no_false_result(measurements: Measurements, bench: Bench) -> None:
    measurements.post(request(1))
    measurements.post(request(2))
    until(lambda: bench.started == [key(1)])
    called = threading.Event()
    measurements.watch(key(2), called.set)
    measurements.stop()
    assert called.is_set()
    assert bench.started == [key(1)]
    for ask in (
        lambda: measurements.get(key(1)),
        lambda: measurements.post(request(1)),
        lambda: measurements.watch(key(1), called.set),
    ):
        with pytest.raises(StoppingError):
            ask()
