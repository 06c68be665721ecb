from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from conformance.runtime_suite import linear_model

from omniforge.components.spec import JobPlan
from omniforge.components.task_estimator.finalist import measure_runtimes


def test_every_runtime_that_was_asked_for_measures_or_says_why_not(
    make_plan: Callable[..., JobPlan], tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(linear_model())
    rows = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    folders = {"locks": tmp_path / "locks", "cache": tmp_path / "cache"}
    plan = make_plan(runtimes=["onnxruntime", "openvino"])
    first, second = measure_runtimes(model, rows, plan, **folders)
    assert (first["runtime"], second["runtime"]) == ("onnxruntime", "openvino")
    assert first["metrics"]["latency_ms"] > 0
    assert second["metrics"]["latency_ms"] > 0
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    (refused,) = measure_runtimes(broken, rows, make_plan(runtimes=["openvino"]), **folders)
    assert refused["metrics"] == {}
    assert refused["refused"]
