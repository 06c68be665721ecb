from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_suite import WEIGHTS, linear_model

from omniforge.deploy import MeasureOptions, RuntimeOptions
from omniforge.deploy.isolated import measure_isolated
from omniforge.deploy.locking import device_lock
from omniforge.errors import MeasurementError, MissingDependencyError, SpecError, UnknownNameError

QUICK = MeasureOptions(budget_s=0.05, warmup_s=0.001)
# A runtime that misbehaves as broken models make real ones misbehave; what to do is the model's file's content.
MISCHIEF = """
import os, signal, time
from omniforge.deploy.runtimes import RUNTIMES, Runtime

class Mischief(Runtime):
    name = "onnxruntime"
    def prepare(self, model, *, device, options):
        text = model.read_text()
        print("about to " + text, flush=True)
        if text == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if text == "exit":
            os._exit(3)
        if text == "hang":
            open(str(model) + ".pid", "w").write(str(os.getpid()))
            time.sleep(600)
        if text == "grow":
            blocks = []
            while True:
                blocks.append(b"x" * 2**24)
        raise KeyError("surprise")
    def versions(self):
        return {}

RUNTIMES.register("onnxruntime", Mischief)
"""


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32))
    return path


@pytest.fixture
def mischief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file whose content the measuring process obeys: its runtime is another one."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(MISCHIEF)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return tmp_path / "model.onnx"


def test_a_model_is_measured_in_a_process_of_its_own(linear_file: Path, rows_file: Path, tmp_path: Path) -> None:
    report = measure_isolated(
        linear_file, rows=rows_file, options=MeasureOptions(0.05, runtime=RuntimeOptions(cpus=(0,))), lock_dir=tmp_path
    )
    assert report.metrics["latency_ms"] > 0
    assert report.metrics["peak_memory_mb"] < 50  # nothing that this process has loaded
    assert report.memory_source.endswith("in a process of its own")
    with device_lock(tmp_path, "local", timeout_s=0.01):
        pass


@pytest.mark.fault
def test_a_corrupt_file_and_nan_are_the_model_s_fault(rows_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(linear_model()[:50])
    with pytest.raises(MeasurementError, match=r"model\.onnx cannot be loaded") as corrupt:
        measure_isolated(path, rows=rows_file, options=QUICK)
    path.write_bytes(linear_model(np.full_like(WEIGHTS, np.nan)))
    with pytest.raises(MeasurementError, match="NaN") as nan:
        measure_isolated(path, rows=rows_file, options=QUICK)
    assert not corrupt.value.retryable
    assert not nan.value.retryable


@pytest.mark.fault
@pytest.mark.parametrize(("what", "said"), [("crash", "SIGSEGV"), ("exit", "code 3"), ("raise", "KeyError")])
def test_a_model_that_crashes_its_runtime_ends_that_process_only(
    mischief: Path, rows_file: Path, what: str, said: str
) -> None:
    mischief.write_text(what)
    with pytest.raises(MeasurementError, match=said) as caught:
        measure_isolated(mischief, rows=rows_file, options=QUICK)
    assert not caught.value.retryable
    assert what == "raise" or f"about to {what}" in str(caught.value)  # the runtime's last words


@pytest.mark.fault
def test_a_model_that_hangs_is_ended_and_the_device_is_free(mischief: Path, rows_file: Path, tmp_path: Path) -> None:
    mischief.write_text("hang")
    with pytest.raises(MeasurementError, match=r"limit of 0\.2 s") as caught:
        measure_isolated(mischief, rows=rows_file, options=QUICK, limit_s=0.2, lock_dir=tmp_path)
    assert not caught.value.retryable
    with device_lock(tmp_path, "local", timeout_s=0.01):
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(int(mischief.with_name("model.onnx.pid").read_text()), 0)


@pytest.mark.fault
def test_a_model_that_takes_too_much_memory_is_ended(mischief: Path, rows_file: Path) -> None:
    mischief.write_text("grow")
    with pytest.raises(MeasurementError, match="limit of 200 MiB") as caught:
        measure_isolated(mischief, rows=rows_file, options=QUICK, memory_bytes=200 * 2**20)
    assert not caught.value.retryable


@pytest.mark.fault
def test_it_can_be_cancelled(mischief: Path, rows_file: Path) -> None:
    mischief.write_text("hang")
    cancelled = threading.Event()
    hangs = mischief.with_name("model.onnx.pid")

    def cancel_when_it_hangs() -> None:
        deadline = time.monotonic() + 20
        while not hangs.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        cancelled.set()

    threading.Thread(target=cancel_when_it_hangs).start()
    with pytest.raises(MeasurementError, match="cancelled"):
        measure_isolated(mischief, rows=rows_file, options=QUICK, cancelled=cancelled)
    with pytest.raises(ProcessLookupError):
        os.kill(int(hangs.read_text()), 0)


def test_a_busy_device_is_worth_another_try(linear_file: Path, rows_file: Path, tmp_path: Path) -> None:
    options = MeasureOptions(budget_s=0.05, lock_timeout_s=0.05)
    with device_lock(tmp_path, "local"), pytest.raises(MeasurementError, match="busy") as caught:
        measure_isolated(linear_file, rows=rows_file, options=options, lock_dir=tmp_path)
    assert caught.value.retryable


def test_rows_that_cannot_be_read_or_do_not_fit_are_named(linear_file: Path, tmp_path: Path) -> None:
    table, rows = tmp_path / "rows.csv", tmp_path / "rows.npy"
    table.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(SpecError, match=r"rows\.csv cannot be read: it is no \.npy file"):
        measure_isolated(linear_file, rows=table, options=QUICK)
    np.save(rows, np.zeros((4, 5)))
    with pytest.raises(SpecError, match="do not fit"):
        measure_isolated(linear_file, rows=rows, options=QUICK)


def test_what_is_asked_is_checked_before_anything_starts(linear_file: Path, rows_file: Path) -> None:
    with pytest.raises(UnknownNameError, match="abacus"):
        measure_isolated(linear_file, rows=rows_file, runtime="abacus")
    odd = MeasureOptions(runtime=RuntimeOptions(extra={"a": object()}))
    with pytest.raises(SpecError, match="JSON values"):
        measure_isolated(linear_file, rows=rows_file, options=odd)
    with pytest.raises(SpecError, match="limit_s"):
        measure_isolated(linear_file, rows=rows_file, limit_s=0)


def test_a_runtime_that_is_not_installed_says_how_to_get_it(
    linear_file: Path, rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hidden").mkdir()
    for name in ("openvino", "tvm"):
        (tmp_path / "hidden" / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    for name in ("openvino", "tvm"):
        with pytest.raises(MissingDependencyError, match=name) as caught:
            measure_isolated(linear_file, rows=rows_file, runtime=name)
        assert "pip install" in str(caught.value.hint)
