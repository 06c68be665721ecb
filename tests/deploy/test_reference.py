from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from omniforge.deploy import DEVICES, RUNTIMES, Device, RuntimeOptions
from omniforge.deploy.interleaving import Lane
from omniforge.deploy.reference import (
    ReferenceModel,
    calibrated_ms,
    prepare_reference,
    reference_model,
    reference_row,
)
from omniforge.deploy.runtimes import Runtime, Session
from omniforge.deploy.runtimes.base import unusable
from omniforge.errors import MeasurementError

KEY = {"device": "local", "runtime": "onnxruntime", "threads": 1}


class Ticks:
    """A clock, and a model that always takes so long."""

    def __init__(self, takes_ns: int) -> None:
        self.takes_ns, self.now_ns = takes_ns, 0

    def __call__(self) -> int:
        return self.now_ns

    def lane(self) -> Lane:
        def run(_: object) -> None:
            self.now_ns += self.takes_ns

        return Lane(run, [reference_row()], 2e6, self.takes_ns)


def test_the_model_is_valid_and_always_the_same() -> None:
    onnx.checker.check_model(onnx.load_from_string(reference_model()), full_check=True)
    assert hashlib.sha256(reference_model()).hexdigest().startswith("f5e5a25bc2e1")  # else calibrations are void


def test_it_predicts_what_its_operators_say() -> None:
    from onnx.reference import ReferenceEvaluator

    found = prepare_reference(RUNTIMES.get("onnxruntime")(), device=DEVICES["local"], options=RuntimeOptions())
    assert isinstance(found, ReferenceModel)
    assert found.runtime.name == "onnxruntime"
    expected = ReferenceEvaluator(onnx.load_from_string(reference_model())).run(None, {"image": reference_row()})[0]
    with found.session as session:
        np.testing.assert_allclose(session.run(reference_row()), expected, rtol=1e-3, atol=1e-5)
        assert found.lane(time.perf_counter_ns).estimate_ns > 0
    assert 0.01 < np.abs(expected).max() < 10


class Slow(Runtime):
    """A runtime for which preparing takes minutes."""

    name = "tvm"

    def prepare(self, model: Any, *, device: Device, options: RuntimeOptions) -> Session:
        raise unusable("It cannot.")

    def versions(self) -> dict[str, str]:
        return {}


def test_a_runtime_that_prepares_slowly_borrows_the_reference_of_another() -> None:
    found = prepare_reference(Slow(), device=DEVICES["local"], options=RuntimeOptions())
    assert isinstance(found, ReferenceModel)
    assert found.runtime.name == "onnxruntime"
    found.session.close()


class Broken(Slow):
    name = "broken"


def test_without_a_reference_the_reason_is_given() -> None:
    why = prepare_reference(Broken(), device=DEVICES["local"], options=RuntimeOptions())
    assert why == "broken cannot run the reference: It cannot."
    bare = prepare_reference(Slow(), device=Device("bare", url="tvm-rpc://x:1"), options=RuntimeOptions())
    assert bare == "the bare device 'bare' serves one model at a time"


def test_the_calibration_is_made_once_and_kept(tmp_path: Path) -> None:
    first, later = Ticks(50_000), Ticks(80_000)
    assert calibrated_ms(first.lane(), lock_dir=tmp_path / "new", key=KEY, clock=first) == 0.05
    assert calibrated_ms(later.lane(), lock_dir=tmp_path / "new", key=KEY, clock=later) == 0.05
    assert later.now_ns == 0
    [path] = (tmp_path / "new").iterdir()
    assert path.name.startswith("reference-local-")
    assert json.loads(path.read_text())["key"] == KEY


def test_other_versions_have_another_calibration(tmp_path: Path) -> None:
    first, other = Ticks(50_000), Ticks(80_000)
    calibrated_ms(first.lane(), lock_dir=tmp_path, key=KEY, clock=first)
    assert calibrated_ms(other.lane(), lock_dir=tmp_path, key=KEY | {"threads": 2}, clock=other) == 0.08


def test_the_first_of_several_processes_counts(tmp_path: Path) -> None:
    clocks = [Ticks(10_000 * (at + 1)) for at in range(4)]
    found: list[float] = []
    threads = [
        threading.Thread(
            target=lambda c=clock: found.append(calibrated_ms(c.lane(), lock_dir=tmp_path, key=KEY, clock=c))
        )
        for clock in clocks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1  # and nothing temporary is left


def test_a_file_that_cannot_be_read_is_named_and_left_alone(tmp_path: Path) -> None:
    clock = Ticks(50_000)
    calibrated_ms(clock.lane(), lock_dir=tmp_path, key=KEY, clock=clock)
    [path] = tmp_path.iterdir()
    path.write_text("{")
    with pytest.raises(MeasurementError, match="reference-local"):
        calibrated_ms(clock.lane(), lock_dir=tmp_path, key=KEY, clock=clock)
    assert path.read_text() == "{"
