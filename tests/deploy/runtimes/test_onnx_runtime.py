from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_models import half_sequence_model, linear_model, tree_model
from conformance.runtime_suite import LOCAL, DamageSuite, PrecisionSuite, RuntimeSuite

from omniforge.deploy import RUNTIMES, Runtime, RuntimeOptions


class TestOnnxRuntime(RuntimeSuite, DamageSuite, PrecisionSuite):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return RUNTIMES.get("onnxruntime")()

    def test_settings_reach_the_session(self, runtime: Runtime) -> None:
        options = RuntimeOptions(extra={"session.intra_op.allow_spinning": 0})
        with runtime.prepare(linear_model(), device=LOCAL, options=options) as session:
            assert session.run(np.ones((1, 3), dtype=np.float32)).shape == (1, 2)

    def test_float16_is_seen_in_a_file_and_in_its_content(self, runtime: Runtime, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        for content in (half_sequence_model(), half_sequence_model(inside=False)):  # either would end the process
            path.write_bytes(content)
            for source in (path, content):
                with runtime.prepare(source, device=LOCAL, options=RuntimeOptions()) as session:
                    rows = np.ones((2, 4, 3), dtype=session.input.dtype)
                    np.testing.assert_allclose(session.run(rows), 2 * [[-6.0, 5.0]], rtol=1e-2)

    def test_trees_run(self, runtime: Runtime) -> None:
        with runtime.prepare(tree_model(), device=LOCAL, options=RuntimeOptions()) as session:
            rows = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=np.float32)
            np.testing.assert_array_equal(session.run(rows), [[1.0], [2.0]])


def test_it_reports_to_no_one_and_survives_a_fork(tmp_path: Path) -> None:
    code = """
import os, sys
from omniforge.deploy import RUNTIMES
RUNTIMES.get("onnxruntime")
child = os.fork()
if child == 0:
    sys.exit(0)
print(os.waitpid(child, 0)[1])
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("0\n", 0)
    assert list(tmp_path.iterdir()) == []
