from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_models import WEIGHTS, half_model, linear_model, tree_model
from conformance.runtime_suite import IMAGES, LOCAL, PrecisionSuite, RuntimeSuite

from omniforge.deploy import RUNTIMES, Runtime, RuntimeOptions
from omniforge.errors import MeasurementError, SpecError

openvino = pytest.importorskip("openvino", reason="pip install 'omniforge[openvino]'")


class TestOpenVinoRuntime(RuntimeSuite, PrecisionSuite):
    @pytest.fixture(scope="class")
    def runtime(self) -> Runtime:
        return RUNTIMES.get("openvino")()

    def test_trees_are_refused_by_name(self, runtime: Runtime) -> None:
        with pytest.raises(MeasurementError, match=r"no operator .*TreeEnsembleRegressor") as caught:
            runtime.prepare(tree_model(), device=LOCAL, options=RuntimeOptions())
        assert "onnxruntime" in (caught.value.hint or "")

    def test_it_computes_in_float32_unless_told_otherwise(self, runtime: Runtime) -> None:
        compiled = _compiled(runtime, RuntimeOptions(threads=2))
        assert compiled["INFERENCE_PRECISION_HINT"] == openvino.Type.f32
        assert compiled["INFERENCE_NUM_THREADS"] == 2
        other = _compiled(runtime, RuntimeOptions(threads=2, extra={"INFERENCE_NUM_THREADS": 1}))
        assert other["INFERENCE_NUM_THREADS"] == 1

    def test_an_unknown_property_is_refused(self, runtime: Runtime) -> None:
        with pytest.raises(SpecError, match="NO_SUCH_THING"):
            runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(extra={"NO_SUCH_THING": 1}))

    def test_its_own_files_run(self, runtime: Runtime, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(IMAGES.content)
        openvino.save_model(
            openvino.Core().read_model(tmp_path / "model.onnx"), tmp_path / "model.xml", compress_to_fp16=False
        )
        with runtime.prepare(tmp_path / "model.xml", device=LOCAL, options=RuntimeOptions()) as session:
            assert session.input.shape == (3, 8, 8)
            np.testing.assert_allclose(session.run(IMAGES.rows), IMAGES.expected, rtol=1e-4, atol=1e-6)
        (tmp_path / "model.bin").unlink()
        with pytest.raises(MeasurementError, match=r"model\.xml"):
            runtime.prepare(tmp_path / "model.xml", device=LOCAL, options=RuntimeOptions())

    def test_a_model_that_predicts_in_float16_gives_float32(self, runtime: Runtime) -> None:
        with runtime.prepare(half_model(), device=LOCAL, options=RuntimeOptions()) as session:
            assert session.run(np.ones((1, 3), dtype=np.float32)).dtype == np.float32


def _compiled(runtime: Runtime, options: RuntimeOptions) -> dict[str, object]:
    """Return the properties that a session was compiled with."""
    with runtime.prepare(linear_model(WEIGHTS), device=LOCAL, options=options) as session:
        model = session._infer.__self__.get_compiled_model()  # type: ignore[attr-defined]
        names = ("INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING")
        return {name: model.get_property(name) for name in names}


def test_it_reports_to_no_one_and_needs_little(tmp_path: Path) -> None:
    code = """
import sys, threading
from omniforge.deploy import RUNTIMES
RUNTIMES.get("openvino")()
print([m for m in ("torch", "onnx", "sklearn", "pandas", "onnxruntime", "openvino_telemetry") if m in sys.modules])
print(threading.active_count())
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("[]\n1\n", 0), done.stderr
    assert list(tmp_path.iterdir()) == []
