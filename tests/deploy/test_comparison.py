from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge.deploy import RUNTIMES, MeasureOptions
from omniforge.deploy.comparison import Compared, compare
from omniforge.deploy.isolated import compare_isolated
from omniforge.deploy.locking import device_lock
from omniforge.deploy.runtimes.base import unusable
from omniforge.errors import MeasurementError, SpecError, UnknownNameError

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
QUICK = MeasureOptions(budget_s=0.05)


@pytest.fixture
def others() -> object:
    """Register a runtime that predicts three times for each prediction, and one that refuses everything."""
    base: Any = RUNTIMES.get("onnxruntime")

    class Thrice(base):
        name = "thrice"

        def prepare(self, model, *, device, options):
            session = super().prepare(model, device=device, options=options)
            once = session.run
            session.run = lambda batch: (once(batch), once(batch), once(batch))[0]
            session.tuned = False
            return session

    class Refusing(base):
        name = "refusing"

        def prepare(self, model, *, device, options):
            raise unusable("It does not like the model.")

    RUNTIMES.register("thrice", Thrice)
    RUNTIMES.register("refusing", Refusing)
    yield
    for name in ("thrice", "refusing"):
        RUNTIMES._entries.pop(name)


@pytest.mark.usefixtures("others")
def test_runtimes_are_compared_with_onnx_runtime(linear_file: Path) -> None:
    names = ["thrice", "onnxruntime", "refusing"]
    found = compare(linear_file, rows=ROWS, runtimes=names, options=QUICK)
    assert [one.runtime for one in found] == names
    thrice, base, refusing = found
    assert base.relative == (1.0, 1.0, 1.0)
    assert thrice.relative is not None
    assert 1.7 < thrice.relative[0] < 4.5
    assert thrice.relative[1] <= thrice.relative[0] <= thrice.relative[2]
    assert (thrice.tuned, base.tuned) == (False, None)
    assert base.latencies["latency_ms"] <= base.latencies["latency_p99_ms"]
    assert base.repeats >= QUICK.min_repeats
    assert refusing.refused == "It does not like the model."
    assert not refusing.latencies
    assert [Compared.from_dict(json.loads(json.dumps(one.to_dict()))) for one in found] == found


@pytest.mark.usefixtures("others")
def test_without_onnx_runtime_the_first_is_the_baseline(linear_file: Path) -> None:
    [alone] = compare(linear_file, rows=ROWS, runtimes=["thrice"], options=QUICK)
    assert alone.relative == (1.0, 1.0, 1.0)
    [refusing] = compare(linear_file, rows=ROWS, runtimes=["refusing"], options=QUICK)
    assert refusing.refused


def test_it_can_be_done_in_a_process_of_its_own(linear_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    [found] = compare_isolated(linear_file, rows=tmp_path / "rows.npy", runtimes=["onnxruntime"], options=QUICK)
    assert found.latencies["latency_ms"] > 0
    with pytest.raises(UnknownNameError, match="abacus"):
        compare_isolated(linear_file, rows=tmp_path / "rows.npy", runtimes=["abacus"])


def test_rows_that_do_not_fit_and_a_busy_device_are_said(linear_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="do not fit"):
        compare(linear_file, rows=np.zeros((2, 5)), runtimes=["onnxruntime"], options=QUICK)
    busy = MeasureOptions(lock_timeout_s=0.05)
    with device_lock(tmp_path, "local"), pytest.raises(MeasurementError, match="busy"):
        compare(linear_file, rows=ROWS, runtimes=["onnxruntime"], options=busy, lock_dir=tmp_path)
